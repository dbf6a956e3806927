"""What is to be published: states whose commands are due, and those that the broker may have lost."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, literal, or_, select, update

from broker_bridge.adapters.store.conditions import ZERO, of_levels
from broker_bridge.adapters.store.rows import outgoing_of, pending_lane_of
from broker_bridge.adapters.store.short import Run, every
from broker_bridge.adapters.store.statements import among
from broker_bridge.adapters.store.tables import commands, phones
from broker_bridge.app.records import Outgoing
from broker_bridge.app.sent import RESEND_AFTER_S
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from lock_protocol.imei import Imei

# Written into the statement, like `ZERO`.
_SENT = literal(Status.SENT.value, literal_execute=True)
_OUTGOING = [phones.c[name] for name in ("lender", "imei", "epoch", "version", "level", "said_level", "envelope")]
"""What `outgoing_of` reads."""
_CLAIMED = [phones.c[name] for name in ("lender", "imei", "epoch", "version", "envelope")]
"""The same, when the lane is known."""


@dataclass(frozen=True, slots=True)
class SqlOutgoing:
    """The `OutgoingStates` of `broker_bridge.app.ports.queries`."""

    _read: Run
    _write: Run

    async def claim(self, lane: Lane, now: int, limit: int, *, put_off: bool = False) -> Sequence[Outgoing]:
        """Return states of this lane whose newest command is due, the longest waiting first.

        With `put_off`, only those that fell due later than they were made: to be published again, or after a refusal.
        """
        was_put_off = commands.c.due_at > commands.c.created_at
        # By the IMEI as well, which has an index: by the command alone, each sweep would read every phone.
        its_newest = and_(phones.c.imei == commands.c.imei, phones.c.command_id == commands.c.command_id)
        mine = (
            select(*_CLAIMED, was_put_off.label("was_put_off"))
            .join_from(commands, phones, its_newest)
            .where(commands.c.lane == int(lane), commands.c.due_at > ZERO)
            .order_by(commands.c.due_at)
        )
        if put_off:
            mine = mine.where(was_put_off)
        due = mine.where(commands.c.due_at <= now)
        # Nothing is put off for longer than this, so the clock has been set back since: who has paid waits for none.
        from_a_clock_ahead = mine.where(commands.c.due_at > now + RESEND_AFTER_S[-1])

        def make(row: Row[Any]) -> Outgoing:
            # An opening is published again as such, and once is enough while the same one is in flight.
            return outgoing_of(row, lane, repetition=bool(row.was_put_off) and lane is not Lane.OPENING)

        def read(connection: Connection) -> list[Outgoing]:
            states = every(connection, due.limit(limit), make)
            return states + every(connection, from_a_clock_ahead.limit(limit - len(states)), make)

        return await self._read(read)

    async def newest(self, imeis: Collection[Imei]) -> Sequence[Outgoing]:
        """Return the newest states of phones, each in its command's lane while that is pending."""
        query = select(*_OUTGOING, commands.c.lane, commands.c.finished_at).join_from(
            phones, commands, phones.c.command_id == commands.c.command_id, isouter=True
        )

        def read(connection: Connection) -> list[Outgoing]:
            rows = connection.execute(query.where(among(connection, phones.c.imei, imeis)))
            return [outgoing_of(row, pending_lane_of(row)) for row in rows]

        return await self._read(read)

    async def sent_before(self, at: int, limit: int) -> Sequence[Imei]:
        """Return phones whose newest command was sent before `at` and is still `sent`."""
        query = select(commands.c.imei).where(commands.c.status == _SENT, commands.c.sent_at < at).limit(limit)
        return await self._read(lambda connection: list(connection.execute(query).scalars()))

    async def put_timed_out(self, imei: Imei, sent_before: int) -> None:
        """Have what was sent before `sent_before` to a phone whose row cannot be read not hold up the others."""
        mine = (commands.c.imei == imei, commands.c.status == _SENT, commands.c.sent_at < sent_before)
        change = update(commands).where(*mine).values(status=Status.TIMED_OUT.value)
        await self._write(lambda connection: connection.execute(change))

    async def published_after(
        self, number: int, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Outgoing]:
        """Return states published with a number above `number`, by IMEI, of open or of closed levels.

        A state without a number counts too: its phone may have reported it before its acknowledgement was committed.
        """
        query = (
            select(*_OUTGOING)
            .where(or_(phones.c.publish_number > number, phones.c.publish_number == 0))
            .where(of_levels(opening=opening), phones.c.imei > (after or ""))
            .order_by(phones.c.imei)
            .limit(limit)
        )
        return await self._read(lambda connection: every(connection, query, outgoing_of))
