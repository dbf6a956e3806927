"""Lenders in the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, select

from broker_bridge.adapters.store.keys import insert_key
from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import insert_missing
from broker_bridge.adapters.store.tables import api_keys, lenders, phones
from broker_bridge.adapters.store.transaction import read_lender
from broker_bridge.app.records import LenderRecord, LenderSummary
from broker_bridge.domain.access import first_key
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlLenders:
    """The `Lenders` of `broker_bridge.app.ports.queries`, and what whoever runs a bridge does to them."""

    _read: Run
    _write: Run

    async def one(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record."""
        return await self._read(lambda connection: read_lender(connection, lender))

    async def with_phones(self) -> Sequence[LenderId]:
        """Return the lenders that have enrolled a phone."""
        query = select(lenders.c.lender).where(exists().where(phones.c.lender == lenders.c.lender))
        return await self._read(lambda connection: list(connection.execute(query).scalars()))

    async def summaries(self) -> Sequence[LenderSummary]:
        """Return every lender, with how many phones and working keys it has."""
        working = select(func.count()).where(api_keys.c.lender == lenders.c.lender, api_keys.c.revoked_at == 0)
        enrolled = select(func.count()).where(phones.c.lender == lenders.c.lender)
        counts = enrolled.scalar_subquery().label("phones"), working.scalar_subquery().label("keys")
        query = select(lenders.c.lender, lenders.c.created_at, *counts).order_by(lenders.c.lender)
        return await self._read(lambda one: [LenderSummary(**row) for row in one.execute(query).mappings()])

    async def add(self, lender: LenderId, key_hash: bytes, at: int) -> None:
        """Add a lender if it is new, and an API key of it that may do everything."""

        def write(connection: Connection) -> None:
            insert_missing(connection, lenders, lender=lender, created_at=at)
            insert_key(connection, first_key(lender, key_hash, at))

        await self._write(write)
