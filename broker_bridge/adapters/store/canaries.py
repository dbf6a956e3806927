"""Canaries: which of the bridge's publishes a broker has had, proven by a pair that both remember."""

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, delete, func, insert, select

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.tables import canaries, phones

KEPT = 1000


@dataclass(frozen=True, slots=True)
class SqlCanaries:
    """The `Canaries` of `broker_bridge.app.ports.queries`."""

    _read: Run
    _write: Run

    async def put(self, token: str, number: int) -> None:
        """Remember a canary before it is published, and forget the oldest ones."""

        def write(connection: Connection) -> None:
            connection.execute(insert(canaries).values(token=token, number=number))
            newest = select(canaries.c.number).order_by(canaries.c.number.desc())
            edge = connection.execute(newest.offset(KEPT).limit(1)).scalar()
            if edge is not None:
                connection.execute(delete(canaries).where(canaries.c.number <= edge))

        await self._write(write)

    async def number_of(self, token: str) -> int | None:
        """Return the publish number of a canary that this database has stored."""
        if "\0" in token:  # none of ours has one, and PostgreSQL takes none even in a question
            return None
        query = select(canaries.c.number).where(canaries.c.token == token)
        return cast("int | None", await self._read(lambda connection: connection.execute(query).scalar()))

    async def newest_publish_number(self) -> int:
        """Return the highest number that any publish was acknowledged with, or that a canary was made for."""
        published, sung = select(func.max(phones.c.publish_number)), select(func.max(canaries.c.number))
        return await self._read(lambda one: max(one.execute(published).scalar() or 0, one.execute(sung).scalar() or 0))
