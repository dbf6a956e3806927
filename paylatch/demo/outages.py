"""Killing the broker, and having it come back with less than it had acknowledged."""

import asyncio

from broker_bridge.adapters.mqtt.replacing import replace_file
from paylatch.demo.plan import Outage
from paylatch.local.broker_process import MosquittoProcess


class BrokerOutages:
    """Ends a broker by SIGKILL and starts it over other retained states than it had.

    Args:
        broker: it runs.
    """

    def __init__(self, broker: MosquittoProcess) -> None:
        self._broker = broker
        self._old: bytes | None = None

    async def remember(self) -> None:
        """Keep what the broker has now, for coming back with it later."""
        await asyncio.to_thread(self._broker.save)
        self._old = self._broker.files.database.read_bytes()

    async def strike(self, kind: Outage) -> None:
        """Kill the broker and start it again; done when it accepts connections."""
        await asyncio.to_thread(self._broker.kill)
        database = self._broker.files.database
        if kind is Outage.OLD and self._old is not None:
            replace_file(database, self._old)
        else:
            database.unlink(missing_ok=True)
        await asyncio.to_thread(self._broker.start)
