"""Keeping phones connected: a paced start, and reconnects that do not come all at once."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from device_sim.fleet.link import Arrived, Dialler, LinkError, Obstacle, OwnLink
from device_sim.fleet.simulated_phone import SimulatedPhone
from device_sim.phone.storage import StorageError
from lock_protocol.imei import Imei

_FIRST_BACKOFF_S = 1.0
"""The protocol's, so that a broker that was away for a moment is knocked at as it would be."""
_MOST_DOUBLINGS = 10
MOST_DIALLING = 100
"""Attempts under way at a time. Where a machine is too slow for the pace, thousands of them would all be too late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How hard a fleet may knock at the broker."""

    connects_per_s: float = 1000.0
    """Attempts a second, over all phones."""
    backoff_cap_s: float = 30.0
    """The longest wait between one phone's attempts."""
    seed: int = 0
    """Of the jitter."""


class Failure(NamedTuple):
    """An attempt to connect that came to nothing."""

    at_ns: int
    """When that was known, by CLOCK_MONOTONIC."""
    obstacle: Obstacle
    why: str


class Connections:
    """The phones' connections. Full jitter (each wait is random from 0 up) keeps a broken fleet from marching in step.

    A phone has a task while it is not connected, and none while it is.

    Args:
        dialler: makes connections.
        pace: how fast.
        tasks: the group in which the tasks live.
    """

    def __init__(self, dialler: Dialler, pace: Pace, tasks: asyncio.TaskGroup) -> None:
        self.dialler = dialler
        self.dialling = asyncio.Semaphore(MOST_DIALLING)
        self.tasks = tasks
        self._pace = pace
        self._jitter = random.Random(pace.seed)  # noqa: S311 - spreads load, guards nothing
        self._next_slot = 0.0
        self._lines: dict[Imei, _Line] = {}

    def wanted(self, phone: SimulatedPhone) -> bool:
        """Return whether this phone is to be connected."""
        return phone.imei in self._lines

    def last_failure(self, phone: SimulatedPhone) -> Failure | None:
        """Return this phone's last attempt to connect that failed, since it is wanted; None while none has."""
        line = self._lines.get(phone.imei)
        return None if line is None else line.last_failure

    def start(self, phones: Iterable[SimulatedPhone]) -> None:
        """Connect these phones and keep them connected; those that are already stay as they are."""
        for phone in phones:
            if phone.imei not in self._lines:
                line = self._lines[phone.imei] = _Line(phone, self)
                line.connect()

    async def drop(self, phones: Iterable[SimulatedPhone]) -> None:
        """Disconnect these phones and leave them so; done when this returns."""
        lines = [line for phone in phones if (line := self._lines.pop(phone.imei, None)) is not None]
        await asyncio.gather(*(line.cut() for line in lines))

    async def wait_turn(self, failures: int) -> None:
        """Wait out the back-off, then for a slot in the fleet's pace."""
        if failures:
            longest = _FIRST_BACKOFF_S * 2 ** min(failures - 1, _MOST_DOUBLINGS)
            await asyncio.sleep(self._jitter.uniform(0, min(longest, self._pace.backoff_cap_s)))
        now = time.monotonic()
        slot = max(self._next_slot, now)
        self._next_slot = slot + self._jitter.uniform(0, 2) / self._pace.connects_per_s
        await asyncio.sleep(slot - now)


class _Line:
    """One phone's line to the broker: being made, or open. The `Session` of its connection."""

    __slots__ = ("_connections", "_cut", "_link", "_phone", "_task", "last_failure")

    def __init__(self, phone: SimulatedPhone, connections: Connections) -> None:
        self._phone = phone
        self._connections = connections
        self._link: OwnLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._cut = False
        self.last_failure: Failure | None = None

    def connect(self, failures: int = 0) -> None:
        """Begin to connect."""
        connecting = self._until_connected(failures)
        self._task = self._connections.tasks.create_task(connecting, name=f"phone {self._phone.imei}")
        self._task.add_done_callback(self._forget)

    async def cut(self) -> None:
        """Disconnect, and do not connect again; done when this returns."""
        self._cut = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._link is not None:
            await self._link.close()

    def opened(self, link: OwnLink) -> None:
        """Have the phone begin."""
        self._phone.opened(link)
        self._link = link

    def arrived(self, message: Arrived) -> None:
        """Hand a message to the phone."""
        self._phone.arrived(message)

    def closed(self) -> None:
        """Connect again, soon: a connection that stood does not count as a failure for long."""
        self._link = None
        self._phone.closed()
        if not self._cut:
            self.connect(failures=1)

    async def _until_connected(self, failures: int) -> None:
        while not await self._try_to_connect(failures):
            failures += 1

    async def _try_to_connect(self, failures: int) -> bool:
        await self._connections.wait_turn(failures)
        async with self._connections.dialling:
            try:
                self._phone.power_on()
                await self._connections.dialler.dial(self._phone.login, self._phone.next_root, self)
            except (LinkError, StorageError) as error:
                obstacle = error.obstacle if isinstance(error, LinkError) else Obstacle.OTHER
                self.last_failure = Failure(time.monotonic_ns(), obstacle, str(error))
                self._phone.closed()
                return False
            return True

    def _forget(self, task: "asyncio.Task[None]") -> None:
        # A connection can break before the task that made it has ended: then there is another one by now.
        if self._task is task:
            self._task = None
