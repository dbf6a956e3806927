"""When things happen: an open model, in which what is due comes when it is due, however slow the answers are.

The rate rises in a straight line from 0 over the ramp and then stays. Arrival number k, from 0, is due when the area
under the rate reaches k + 1/2, so that counts are exact; jitter moves each of them within its own place of width 1, so
that they are as many with it as without.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

MOST_UNDER_WAY = 5000
"""So many arrivals may be under way; the next ones wait, and the wait counts as part of what is measured."""
_NS_PER_S = 1_000_000_000
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """A stream of arrivals."""

    rate: float
    """Arrivals a second, once the ramp is over; infinite for all at once."""
    ramp_s: float = 0.0
    jitter: float = 0.0
    """0: evenly spaced; 1: anywhere in their places."""

    def count(self, duration_s: float) -> int:
        """Return how many are due within a time."""
        if duration_s < self.ramp_s:
            return math.floor(self.rate * duration_s**2 / (2 * self.ramp_s) + _ROUNDING)
        return math.floor(self.rate * (duration_s - self.ramp_s / 2) + _ROUNDING)

    def times(self, count: int, dice: Random) -> Iterator[float]:
        """Yield when so many arrivals are due, in seconds from the start, in order."""
        for number in range(count):
            yield self._due(number + 0.5 + self.jitter * dice.uniform(-0.5, 0.5))

    def _due(self, area: float) -> float:
        """Return when the area under the rate reaches this."""
        if math.isinf(self.rate):
            return 0.0
        in_ramp = self.rate * self.ramp_s / 2
        if area < in_ramp:
            return math.sqrt(2 * area * self.ramp_s / self.rate)
        return self.ramp_s + (area - in_ramp) / self.rate


async def keep_time(offsets: Iterable[float], act: Callable[[int], Awaitable[None]], stopping: asyncio.Event) -> None:
    """Begin an action at each of these times from now, without waiting for those before; return when all are done.

    Args:
        offsets: in seconds, in order.
        act: told when it was due, in nanoseconds of CLOCK_MONOTONIC: what it measures should begin then, so that a
            generator that comes too late does not make anybody look fast.
        stopping: once it is set, no more are begun.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    places = asyncio.Semaphore(MOST_UNDER_WAY)

    async def in_its_place(due: float) -> None:
        try:
            await act(round(due * _NS_PER_S))
        finally:
            places.release()

    async with asyncio.TaskGroup() as tasks:
        for offset in offsets:
            due = start + offset
            if await is_set_within(stopping, due - loop.time()):
                break
            await places.acquire()
            tasks.create_task(in_its_place(due), name="arrival")


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, for so long at most; return whether it has come."""
    if seconds > 0 and not event.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
    return event.is_set()
