"""Everything that a scenario is played with."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from paylatch.fleet.arrivals import Arrivals
from paylatch.fleet.book import Book
from paylatch.fleet.lender import Lender
from paylatch.fleet.scenario import AT_ONCE, Scenario
from paylatch.fleet.tally import Tally

AWHILE_S = 1.0
"""How long phones are waited for by what they had to be when the wait began."""
_BETWEEN_S = 0.02

Pace = float | Literal["at-once"]


class Broker(Protocol):
    """The broker, as far as a scenario may harm it."""

    async def strike(self, down_s: float, *, keep: bool, fleet: FleetControl) -> None:
        """Have it killed; return when it accepts connections again.

        Args:
            down_s: how long it stays away, in seconds.
            keep: whether it comes back with what it had saved.
            fleet: the phones that will notice.
        """


class Deadline:
    """What is left of a time.

    Args:
        within_s: how long it is, in seconds from now.
    """

    def __init__(self, within_s: float) -> None:
        self._end = time.monotonic() + within_s

    @property
    def left_s(self) -> float:
        """Seconds; 0 when it is over."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who takes part in one run."""

    scenario: Scenario
    fleet: FleetControl
    lender: Lender
    book: Book
    tally: Tally
    broker: Broker
    say: Callable[[str], None]
    """Shows what is being done."""
    dice: Random
    """Choose phones and times; nobody may gain by foreseeing them, so that a seed makes them again."""

    def arrivals(self, pace: Pace, each: int = 1) -> Arrivals:
        """Return how what comes `each` at a time arrives at a step's pace."""
        scenario = self.scenario
        if pace == AT_ONCE:
            return Arrivals(rate=math.inf)
        return Arrivals(rate=scenario.rate * pace / each, ramp_s=scenario.ramp, jitter=scenario.jitter)

    async def follow(self) -> None:
        """Take what has happened to the phones since this was last done."""
        for entry in await self.fleet.news():
            measured = self.book.saw(entry)
            self.tally.transitions += entry.is_level
            if measured is not None:
                self.tally.measure(measured.trend, measured.ns)

    async def are_right(self, within_s: float) -> list[Imei]:
        """Wait until every phone is connected and as it has to be; return those that are not in time."""
        return await self._until_rest(within_s, self._right)

    async def settle(self, within_s: float) -> list[Imei]:
        """Wait until every phone is, beside that, confirmed by the bridge; return those that are not in time."""
        lacking = await self._until_rest(within_s, self._right_and_confirmed)
        if not lacking:
            self.book.rest()
        return lacking

    async def _until_rest(self, within_s: float, wait: Callable[[Deadline], Awaitable[set[Imei]]]) -> list[Imei]:
        deadline = Deadline(within_s)
        while True:
            required = self.book.required()
            # A while at a time: what is decided meanwhile changes what phones have to be.
            lacking = await wait(Deadline(min(deadline.left_s, AWHILE_S)))
            await self.follow()
            at_rest = required == self.book.required() and not self.book.under_way
            if (at_rest and not lacking) or not deadline.left_s:
                return sorted(lacking)
            await asyncio.sleep(min(deadline.left_s, _BETWEEN_S))

    async def _right(self, deadline: Deadline) -> set[Imei]:
        lacking = set(await self.fleet.await_connected(deadline.left_s))
        levels = await self.fleet.await_levels(self.book.required(), deadline.left_s)
        return lacking | {one.imei for one in levels}

    async def _right_and_confirmed(self, deadline: Deadline) -> set[Imei]:
        return await self._right(deadline) | set(await self.fleet.await_settled(deadline.left_s))
