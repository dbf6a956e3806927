"""How long a borrower who has paid waits: from the lender's request to the open phone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from device_sim.fleet.shards import ShardedControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.bench.lender import Lender
from paylatch.bench.plan import LADDER, Book, Planned
from paylatch.latency import opened_at

PAYERS_OF_BOOK = 10
MOST_PAYERS = 400
EVERY_S = 0.02
OPENS_IN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocks:
    """Payments, in nanoseconds each until the phone was open. One that never opened is not among them."""

    idle: Sequence[int]
    """One after the other, on a bridge that has nothing else to do."""
    during_locks: Sequence[int]
    """While locks are worked off."""
    locks: int
    """How many those were."""


@dataclass(slots=True)
class Till:
    """Takes payments one by one."""

    lender: Lender
    phones: ShardedControl
    paid_at: dict[Imei, int] = field(default_factory=dict)

    async def pay(self, payment: Planned) -> None:
        """Report one payment; when this returns, it is durable."""
        self.paid_at[payment.imei] = time.monotonic_ns()
        await self.lender.report(payment)

    async def waits(self) -> list[int]:
        """Wait until the phones that were paid for are open; return how long each took."""
        await self.phones.await_levels(dict.fromkeys(self.paid_at, Level.UNLOCKED), OPENS_IN_S)
        return waits_of(self.paid_at, await self._opened())

    async def _opened(self) -> dict[Imei, int]:
        changes = await self.phones.transitions(self.paid_at)
        opened = {imei: opened_at(changes[imei], since) for imei, since in self.paid_at.items()}
        return {imei: at for imei, at in opened.items() if at is not None}


def waits_of(paid_at: Mapping[Imei, int], opened: Mapping[Imei, int]) -> list[int]:
    """Return how long after its payment each phone opened; those that did not are left out."""
    return [opened[imei] - since for imei, since in paid_at.items() if imei in opened]


def payers_of(imeis: Sequence[Imei]) -> Sequence[Imei]:
    """Return the phones that are paid for one by one: a tenth of the book, and a few hundred at most."""
    return imeis[: max(1, min(len(imeis) // PAYERS_OF_BOOK, MOST_PAYERS))]


async def measure_unlocks(lender: Lender, book: Book, phones: ShardedControl, most_locks: int) -> Unlocks:
    """Measure both; in the end all phones are locked, but for those that were paid for.

    Args:
        lender: has reported nothing that is not proven.
        book: its phones, and what they are.
        phones: the fleet.
        most_locks: how many are queued at most, in rounds over all other phones that lead higher and higher.
    """
    payers = payers_of(book.imeis)
    others = book.imeis[len(payers) :]
    await lender.send([book.paid(imei) for imei in others if book.levels[imei] is not Level.UNLOCKED])
    await lender.send([book.locked(imei) for imei in payers if book.levels[imei] is not Level.LOCKED])
    await lender.proven()
    idle = await _pay_idle(Till(lender, phones), [book.paid(imei) for imei in payers])
    await lender.proven()
    await lender.send([book.locked(imei) for imei in payers])
    await lender.proven()
    locks = list(islice((book.overdue(imei, days) for days, _ in LADDER for imei in others), most_locks))
    during = await _pay_during(Till(lender, phones), book, payers, locks)
    return Unlocks(idle=idle, during_locks=during, locks=len(locks))


async def _pay_idle(till: Till, payments: Sequence[Planned]) -> list[int]:
    """Pay for one phone after the other, each once the one before has proven that it is open; return the waits."""
    for payment in payments:
        await till.pay(payment)
        # The bridge is asked, which has it only now that it is over, and not the fleet, which would have to read the
        # question while the state comes. Until then the bridge is busy with the report.
        await till.lender.proven()
    return await till.waits()


async def _pay_during(till: Till, book: Book, payers: Sequence[Imei], locks: Sequence[Planned]) -> list[int]:
    """Import locks and pay for one phone after the other meanwhile; return the waits."""
    await till.lender.send(locks)
    async with asyncio.TaskGroup() as tasks:
        # Payments are finished among the locks, so this ends as many before the last one.
        finished = tasks.create_task(till.lender.proven(), name="locks")
        due = time.monotonic()
        for imei in payers:
            if finished.done():
                break
            tasks.create_task(till.pay(book.paid(imei)), name=f"pay {imei}")
            due += EVERY_S
            await asyncio.sleep(due - time.monotonic())
    await till.lender.proven()
    return await till.waits()
