"""Waiting until phones are as wanted, without looking twice at those that have not changed."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lock_protocol.imei import Imei

if TYPE_CHECKING:
    from device_sim.fleet.simulated_phone import SimulatedPhone


class _Watch:
    """Which of some phones are not as wanted yet."""

    def __init__(
        self, phones: "Iterable[SimulatedPhone]", wanted: "Callable[[SimulatedPhone], bool]", *, each_once: bool
    ) -> None:
        self._wanted = wanted
        self._each_once = each_once
        self._watched = {phone.imei: phone for phone in phones}
        self.lacking = {imei for imei, phone in self._watched.items() if not wanted(phone)}
        self.changed = asyncio.Event()

    def recheck(self, phone: "SimulatedPhone") -> None:
        if phone.imei not in self._watched:
            return
        if self._wanted(phone):
            self.lacking.discard(phone.imei)
        elif not self._each_once:
            self.lacking.add(phone.imei)
        if not self.lacking:
            self.changed.set()


class Watches:
    """Everybody who waits for phones to change."""

    def __init__(self) -> None:
        self._watches: set[_Watch] = set()
        self._anything = asyncio.Event()

    def changed(self, phone: "SimulatedPhone") -> None:
        """Tell all who wait that this phone has made a step."""
        for watch in self._watches:
            watch.recheck(phone)
        self._anything.set()

    async def until_all(
        self,
        phones: "Iterable[SimulatedPhone]",
        wanted: "Callable[[SimulatedPhone], bool]",
        timeout_s: float,
        *,
        each_once: bool = False,
    ) -> list[Imei]:
        """Wait until all of `phones` are as wanted at one moment, or each once; return those that are not in time."""
        watch = _Watch(phones, wanted, each_once=each_once)
        with self._registered(watch):
            try:
                async with asyncio.timeout(timeout_s):
                    while watch.lacking:
                        watch.changed.clear()
                        await watch.changed.wait()
            except TimeoutError:
                return sorted(watch.lacking)
        return []

    async def until(self, wanted: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something about the whole fleet holds; return whether it did in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not wanted():
                    self._anything.clear()
                    await self._anything.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def _registered(self, watch: _Watch) -> Iterator[None]:
        self._watches.add(watch)
        try:
            yield
        finally:
            self._watches.discard(watch)
