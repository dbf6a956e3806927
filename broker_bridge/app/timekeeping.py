"""Timekeeping: the database knows until when a bridge has run with a clock that was right, also when nothing is signed.

A bridge that starts compares its clock with that: what a phone is told of the time it keeps for good. Before anything
is signed there is nothing to keep: no phone knows any time, and the clock may still be set.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from broker_bridge.app.jobs import AboutNoDecision
from broker_bridge.app.ports.store import Commits, OverloadedError, StoreUnavailableError, Transaction
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.sign import ClockSuspectError, SigningClock
from broker_bridge.domain.lanes import Lane
from lock_protocol.imei import Imei

EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class KeepTime(AboutNoDecision):
    """The job that keeps the time as if something were signed now, once something has been."""

    signing_clock: SigningClock
    imeis: Collection[Imei] = ()

    def run(self, tx: Transaction) -> None:
        """Keep the time.

        Raises:
            ClockSuspectError: the clock cannot be right.
        """
        if tx.last_signed_at():
            self.signing_clock.time_for(tx, Lane.CLOSING)


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """Keeps the time once an hour, and says when the clock cannot be right."""

    store: Commits
    signing_clock: SigningClock
    log: Log

    async def run(self) -> None:
        """Keep the time now and every hour, until cancelled."""
        while True:
            try:
                await self.store.commit(KeepTime(self.signing_clock))
            except ClockSuspectError as error:
                self.log.critical("clock_suspect", error=str(error), note="nothing is locked until it is right")
            except (StoreUnavailableError, OverloadedError) as error:
                self.log.warning("time_not_kept", error=str(error))
            await asyncio.sleep(EVERY_S)
