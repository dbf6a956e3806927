"""Phones and their history, as their lenders look them up."""

from dataclasses import dataclass

from sqlalchemy import select

from broker_bridge.adapters.store.history import newest_entries
from broker_bridge.adapters.store.rows import audit_of, phone_of
from broker_bridge.adapters.store.short import Run, every, first
from broker_bridge.adapters.store.tables import phones
from broker_bridge.app.records import AuditEntry, Page
from broker_bridge.domain.phones import Phone
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlPhones:
    """The `Phones` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def one(self, lender: LenderId, imei: Imei) -> Phone | None:
        """Return a lender's phone."""
        query = select(phones).where(phones.c.imei == imei, phones.c.lender == lender)
        return await self._read(lambda connection: first(connection, query, phone_of))

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[Phone]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""
        # PostgreSQL takes no NUL in a text; what comes before one sorts like the whole, since no IMEI has any.
        mine = select(phones).where(phones.c.lender == lender, phones.c.imei > after.partition("\0")[0])
        found = await self._read(lambda one: every(one, mine.order_by(phones.c.imei).limit(limit + 1), phone_of))
        items = found[:limit]
        return Page(items, items[-1].imei if len(found) > limit else None)

    async def history(self, lender: LenderId, imei: Imei, after: str, limit: int) -> Page[AuditEntry]:
        """Return what has happened to a lender's phone, the newest first."""
        query = newest_entries(lender, imei, after, limit + 1)
        rows = await self._read(lambda one: one.execute(query).mappings().all())
        more = str(rows[limit - 1]["entry"]) if len(rows) > limit else None
        return Page([audit_of(row) for row in rows[:limit]], more)
