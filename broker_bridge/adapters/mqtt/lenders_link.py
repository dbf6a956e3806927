"""The lenders' connection: decisions come in on it, results go out.

A connection of its own, so that a lender's flood waits in a queue of its own at the broker, and no phone's hello behind
it. What comes is handed over at once, to somebody who keeps it by lender, and acknowledged: the broker delivers in one
order for all lenders, so whatever waited for its acknowledgement would have the others' decisions wait at the broker.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from broker_bridge.adapters.mqtt.client import (
    KEEP_ALIVE_S,
    BrokerAddress,
    BrokerConnection,
    Receive,
    answered,
    fresh,
)
from broker_bridge.adapters.mqtt.supervising import Supervisor
from broker_bridge.app.ports.broker import Broker, Received
from broker_bridge.app.ports.surroundings import Log
from lock_protocol.topics import Topics
from mqtt_transport import Connector, Login

OnSession = Callable[[Broker], Awaitable[None]]


class LendersLink:
    """Keeps the lenders' connection to the broker."""

    def __init__(self, address: BrokerAddress, topics: Topics, *, random: Random, log: Log) -> None:
        """Take the bridge's address; the client id of this connection follows from the one in it."""
        self._login = Login(
            client_id=f"{address.client_id}-lenders",
            username=address.username,
            password=address.password,
            keep_alive_s=KEEP_ALIVE_S,
        )
        self._topics = topics
        self._connector = Connector(address.host, address.port, address.tls)
        self._supervisor = Supervisor("lenders_connected", "lenders_disconnected", address, random, log)

    @property
    def connected(self) -> bool:
        """Whether decisions can come in, and results go out."""
        return self._supervisor.connected

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        return self._supervisor.connections

    async def run(self, may_connect: Callable[[], Awaitable[None]], receive: Receive, on_session: OnSession) -> None:
        """Hand over what lenders publish and run `on_session` on each connection; until cancelled.

        Args:
            may_connect: see `Supervisor.run`.
            receive: is handed what lenders publish.
            on_session: what is done on each connection.
        """
        await self._supervisor.run(may_connect, lambda: self._one_connection(receive, on_session))

    async def _one_connection(self, receive: Receive, on_session: OnSession) -> None:
        def take(received: Received) -> None:
            receive(received)
            received.acknowledge()

        lenders = BrokerConnection(take)
        await lenders.open(self._connector, self._login)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(lenders.until_closed(), name="lenders.watch")
                tasks.create_task(self._serve(lenders, on_session), name="lenders.session")
        finally:
            await lenders.close()

    async def _serve(self, lenders: BrokerConnection, on_session: OnSession) -> None:
        await answered(lenders.subscribe(fresh(self._topics.all_decisions)))
        self._supervisor.ready()
        await on_session(lenders)
