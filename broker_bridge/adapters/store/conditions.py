"""Conditions that several questions share."""

from sqlalchemy import ColumnElement, exists, literal_column

from broker_bridge.adapters.store.tables import commands, phones
from lock_protocol.levels import Level

# Written into the statement, as the partial indexes have it: with a parameter in its place PostgreSQL's prepared
# statements could not know that the index holds what is asked for.
ZERO: ColumnElement[int] = literal_column("0")
NOT_NEWEST = ~exists().where(phones.c.imei == commands.c.imei, phones.c.command_id == commands.c.command_id)
_OPEN_LEVELS = [int(level) for level in Level if level.is_open or level is Level.RELEASED]


def of_levels(*, opening: bool) -> ColumnElement[bool]:
    """Return the condition that a phone is to be open, or that it is to be closed."""
    level = phones.c.level
    return level.in_(_OPEN_LEVELS) if opening else level.not_in(_OPEN_LEVELS)
