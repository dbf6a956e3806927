"""Supervising: one connection to the broker after the other.

The transport neither reconnects nor sends anything again by itself: each connection is a session of its own,
everything in it ends together, and the next one begins after a jittered pause with a clean start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.app.own_task import over
from broker_bridge.app.ports.broker import BrokerUnavailableError, PublishRefusedError
from broker_bridge.app.ports.store import OverloadedError, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Log

FIRST_PAUSE_S = 0.1
LONGEST_WITHOUT_S = 1.0
"""The longest pause while no connection comes about. Phones are back at once and say hello once; who pays waits."""
LONGEST_BETWEEN_S = 2.0
"""The longest pause between connections that end as soon as they have come about."""
STOOD_S = 5.0
"""A connection that lasted so long was a good one."""
TELL_AGAIN_S = 60.0
"""Within this, the log is told once why no connection comes about: there are some hundred tries a minute."""


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

    async def run(
        self, may_connect: Callable[[], Awaitable[None]], connect: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Run a connection, and start over whenever it ends; until cancelled, or an error that is not the broker's.

        Args:
            may_connect: awaited before each connection; what it raises ends this, unless the database is away.
            connect: makes a connection, and works on it until it ends.
        """

        async def one() -> None:
            await may_connect()
            await connect()

        pause, told, told_at = FIRST_PAUSE_S, "", 0.0
        while True:
            started = asyncio.get_running_loop().time()
            connection = asyncio.create_task(one(), name=self.up)
            try:
                await over(connection)
            finally:
                stood, now = self.connected, asyncio.get_running_loop().time()
                self._connected.clear()
                reason = _expected_reason(connection)
            if stood or reason != told or now - told_at >= TELL_AGAIN_S:
                told, told_at = reason, now
                self.log.warning(self.down, host=self.address.host, port=self.address.port, error=reason)
            pause = _next_pause(pause, now - started if stood else None)
            await asyncio.sleep(self.random.uniform(0, pause))


def _next_pause(before_s: float, lasted_s: float | None) -> float:
    """Return how long to wait at most until the next try.

    Args:
        before_s: how long it was before the last one.
        lasted_s: how long the connection stood that is over; None when none has come about.
    """
    if lasted_s is None:
        return min(before_s * 2, LONGEST_WITHOUT_S)
    if lasted_s >= STOOD_S:
        return FIRST_PAUSE_S
    # A broker that lets nobody stay is not asked without end.
    return min(before_s * 2, LONGEST_BETWEEN_S)


def _expected_reason(connection: "asyncio.Task[None]") -> str:
    """Return why a connection is over. An error that nobody expected is raised."""
    error = None if connection.cancelled() else connection.exception()
    if error is None:
        return "closed"
    expected, unexpected = BaseExceptionGroup("connection", [error]).split(_EXPECTED)
    if unexpected is not None:
        raise unexpected
    return str(_first_cause(expected or error))


def _first_cause(error: BaseException) -> BaseException:
    """Return the first plain error inside nested groups."""
    return _first_cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


_EXPECTED = (BrokerUnavailableError, PublishRefusedError, StoreUnavailableError, OverloadedError)
"""What ends a connection and not the bridge: the next one begins with asking broker and database anew."""
