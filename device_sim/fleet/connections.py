"""Keeping phones connected: one task each, a paced start, and reconnects that do not come all at once."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass

from device_sim.fleet.link import Dialler, LinkError
from device_sim.fleet.simulated_phone import SimulatedPhone
from device_sim.phone.storage import StorageError
from lock_protocol.imei import Imei

_FIRST_BACKOFF_S = 0.5
_MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How hard a fleet may knock at the broker."""

    connects_per_s: float = 1000.0
    """Attempts a second, over all phones."""
    backoff_cap_s: float = 30.0
    """The longest wait between one phone's attempts."""
    seed: int = 0
    """Of the jitter."""


class Connections:
    """The phones' connections. Full jitter (each wait is random from 0 up) keeps a broken fleet from marching in step.

    Args:
        dialler: makes connections.
        pace: how fast.
        tasks: the group in which the connections' tasks live.
    """

    def __init__(self, dialler: Dialler, pace: Pace, tasks: asyncio.TaskGroup) -> None:
        self._dialler = dialler
        self._pace = pace
        self._tasks = tasks
        self._jitter = random.Random(pace.seed)  # noqa: S311 - spreads load, guards nothing
        self._next_slot = 0.0
        self._running: dict[Imei, asyncio.Task[None]] = {}

    def wanted(self, phone: SimulatedPhone) -> bool:
        """Return whether this phone is to be connected."""
        return phone.imei in self._running

    def start(self, phones: Iterable[SimulatedPhone]) -> None:
        """Connect these phones and keep them connected; those that are already stay as they are."""
        for phone in phones:
            if phone.imei not in self._running:
                task = self._tasks.create_task(self._keep_connected(phone), name=f"phone {phone.imei}")
                self._running[phone.imei] = task

    async def drop(self, phones: Iterable[SimulatedPhone]) -> None:
        """Disconnect these phones and leave them so; done when this returns."""
        tasks = [task for phone in phones if (task := self._running.pop(phone.imei, None)) is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _keep_connected(self, phone: SimulatedPhone) -> None:
        failures = 0
        while True:
            await self._wait_turn(failures)
            stood = await self._connect_once(phone)
            failures = 1 if stood else failures + 1

    async def _connect_once(self, phone: SimulatedPhone) -> bool:
        """Hold one connection until it breaks; return whether it ever stood."""
        try:
            phone.power_on()
            await self._dialler.hold(phone.login, phone.next_root, phone)
        except StorageError:
            return False
        except LinkError:
            return phone.online
        finally:
            phone.closed()
        return False

    async def _wait_turn(self, failures: int) -> None:
        """Wait out the back-off, then for a slot in the fleet's pace."""
        if failures:
            longest = _FIRST_BACKOFF_S * 2 ** min(failures - 1, _MOST_DOUBLINGS)
            await asyncio.sleep(self._jitter.uniform(0, min(longest, self._pace.backoff_cap_s)))
        now = time.monotonic()
        slot = max(self._next_slot, now)
        self._next_slot = slot + self._jitter.uniform(0, 2) / self._pace.connects_per_s
        await asyncio.sleep(slot - now)
