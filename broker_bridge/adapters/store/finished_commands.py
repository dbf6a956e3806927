"""Commands that are over, and can be forgotten."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from broker_bridge.adapters.store.conditions import NOT_NEWEST, ZERO
from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.statements import among
from broker_bridge.adapters.store.tables import commands
from broker_bridge.domain.commands import Status
from broker_bridge.domain.phones import CommandId


@dataclass(frozen=True, slots=True)
class SqlFinishedCommands:
    """The `FinishedCommands` of `broker_bridge.app.ports.queries`."""

    _read: Run
    _write: Run

    async def between(
        self, statuses: Collection[Status], *, since: int, before: int, limit: int
    ) -> Sequence[tuple[int, CommandId]]:
        """Return when they ended, and the ids, of commands that have one of these statuses and are no phone's newest.

        The oldest first, from those that ended at `since` (above 0) on, up to `before` and without it.
        """
        ended = commands.c.finished_at
        query = (
            select(ended, commands.c.command_id)
            .where(commands.c.status.in_([status.value for status in statuses]))
            .where(ended > ZERO)
            .where(ended >= since, ended < before, NOT_NEWEST)
            .order_by(ended)
            .limit(limit)
        )
        return await self._read(lambda connection: [(row[0], row[1]) for row in connection.execute(query)])

    async def forget(self, those: Collection[CommandId]) -> int:
        """Delete those of these commands that are no phone's newest; return how many they were."""

        def write(connection: Connection) -> int:
            wanted = among(connection, commands.c.command_id, those)
            return connection.execute(delete(commands).where(wanted, NOT_NEWEST)).rowcount

        return await self._write(write)
