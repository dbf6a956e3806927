"""Engines for short reads and for writing, on SQLite or PostgreSQL, whose commits are durable when they return.

How the two databases differ, and why, is told in docs/adr/0007-two-databases.md.
"""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from broker_bridge.app.ports import StoreUnavailableError

SQLITE, POSTGRESQL = "sqlite", "postgresql"
WAIT_S = 10
"""How long a statement waits for a lock, a connection attempt for its server, and a thread for a connection."""
FORGOTTEN_S = 30
"""After so long inside a transaction that does nothing, PostgreSQL ends it: a bridge that was stopped in the middle of
one must not hold its phones' rows against the bridge that took over."""
READERS = 32
"""At most so many threads ask at once, beside the writer."""

_DRIVER = "postgresql+psycopg"

_POSTGRES_OPTIONS = {
    "application_name": "paylatch",
    "client_encoding": "utf8",
    "connect_timeout": WAIT_S,
    # A server that is gone without a word is noticed in seconds, not when the kernel gives up after a quarter hour.
    "keepalives_idle": WAIT_S,
    "keepalives_interval": WAIT_S // 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 2 * WAIT_S * 1000,
}

# All but `off` wait for the server's own disk; which of them, its administrator knows best.
_POSTGRES_SESSION = f"""
SELECT set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
       set_config('lock_timeout', '2s', false),
       set_config('idle_in_transaction_session_timeout', '{FORGOTTEN_S}s', false),
       current_setting('fsync'), current_setting('server_encoding')
"""


def database_url(text: str) -> URL:
    """Return a URL as people write it, `sqlite:///FILE` or `postgresql://user@host:port/database`, for an engine.

    Raises:
        ValueError: it is neither; the message says what it must be, and never shows a password.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    match url and url.drivername:
        case "sqlite" if url is not None and url.database:
            return url
        case "postgresql" if url is not None and url.database:
            return url.set(drivername=_DRIVER)
    raise ValueError("a database is sqlite:///FILE or postgresql://user@host:port/database")


def engines(url: URL) -> tuple[Engine, Engine]:
    """Return the engine for short reads and the one for writing. They share their connections; dispose of either.

    Args:
        url: from `database_url`.
    """
    return _sqlite(url) if url.get_backend_name() == SQLITE else _postgresql(url)


def is_empty(url: URL) -> bool:
    """Return whether a database has no table at all. A file that is not there has none, and is not made.

    Raises:
        StoreUnavailableError: it does not answer.
    """
    if url.get_backend_name() == SQLITE and not Path(str(url.database)).exists():
        return True
    engine, _ = engines(url)
    try:
        return not inspect(engine).get_table_names()
    except DBAPIError as error:
        raise StoreUnavailableError(f"the database does not answer: {error.orig}") from error
    finally:
        engine.dispose()


def make_file(url: URL) -> None:
    """Make the database's file, if it is one and is not there, for its owner alone.

    Who borrows from whom is in it, and the MQTT client id with which whoever knows it ends the bridge's session. SQLite
    gives the same mode to the files that it makes beside it.

    Raises:
        StoreUnavailableError: it cannot be made.
    """
    if url.get_backend_name() != SQLITE or not url.database or url.database.startswith((":memory:", "file:")):
        return
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # O_EXCL: closing a file that SQLite has open in this process would drop its locks.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailableError(f"{path}: {error.strerror}") from error


def _sqlite(url: URL) -> tuple[Engine, Engine]:
    arguments = {"isolation_level": None, "check_same_thread": False, "timeout": WAIT_S}
    engine = create_engine(url, connect_args=arguments, max_overflow=READERS, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that reads first and writes then can be refused without waiting.
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine, engine.execution_options(writing=True)


def _postgresql(url: URL) -> tuple[Engine, Engine]:
    engine = create_engine(
        url,
        paramstyle="format",  # by position: the hot statements pass plain tuples
        hide_parameters=True,  # an error tells which statement it was, and nothing of whose phone
        # Whatever the server's default is: a job that has waited for a row's lock must see what the other one wrote.
        isolation_level="READ COMMITTED",
        # A connection is tried before it is used, so that the first request after a restart of the server succeeds.
        pool_pre_ping=True,
        max_overflow=READERS,
        pool_timeout=WAIT_S,
        connect_args={name: value for name, value in _POSTGRES_OPTIONS.items() if name not in url.query},
    )

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, _: object) -> None:
        connection.autocommit = True
        *_, fsync, encoding = connection.execute(_POSTGRES_SESSION).fetchone()
        connection.autocommit = False
        if fsync != "on":
            raise StoreUnavailableError("PostgreSQL runs with fsync = off: what is answered with success could be lost")
        if encoding != "UTF8":
            raise StoreUnavailableError(f"the database's encoding is {encoding}; make it with: createdb -E UTF8")

    # One statement is one snapshot anyway: no BEGIN and no COMMIT, each of which would be a round trip.
    return engine.execution_options(isolation_level="AUTOCOMMIT"), engine.execution_options(writing=True)
