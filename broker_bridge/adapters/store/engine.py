"""Engines for short reads and for writing, on SQLite or PostgreSQL, whose commits are durable when they return.

How the two databases differ, and why, is told in docs/adr/0007-two-databases.md.
"""

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from broker_bridge.adapters.store.errors import unavailable
from broker_bridge.adapters.store.hot import run_text
from broker_bridge.app.ports.store import StoreUnavailableError

SQLITE, POSTGRESQL = "sqlite", "postgresql"
WAIT_S = 10
"""How long a statement waits for a lock, a connection attempt for its server, and a thread for a connection."""
FORGOTTEN_S = 30
"""After so long inside a transaction that does nothing, PostgreSQL ends it: a bridge that was stopped in the middle of
one must not hold its phones' rows against the bridge that took over."""
READERS = 32
"""At most so many threads ask at once, beside the writer."""

WRITERS_CACHE_KIB = 32 * 1024
"""How much of an SQLite file whoever writes keeps in memory: the upper pages of all indexes of a million phones."""

_BUSY_PAUSE_S = 0.02
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
        if url.host and not url.host.startswith("/"):  # else it is a socket's directory
            url.host.encode("idna")  # as the driver looks it up, whose error says nothing of a database
    except (ArgumentError, ValueError):
        url = None
    match url and url.drivername:
        case "sqlite" if url is not None and url.database:
            return url
        case "postgresql" if url is not None and url.database:
            return url.set(drivername=_DRIVER)
    raise ValueError("must be sqlite:///FILE or postgresql://user@host:port/database")


def engines(url: URL) -> tuple[Engine, Engine]:
    """Return the engine for short reads and the one for writing. Dispose of both.

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
    engine, writing = engines(url)
    try:
        return not inspect(engine).get_table_names()
    except DBAPIError as error:
        raise unavailable(error) from error
    finally:
        engine.dispose()
        writing.dispose()


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
    # One connection for all that is written. SQLite drops its pages of the file whenever another connection has written
    # to it, and a pool that is shared hands out one connection after the other.
    writing = _sqlite_engine(url, "BEGIN IMMEDIATE", (*_DURABLE, _PAGES), pool_size=1, max_overflow=0)
    return _sqlite_engine(url, "BEGIN", _DURABLE, max_overflow=READERS), writing


_DURABLE = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_PAGES = f"cache_size=-{WRITERS_CACHE_KIB}"


def _sqlite_engine(url: URL, begin: str, pragmas: Sequence[str], **pool: int) -> Engine:
    """Return an engine. A writer begins with the lock: one that reads first can be refused without waiting."""
    arguments = {"isolation_level": None, "check_same_thread": False, "timeout": WAIT_S}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, pool_timeout=WAIT_S, **pool)

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            _run_patiently(cursor, f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        run_text(connection, begin)

    return engine


def _run_patiently(cursor: sqlite3.Cursor, text: str) -> None:
    """Run a statement that may be refused at once: SQLite waits for no lock to make a file one with a WAL."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            cursor.execute(text)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_BUSY_PAUSE_S)


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
    return engine.execution_options(isolation_level="AUTOCOMMIT"), engine
