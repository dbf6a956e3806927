"""Statements that SQLite and PostgreSQL spell differently."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    String,
    Table,
    any_,
    bindparam,
    cast,
    extract,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.engine import POSTGRESQL
from broker_bridge.adapters.store.hot import read_rows


def among(connection: Connection, column: Column[Any], texts: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a text column has one of these values, however many they are.

    One parameter holds them all: PostgreSQL takes no more than 65,535, and a statement whose text does not depend on
    their number is prepared once.
    """
    return _among(connection.dialect, column, bindparam(None, packed(connection.dialect, texts)))


def among_given(dialect: Dialect, column: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that a text column has one of the values that are given, `packed`, when it is run."""
    return _among(dialect, column, bindparam("texts"))


def packed(dialect: Dialect, texts: Iterable[str]) -> list[str] | str:
    """Return texts as the one parameter that holds them all."""
    return list(texts) if dialect.name == POSTGRESQL else json.dumps(list(texts))


def _among(dialect: Dialect, column: Column[Any], texts: BindParameter[Any]) -> ColumnElement[bool]:
    if dialect.name == POSTGRESQL:
        return column == any_(type_coerce(texts, postgresql.ARRAY(String)))
    return column.in_(select(func.json_each(texts).table_valued("value").c.value))


def insert_missing(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its key is there, also when another transaction inserts the same one just now."""
    connection.execute(_spoken(connection.dialect).insert(table).values(**values).on_conflict_do_nothing())


def put_fact(connection: Connection, name: str, value: str) -> None:
    """Store one of the bridge's single values in the place of what is there."""
    statement = _spoken(connection.dialect).insert(tables.facts).values(name=name, value=value)
    replace = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=[tables.facts.c.name], set_=replace))


def seconds_now(dialect: Dialect) -> ColumnElement[int]:
    """Return the database's clock, seconds UTC: one for all bridges, however far apart their own are."""
    if dialect.name == POSTGRESQL:
        return cast(extract("epoch", func.clock_timestamp()), BigInteger)
    return cast(func.strftime("%s", "now"), BigInteger)


def raise_fact(dialect: Dialect) -> ClauseElement:
    """Make what stores one of the bridge's single values, a number, unless a higher one is there: another bridge's."""
    facts = tables.facts
    statement = _spoken(dialect).insert(facts).values(name=bindparam("fact"), value=bindparam("number"))
    lower = cast(facts.c.value, BigInteger) < cast(statement.excluded.value, BigInteger)
    raised: ClauseElement = statement.on_conflict_do_update(
        index_elements=[facts.c.name], set_={"value": statement.excluded.value}, where=lower
    )
    return raised


def next_entry_numbers(connection: Connection, count: int) -> Sequence[int]:
    """Return so many numbers for new entries of the history, rising; nobody else gets them."""
    if connection.dialect.name == POSTGRESQL:
        return [number for (number,) in read_rows(connection, _drawn_numbers, count)]
    # One transaction at a time writes to SQLite, and this is it.
    ((newest,),) = read_rows(connection, _newest_number)
    return range(newest + 1, newest + 1 + count)


def _newest_number(_: Dialect) -> ClauseElement:
    return select(func.coalesce(func.max(tables.audit.c.entry), literal_column("0")))


def _drawn_numbers(_: Dialect) -> ClauseElement:
    sequence = func.pg_get_serial_sequence(literal_column("'audit'"), literal_column("'entry'"))
    series = func.generate_series(literal_column("1"), bindparam("count"))
    return select(func.nextval(sequence)).select_from(series)


def _spoken(dialect: Dialect) -> Any:
    return postgresql if dialect.name == POSTGRESQL else sqlite
