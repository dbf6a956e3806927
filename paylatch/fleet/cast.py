"""Everything that a scenario is played with."""

import math
import time
from collections.abc import Callable, Collection
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

    async def settle(self, within_s: float) -> list[Imei]:
        """Wait until every phone is connected, as it has to be, and confirmed; return those that are not in time."""
        deadline = time.monotonic() + within_s

        def left_s() -> float:
            return max(deadline - time.monotonic(), 0.0)

        while True:
            required = self.book.required()
            lacking = set(await self.fleet.await_connected(left_s()))
            lacking.update(one.imei for one in await self.fleet.await_levels(required, left_s()))
            lacking.update(await self.fleet.await_settled(left_s()))
            await self.follow()
            # What was decided meanwhile has to be waited for as well.
            if left_s() <= 0 or (required == self.book.required() and not self.book.under_way):
                return self._in_order(lacking)

    def _in_order(self, imeis: Collection[Imei]) -> list[Imei]:
        if not imeis:
            self.book.rest()
        return sorted(imeis)
