"""One timer for all phones."""

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import NoReturn

from lock_protocol.imei import Imei

# Replaced alarms stay in the heap until their time; above this share of them it is built anew.
_SLACK = 4
_MINIMUM = 64


class Alarms:
    """Wakes phones when they have asked for it: a heap and one task, however many phones there are.

    Args:
        ring: called with the IMEI of each phone whose time has come.
    """

    def __init__(self, ring: Callable[[Imei], None]) -> None:
        self._ring = ring
        self._wanted: dict[Imei, float] = {}
        self._heap: list[tuple[float, Imei]] = []
        self._sooner = asyncio.Event()

    def set(self, imei: Imei, at: float) -> None:
        """Wake this phone at this reading of the monotonic clock, instead of when it asked for before."""
        self._wanted[imei] = at
        if not self._heap or at < self._heap[0][0]:
            self._sooner.set()
        heapq.heappush(self._heap, (at, imei))
        if len(self._heap) > _SLACK * len(self._wanted) + _MINIMUM:
            self._heap = [(at, imei) for imei, at in self._wanted.items()]
            heapq.heapify(self._heap)

    async def run(self) -> NoReturn:
        """Ring until cancelled."""
        while True:
            self._sooner.clear()
            self._ring_due(time.monotonic())
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._sooner.wait()
            except TimeoutError:
                continue

    def _ring_due(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            at, imei = heapq.heappop(self._heap)
            if self._wanted.get(imei) == at:
                del self._wanted[imei]
                self._ring(imei)

    def _until_next(self) -> float | None:
        return max(self._heap[0][0] - time.monotonic(), 0.0) if self._heap else None
