"""Supervising: one connection to the broker after the other.

Neither client library reconnects or sends anything again by itself: each connection is a session of its own,
everything in it ends together, and the next one begins after a jittered pause with a clean start.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiomqtt

from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.app.ports import BrokerUnavailableError, Log, OverloadedError, StoreUnavailableError

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STOOD_S = 5.0


@dataclass(slots=True)
class Supervisor:
    """Connects again whenever a connection has ended, and knows whether there is one."""

    up: str
    """What the log calls it when there is a connection,"""
    down: str
    """and when there is none any more."""
    address: BrokerAddress
    random: Random
    log: Log
    connections: int = 0
    """How many have been made so far."""
    _connected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, subscribed and ready."""
        return self._connected.is_set()

    def ready(self) -> None:
        """Note that the connection is subscribed and ready."""
        self._connected.set()
        self.connections += 1
        self.log.info(self.up, host=self.address.host, port=self.address.port)

    async def run(self, connect: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a connection, and start over whenever it ends; until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            started = asyncio.get_running_loop().time()
            # A task of its own: before Python 3.12 a task group that fails can leave a cancellation behind in its task.
            connection = asyncio.create_task(connect(), name=self.up)
            await _over(connection)
            address = {"host": self.address.host, "port": self.address.port}
            self.log.warning(self.down, **address, error=_expected_reason(connection))
            # After a connection that stood the first try comes soon. A broker that refuses is not hammered, and two
            # bridges that take the client id from each other do not do so without end.
            stood = self.connected and asyncio.get_running_loop().time() - started >= STOOD_S
            pause = FIRST_PAUSE_S if stood else min(pause * 2, LONGEST_PAUSE_S)
            self._connected.clear()
            await asyncio.sleep(self.random.uniform(0, pause))


async def _over(connection: "asyncio.Task[None]") -> None:
    """Wait until a connection is over; when cancelled, end it first."""
    try:
        await asyncio.wait([connection])
    except asyncio.CancelledError:
        connection.cancel()
        await asyncio.wait([connection])
        _expected_reason(connection)
        raise


def _expected_reason(connection: "asyncio.Task[None]") -> str:
    """Return why a connection is over. An error that nobody expected is raised."""
    error = None if connection.cancelled() else connection.exception()
    if error is None:
        return "closed"
    expected, unexpected = BaseExceptionGroup("connection", [error]).split(_EXPECTED)
    if unexpected is not None or expected is None:
        raise error
    return str(_first_cause(expected))


def _first_cause(error: BaseException) -> BaseException:
    """Return the first plain error inside nested groups."""
    return _first_cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


_EXPECTED = (aiomqtt.MqttError, BrokerUnavailableError, StoreUnavailableError, OverloadedError)
"""What ends a connection and not the bridge: the next one begins with asking broker and database anew."""
