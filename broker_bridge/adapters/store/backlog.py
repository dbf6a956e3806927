"""How far the bridge is behind, by a look at the beginning of a few indexes."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.short import Run
from broker_bridge.app.ports.metrics import Backlog, Oldest
from broker_bridge.domain.lanes import Lane


@dataclass(frozen=True, slots=True)
class SqlBacklog:
    """Tells how far the bridge is behind."""

    _read: Run

    async def read(self) -> Backlog:
        """Return how far the bridge is behind now."""
        return await self._read(_backlog_in)


def _backlog_in(connection: Connection) -> Backlog:
    # The conditions of these indexes stand here as text, for the planner to know them again.
    to_judge = select(func.min(tables.phones.c.look_at)).where(text("look_at > 0"))
    lanes = {lane: _oldest_of(connection, lane) for lane in Lane}
    return Backlog(lanes, connection.execute(to_judge).scalar())


def _oldest_of(connection: Connection, lane: Lane) -> Oldest:
    table = tables.commands
    mine = table.c.lane == int(lane)
    pending = select(func.min(table.c.created_at)).where(mine, text("finished_at = 0"))
    due = select(func.min(table.c.due_at)).where(mine, text("due_at > 0"))
    return Oldest(connection.execute(pending).scalar(), connection.execute(due).scalar())
