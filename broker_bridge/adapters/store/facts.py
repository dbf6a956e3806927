"""The bridge's single values."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import insert_missing, put_fact
from broker_bridge.adapters.store.tables import facts

LAST_SIGNED_AT = "last_signed_at"
"""The newest time that a bridge has signed with, or run until, with a clock that was right; seconds UTC."""


@dataclass(frozen=True, slots=True)
class SqlFacts:
    """The bridge's single values, each under its name."""

    _read: Run
    _write: Run

    async def one(self, name: str, default: str) -> str:
        """Return a value, storing `default` when it has none yet."""

        def read_or_write(connection: Connection) -> str:
            insert_missing(connection, facts, name=name, value=default)
            value = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one()
            return cast("str", value)

        return await self._write(read_or_write)

    async def last_signed_at(self) -> int:
        """Return the newest time that a bridge has signed with, or run until; 0 for none."""
        query = select(facts.c.value).where(facts.c.name == LAST_SIGNED_AT)
        return await self._read(lambda connection: int(connection.execute(query).scalar() or 0))

    async def put_last_signed_at(self, at: int) -> None:
        """Replace that, also by an earlier time."""
        await self._write(lambda connection: put_fact(connection, LAST_SIGNED_AT, str(at)))
