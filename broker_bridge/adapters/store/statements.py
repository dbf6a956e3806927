"""Statements that SQLite and PostgreSQL spell differently."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    String,
    Table,
    any_,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.engine import POSTGRESQL


def among(connection: Connection, column: Column[Any], texts: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a text column has one of these values, however many they are.

    One parameter holds them all: PostgreSQL takes no more than 65,535, and a statement whose text does not depend on
    their number is prepared once.
    """
    values = list(texts)
    if connection.dialect.name == POSTGRESQL:
        return column == any_(bindparam(None, values, postgresql.ARRAY(String)))
    each = func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(select(each.c.value))


def insert_missing(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its key is there, also when another transaction inserts the same one just now."""
    connection.execute(_dialect(connection).insert(table).values(**values).on_conflict_do_nothing())


def raise_fact(connection: Connection, name: str, value: int) -> None:
    """Store a number as one of the bridge's single values, unless a higher one is there: another bridge's, say."""
    facts = tables.facts
    statement = _dialect(connection).insert(facts).values(name=name, value=str(value))
    lower = cast(facts.c.value, BigInteger) < cast(statement.excluded.value, BigInteger)
    replacing = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=[facts.c.name], set_=replacing, where=lower))


def _dialect(connection: Connection) -> Any:
    return postgresql if connection.dialect.name == POSTGRESQL else sqlite
