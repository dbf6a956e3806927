"""Hot statements: what every commit reads and writes, compiled once for each database and then run by position.

SQLAlchemy compiles and names the parameters of a statement at each execution, passes each value through its type, and
makes a result that knows each column's name. For one question that is nothing; for a commit it was more than all the
rest: a payment's has eleven statements. So these are compiled once by the same SQLAlchemy, from the same tables, and
run by the driver's own cursor with plain tuples; what the driver raises becomes SQLAlchemy's error of the same name.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import compress, count
from operator import ne
from typing import Any

from sqlalchemy import ClauseElement, Column, Compiled, Connection, Dialect, Table, bindparam, insert, update
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

from broker_bridge.adapters.store.rows import Values

_KEY = "key_"
_REMEMBERED = 256
"""How many statements are kept: few of all sets of columns ever change together."""


Statement = Callable[[Dialect], ClauseElement]
"""Makes a statement for a database; its parameters are `bindparam`s, in the order in which they are given."""


def read_rows(connection: Connection, question: Statement, *parameters: object) -> list[Values]:
    """Return the rows that answer a question, each as the driver has it: a boolean can be a number."""
    text = _text(connection.dialect, question)
    with _cursor(connection, text) as cursor:
        cursor.execute(text, parameters)
        rows: list[Values] = cursor.fetchall()  # type: ignore[assignment]  # both drivers make tuples of rows
        return rows


def run(connection: Connection, statement: Statement, *parameters: object) -> None:
    """Run a statement that answers nothing."""
    text = _text(connection.dialect, statement)
    with _cursor(connection, text) as cursor:
        cursor.execute(text, parameters)


def run_text(connection: Connection, text: str) -> None:
    """Run a statement that is the database's own word, like `BEGIN IMMEDIATE`."""
    with _cursor(connection, text) as cursor:
        cursor.execute(text)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert rows: all of the table's columns in their order."""
    if rows:
        _run_many(connection, _insert(connection.dialect, table), rows)


def update_rows(connection: Connection, table: Table, pairs: Iterable[tuple[Values, Values]]) -> None:
    """Write what has changed in rows that are there: before and after, all columns, the key first.

    Columns that are what they were are not written, and nor are the indexes over them. Rows that change in the same
    columns share a statement.
    """
    changes: defaultdict[tuple[int, ...], list[Values]] = defaultdict(list)
    for before, after in pairs:
        differs = list(map(ne, before, after))
        changed = tuple(compress(count(), differs))
        if changed:
            changes[changed].append((*compress(after, differs), after[0]))
    for changed, rows in changes.items():
        _run_many(connection, _update(connection.dialect, table, changed), rows)


def _run_many(connection: Connection, text: str, rows: Sequence[Values]) -> None:
    with _cursor(connection, text) as cursor:
        cursor.executemany(text, rows)


@contextmanager
def _cursor(connection: Connection, text: str) -> Iterator[DBAPICursor]:
    """Give the driver's cursor in a connection's transaction, for one statement."""
    dialect, driven = connection.dialect, connection.connection
    cursor = driven.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        gone = dialect.is_disconnect(error, driven.driver_connection, cursor)
        if gone:
            connection.invalidate(error)
        raise DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=gone,
            dialect=dialect,
        ) from error
    finally:
        cursor.close()


@lru_cache(maxsize=_REMEMBERED)
def _text(dialect: Dialect, statement: Statement) -> str:
    return str(statement(dialect).compile(dialect=dialect))


@lru_cache(maxsize=_REMEMBERED)
def _insert(dialect: Dialect, table: Table) -> str:
    names = tuple(column.name for column in table.columns)
    return _in_order(insert(table).compile(dialect=dialect, column_keys=names), names)


@lru_cache(maxsize=_REMEMBERED)
def _update(dialect: Dialect, table: Table, changed: tuple[int, ...]) -> str:
    columns = list(table.columns)
    new = {f"new_{columns[index].name}": columns[index] for index in changed}
    values: dict[Column[Any], Any] = {column: bindparam(name) for name, column in new.items()}
    statement = update(table).where(columns[0] == bindparam(_KEY)).values(values)
    return _in_order(statement.compile(dialect=dialect), (*new, _KEY))


def _in_order(compiled: Compiled, names: tuple[str, ...]) -> str:
    """Return the text of a statement that takes its parameters by position, in exactly this order."""
    order = getattr(compiled, "positiontup", None)
    if order is None or tuple(order) != names:
        raise AssertionError(f"the statement takes {order}, and is given {names}")
    return str(compiled)
