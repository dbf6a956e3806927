"""Sweep: takes from the database what nobody has offered or no lane had room for, and tells whose phones are silent."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker_bridge.app.acknowledged import Acknowledged
from broker_bridge.app.batches import Batches
from broker_bridge.app.confirm import Judge, TimeOut
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.ports.queries import OutgoingStates
from broker_bridge.app.ports.store import OverloadedError, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.records import Outgoing
from broker_bridge.domain.lanes import Lane

SWEEP_S = 1.0
LOOK_ROUND = 5
"""Every so many sweeps, one looks for all openings that wait, and for what else is to be published once more."""
LOOK_EVERYWHERE = 60
"""Every so many, one looks for all that waits, in whichever lane."""
TIMED_OUT_S = 900
"""A command whose phone has said nothing for so long after the PUBACK is shown as timed out."""
MOST_AT_ONCE = 500
"""So many are repeated, or time out, in one sweep; the rest in the next ones."""
OFFERED_TOGETHER = 200
"""So many states are offered before the event loop goes on with other things: a payment, say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Looks once a second, while there is a connection."""

    states: OutgoingStates
    outbox: Outbox
    acknowledged: Acknowledged
    offer: Callable[[Outgoing], object]
    """Takes a state to publish."""
    batches: Batches
    judge: Judge
    clock: Clock
    log: Log

    async def run(self) -> None:
        """Once a second, take from the database what is due: repeated openings, and what did not fit the lanes.

        A lane that overflowed is filled again once it is half empty: what is asked for is all that waits, and most of a
        full lane is known. Without that, only states can be missing that were put off, to be published again; and,
        looked for less often, openings that another bridge on the same database has committed and cannot publish, and
        locks of the same kind more seldom still.
        """
        for sweep in itertools.count():
            if sweep % LOOK_EVERYWHERE == 0:
                self.outbox.overflowed.update(Lane)
            elif sweep % LOOK_ROUND == 0:
                self.outbox.overflowed.add(Lane.OPENING)
            for lane in Lane:
                if lane in self.outbox.overflowed:
                    if self.outbox.has_room(lane):
                        await self._refill(lane)
                elif lane is Lane.OPENING or sweep % LOOK_ROUND == 0:
                    await self._repeat(lane)
            await self._time_out()
            await asyncio.sleep(SWEEP_S)

    async def _refill(self, lane: Lane) -> None:
        # Before the question, not after the answer: what overflows meanwhile is not in the answer.
        self.outbox.overflowed.discard(lane)
        try:
            due = await self.states.claim(lane, self.clock.now(), self.outbox.lane_limit)
        except StoreUnavailableError as error:
            self.outbox.overflowed.add(lane)
            self.log.warning("sweep_failed", error=str(error))
            return
        if len(due) == self.outbox.lane_limit:
            self.outbox.overflowed.add(lane)
        await self._offer_due(due)

    async def _repeat(self, lane: Lane) -> None:
        try:
            due = await self.states.claim(lane, self.clock.now(), MOST_AT_ONCE, put_off=True)
        except StoreUnavailableError as error:
            self.log.warning("sweep_failed", error=str(error))
            return
        await self._offer_due(due)

    async def _offer_due(self, due: Sequence[Outgoing]) -> None:
        """Offer what the database takes for due, but for what has gone out since; now and then it is others' turn."""
        for number, state in enumerate(due, 1):
            if not (self.acknowledged.has(state.imei, state.order) or self.outbox.has_gone(state)):
                self.offer(state)
            if number % OFFERED_TOGETHER == 0:
                await asyncio.sleep(0)

    async def _time_out(self) -> None:
        before = self.clock.now() - TIMED_OUT_S
        try:
            silent = await self.states.sent_before(before, MOST_AT_ONCE)
            if silent:
                for imei in await self.batches.commit(silent, lambda imeis: TimeOut(imeis, before, self.judge)):
                    await self.states.put_timed_out(imei, before)
        except (StoreUnavailableError, OverloadedError) as error:
            self.log.warning("sweep_failed", error=str(error))
