"""Which phones are to be judged again: each by its own time, and a lender's one by one after a change for all."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from broker_bridge.adapters.store.conditions import ZERO
from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.tables import SWEEP_BEGINS, lenders, phones
from broker_bridge.app.records import Sweep
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlSchedule:
    """The `Schedule` of `broker_bridge.app.ports.queries`."""

    _read: Run
    _write: Run

    async def due(self, now: int, limit: int) -> Sequence[Imei]:
        """Return phones that are to be judged again at `now`, the longest waiting first."""
        due = select(phones.c.imei).where(phones.c.look_at > ZERO, phones.c.look_at <= now).order_by(phones.c.look_at)
        return await self._read(lambda connection: list(connection.execute(due.limit(limit)).scalars()))

    async def put_off(self, imei: Imei, at: int) -> None:
        """Have a phone whose row cannot be read judged again later, so that it does not hold up the others."""
        change = update(phones).where(phones.c.imei == imei).values(look_at=at)
        await self._write(lambda connection: connection.execute(change))

    async def sweeps(self, now: int) -> Sequence[Sweep]:
        """Return the sweeps that are under way at `now`."""
        under_way = select(lenders.c.lender, lenders.c.judge_at, lenders.c.judged_to).where(
            lenders.c.judge_at > 0, lenders.c.judge_at <= now
        )
        rows = await self._read(lambda connection: connection.execute(under_way).all())
        return [Sweep(lender=row.lender, at=row.judge_at, after=row.judged_to) for row in rows]

    async def imeis_after(self, lender: LenderId, after: str, limit: int) -> Sequence[Imei]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""
        mine = select(phones.c.imei).where(phones.c.lender == lender, phones.c.imei > after)
        page = mine.order_by(phones.c.imei).limit(limit)
        return await self._read(lambda connection: list(connection.execute(page).scalars()))

    async def swept(self, sweep: Sweep, upto: Imei | None) -> None:
        """Note how far a sweep is (None: it is over), unless a new one has begun meanwhile."""
        same = update(lenders).where(lenders.c.lender == sweep.lender, lenders.c.judge_at == sweep.at)
        change = same.values(judge_at=0, judged_to=SWEEP_BEGINS) if upto is None else same.values(judged_to=upto)
        await self._write(lambda connection: connection.execute(change))
