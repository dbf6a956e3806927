"""How far the bridge is behind, by a look at the beginning of a few indexes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from broker_bridge.adapters.store import tables
from broker_bridge.domain.lanes import Lane


@dataclass(frozen=True, slots=True)
class Oldest:
    """How long the commands of a lane have waited. Seconds UTC; None where there is none."""

    pending_since: int | None
    """When the oldest command that is still pending was made."""
    due_since: int | None
    """When the command that is due for longest was to be published."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the bridge is behind."""

    commands: Mapping[Lane, Oldest]
    to_judge_since: int | None
    """When the phone that waits for longest was to be judged again, seconds UTC; it may lie ahead."""


def read_backlog(connection: Connection) -> Backlog:
    """Return how far the bridge is behind."""
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
