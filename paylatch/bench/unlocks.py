"""How long a borrower who has paid waits: from the lender's request to the open phone.

One clock measures: the benchmark and the fleet read the machine's CLOCK_MONOTONIC, which all its processes share.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.bench.plan import LADDER, Book, Planned
from paylatch.bench.shards import Shards
from paylatch.bench.throughput import Importer
from paylatch.client import Bridge
from paylatch.demo.payments import opened_at

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
    paid_during_locks: int
    """How many payments came before the last of them was proven."""


@dataclass(slots=True)
class Till:
    """Takes payments one by one."""

    bridge: Bridge
    phones: Shards
    paid_at: dict[Imei, int] = field(default_factory=dict)

    async def pay(self, payment: Planned) -> None:
        """Report one payment; when this returns, it is durable."""
        self.paid_at[payment.imei] = time.monotonic_ns()
        await self.bridge.decide(payment.body())

    async def waits(self) -> list[int]:
        """Wait until the phones that were paid for are open; return how long each took."""
        await self.phones.at_levels(dict.fromkeys(self.paid_at, Level.UNLOCKED), OPENS_IN_S)
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


async def measure_unlocks(importer: Importer, book: Book, phones: Shards, most_locks: int) -> Unlocks:
    """Measure both; in the end all phones are locked, but for those that were paid for.

    Args:
        importer: sends the locks.
        book: its phones are all proven.
        phones: the fleet.
        most_locks: how many are queued at most, in rounds over all other phones that lead higher and higher.
    """
    payers = payers_of(book.imeis)
    others = book.imeis[len(payers) :]
    await importer.send_and_prove([book.paid(imei) for imei in others if book.levels[imei] is not Level.UNLOCKED])
    await importer.send_and_prove([book.locked(imei) for imei in payers if book.levels[imei] is not Level.LOCKED])
    await importer.progress.until_idle()
    idle = Till(importer.bridge, phones)
    for imei in payers:
        await idle.pay(book.paid(imei))
        await phones.at_levels({imei: Level.UNLOCKED}, OPENS_IN_S)
    waits = await idle.waits()
    await importer.send_and_prove([book.locked(imei) for imei in payers])
    locks = [book.overdue(imei, days) for days, _ in LADDER for imei in others][:most_locks]
    during, paid = await _pay_during(importer, book, phones, payers, locks)
    return Unlocks(idle=waits, during_locks=during, locks=len(locks), paid_during_locks=paid)


async def _pay_during(
    importer: Importer, book: Book, phones: Shards, payers: Sequence[Imei], locks: Sequence[Planned]
) -> tuple[list[int], int]:
    """Import locks and pay for one phone after the other meanwhile; return the waits, and how many were paid for."""
    till, count = Till(importer.bridge, phones), 0
    before = await importer.progress.counts()
    await importer.send(locks)
    async with asyncio.TaskGroup() as tasks:
        # Payments are among what is finished by then: as many locks are still under way, and none are paid for after.
        finished = tasks.create_task(importer.progress.until_finished(before, len(locks)), name="locks")
        due = time.monotonic()
        for imei in payers:
            if finished.done():
                break
            tasks.create_task(till.pay(book.paid(imei)), name=f"pay {imei}")
            count += 1
            due += EVERY_S
            await asyncio.sleep(due - time.monotonic())
    await importer.progress.until_finished(before, len(locks) + count)
    return await till.waits(), count
