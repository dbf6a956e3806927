"""Places: how many decisions of one lender may be under way, so that no lender's lists make another's payments wait.

The store serves jobs of one kind in the order in which they come. What closes phones has places of its own: a payment
never waits behind its own lender's overdue figures either.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from broker_bridge.app.ports.store import OverloadedError
from broker_bridge.domain.decisions import Decision
from lock_protocol.messages import LenderId

UNDER_WAY = 100
"""Decisions of one lender and one kind that are with the store at a time: about as many as share a commit. Another
lender's next one waits for them, and more under way did not make a lender's list any faster.
"""
MAX_WAITING = 5_000
"""More of one lender do not wait: it is told to come again."""

_Kind = tuple[LenderId, bool]


@dataclass(slots=True)
class LenderPlaces:
    """The places of all lenders. Each lender has two kinds: for what can raise a level, and for the rest."""

    _places: defaultdict[_Kind, asyncio.Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: asyncio.Semaphore(UNDER_WAY))
    )
    _waiting: Counter[_Kind] = field(default_factory=Counter)

    @asynccontextmanager
    async def one_for(self, decision: Decision) -> AsyncIterator[None]:
        """Wait for a place and give it back in the end; those who wait are served in order.

        Raises:
            OverloadedError: too many of this lender wait already.
        """
        kind = (decision.lender, decision.can_close)
        if self._waiting[kind] >= MAX_WAITING:
            raise OverloadedError(f"{MAX_WAITING} of your decisions are waiting")
        self._waiting[kind] += 1
        try:
            async with self._places[kind]:
                yield
        finally:
            self._waiting[kind] -= 1
