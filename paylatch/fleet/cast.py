"""Everything that a scenario is played with."""

import asyncio
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
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
GLANCE_S = 0.2
"""The same where the moment at which they are is what is measured."""
_BETWEEN_S = 0.02

Pace = float | Literal["at-once"]


class StepError(Exception):
    """A step did not come to its end: what follows would measure something else than it says."""


class Broker(Protocol):
    """The broker, as far as a scenario may harm it."""

    async def strike(self, down_s: float, *, keep: bool, within_s: float, fleet: FleetControl) -> None:
        """Have it killed; return when it accepts connections again.

        Args:
            down_s: how long it stays away, in seconds.
            keep: whether it comes back with what it had saved.
            within_s: how long its operator may take to kill it, and then to start it again.
            fleet: the phones that will notice.

        Raises:
            StepError: its operator did not do it in time.
        """


class Deadline:
    """What is left of a time.

    Args:
        within_s: how long it is, in seconds from now.
    """

    def __init__(self, within_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + within_s

    @property
    def left_s(self) -> float:
        """Seconds; 0 when it is over."""
        return max(self._end - self._loop.time(), 0.0)


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
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the run is to end: what is under way is finished, and nothing else begun."""

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

    async def were_right(self, within_s: float) -> list[Imei]:
        """Wait until each phone has been connected and as it had to be at one moment since; return the others.

        Decisions may come all the while, so that there need be no moment at which all phones are right.
        """
        deadline, left = Deadline(within_s), set(self.book.imeis)
        while left and deadline.left_s:
            left = await self._wrong(Deadline(min(deadline.left_s, GLANCE_S)), left)
        return sorted(left)

    async def settle(self, within_s: float) -> list[Imei]:
        """Wait until all phones are connected, right and confirmed at one moment; return those that are not in time."""
        deadline = Deadline(within_s)
        while True:
            required = self.book.required()
            # A while at a time: what is decided meanwhile changes what phones have to be.
            awhile = Deadline(min(deadline.left_s, AWHILE_S))
            lacking = await self._wrong(awhile) | set(await self.fleet.await_settled(awhile.left_s))
            await self.follow()
            at_rest = required == self.book.required() and not self.book.under_way
            if at_rest and not lacking:
                self.book.rest()
                return []
            if not deadline.left_s:
                return sorted(lacking)
            await asyncio.sleep(min(deadline.left_s, _BETWEEN_S))

    async def _wrong(self, deadline: Deadline, imeis: Collection[Imei] | None = None) -> set[Imei]:
        """Wait until phones (None: all that are not cut) are right, and return those that are not in time."""
        lacking = set(await self.fleet.await_connected(deadline.left_s, imeis))
        levels = await self.fleet.await_levels(self.book.required(imeis), deadline.left_s)
        return lacking | {one.imei for one in levels}
