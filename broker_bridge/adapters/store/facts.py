"""The bridge's single values."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import insert_missing
from broker_bridge.adapters.store.tables import facts


@dataclass(frozen=True, slots=True)
class SqlFacts:
    """The bridge's single values, each under its name."""

    _write: Run

    async def one(self, name: str, default: str) -> str:
        """Return a value, storing `default` when it has none yet."""

        def read_or_write(connection: Connection) -> str:
            insert_missing(connection, facts, name=name, value=default)
            value = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one()
            return cast("str", value)

        return await self._write(read_or_write)
