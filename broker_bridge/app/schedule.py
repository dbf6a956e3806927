"""Schedule: what follows from the mere passing of time, when its time has come.

A grace period ends, a notice has stood long enough, the night is over, a lease wants renewing: each phone's row tells
when to judge it again, so a bridge that was away for a week finds all of it and misses nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker_bridge.app.jobs import OnePhone
from broker_bridge.app.ports.queries import Schedule
from broker_bridge.app.ports.store import Commits, OverloadedError, StoreUnavailableError, Transaction
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.reconsider import POSTPONE_S, Reconsider
from lock_protocol.imei import Imei

EVERY_S = 1.0
PAGE = 200


@dataclass(frozen=True, slots=True)
class JudgeAgain(OnePhone):
    """The job of one phone whose time has come."""

    imei: Imei
    reconsider: Reconsider
    whenever: bool = False
    """Whether it is to be judged although its own time has not come: something has changed for all."""

    def run(self, tx: Transaction) -> bool:
        """Judge it, unless that has been done meanwhile or the clock that says so cannot be right; return whether."""
        phone, now = tx.phone(self.imei), self.reconsider.now(tx)
        if phone is None or not (self.whenever or 0 < phone.look_at <= now):
            return False
        self.reconsider.phone(tx, phone, now)
        return True


@dataclass(frozen=True, slots=True)
class Postpone(OnePhone):
    """The job of one phone that could not be judged now."""

    imei: Imei
    reconsider: Reconsider

    def run(self, tx: Transaction) -> None:
        """Look at it again later, so that it does not hold up the others."""
        phone = tx.phone(self.imei)
        if phone is not None:
            tx.put_phone(replace(phone, look_at=self.reconsider.now(tx) + POSTPONE_S))


@dataclass(slots=True)
class Scheduler:
    """Judges phones again when their time has come."""

    store: Commits
    schedule: Schedule
    reconsider: Reconsider
    log: Log

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            try:
                more = await self.look()
            except (StoreUnavailableError, OverloadedError) as error:
                self.log.warning("schedule_delayed", error=str(error))
                more = False
            if not more:
                await asyncio.sleep(EVERY_S)

    async def look(self) -> bool:
        """Judge what is due now, and return whether there may be more.

        Raises:
            StoreUnavailableError, OverloadedError: the database does not take it; it is found again next time.
        """
        now = self.reconsider.clock.now()
        sweeps = await self.schedule.sweeps(now)
        for sweep in sweeps:
            page = await self.schedule.imeis_after(sweep.lender, sweep.after, PAGE)
            await self._judge(page, whenever=True)
            await self.schedule.swept(sweep, page[-1] if page else None)
        due = await self.schedule.due(now, PAGE)
        judged = await self._judge(due)
        return bool(sweeps) or (len(due) == PAGE and judged)

    async def _judge(self, imeis: Sequence[Imei], *, whenever: bool = False) -> bool:
        """Judge phones in commits that they share with everybody else; return whether any was."""
        jobs = (self.store.commit(JudgeAgain(imei, self.reconsider, whenever)) for imei in imeis)
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        await self._postpone(imeis, answers)
        return any(answer is True for answer in answers)

    async def _postpone(self, due: Sequence[Imei], answers: Sequence[BaseException | bool]) -> None:
        for imei, error in zip(due, answers, strict=True):
            match error:
                case bool():
                    continue
                case StoreUnavailableError() | OverloadedError():
                    raise error
                case Exception():  # must not be signed now, or a row that cannot be read: the others go on
                    self.log.critical("not_judged", imei=imei, error=f"{type(error).__name__}: {error}")
                    await self._postpone_one(imei)
                case _:
                    raise error

    async def _postpone_one(self, imei: Imei) -> None:
        try:
            await self.store.commit(Postpone(imei, self.reconsider))
        except (StoreUnavailableError, OverloadedError):
            raise
        except Exception:  # noqa: BLE001 - a row that cannot be read cannot be put back either: one column of it can
            await self.schedule.put_off(imei, self.reconsider.clock.now() + POSTPONE_S)
