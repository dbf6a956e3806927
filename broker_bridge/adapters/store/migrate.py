"""Brings a database's schema up to date with Alembic's revisions."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Row, func, select, text

from broker_bridge.adapters.store.engine import POSTGRESQL
from broker_bridge.adapters.store.tables import metadata
from broker_bridge.app.ports.store import StoreUnavailableError

_LOCK = 0x7061796C61746368
"""Names the advisory lock of migrations: "paylatch" in ASCII."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run all revisions up to `revision` that this database has not seen, in the connection's transaction.

    Bridges that start together do so one after the other.

    Raises:
        StoreUnavailableError: the database has a revision that this version of the bridge does not know.
    """
    if connection.dialect.name == POSTGRESQL:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    try:
        command.upgrade(config(connection), revision)
    except CommandError as error:
        there = MigrationContext.configure(connection).get_current_revision()
        raise StoreUnavailableError(
            f"the database is at revision {there}, which this version of Paylatch does not know: its newest is "
            f"{newest_revision()}; upgrade"
        ) from error
    if connection.dialect.name == POSTGRESQL:
        _sort_text_by_bytes(connection)


def writable_revision(connection: Connection) -> str | None:
    """Return the revision that this database is at; None: it has no tables yet. Raise as a write would."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None:
        # Changes nothing, and is refused where nothing may be changed.
        connection.exec_driver_sql("DELETE FROM alembic_version WHERE version_num IS NULL")
    return revision


def newest_revision() -> str | None:
    """Return the newest revision that there is."""
    return ScriptDirectory.from_config(_scripts()).get_current_head()


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection; there is no alembic.ini to keep in step."""
    alembic = _scripts()
    alembic.attributes["connection"] = connection
    return alembic


def _scripts() -> Config:
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return alembic


_TEXT_IN_ANOTHER_ORDER = text("""
SELECT r.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_collation c ON c.oid = a.attcollation
WHERE r.relkind = 'r' AND r.relnamespace = current_schema()::text::regnamespace AND r.relname = ANY(:tables)
  AND a.attnum > 0 AND NOT a.attisdropped AND c.collname <> 'C'
ORDER BY r.relname, a.attnum
""")


def _sort_text_by_bytes(connection: Connection) -> None:
    """Have PostgreSQL order text as SQLite and Python do, whatever language its server was set up for.

    No revision has to think of it, and an update of the server's language data cannot spoil an index.
    """
    found: dict[str, list[Row[tuple[str, str, str]]]] = {}
    for row in connection.execute(_TEXT_IN_ANOTHER_ORDER, {"tables": list(metadata.tables)}):
        found.setdefault(row.relname, []).append(row)
    quote = connection.dialect.identifier_preparer.quote
    for table, columns in found.items():
        changes = (f'ALTER COLUMN {quote(one.attname)} TYPE {one.type} COLLATE "C"' for one in columns)
        connection.execute(text(f"ALTER TABLE {quote(table)} {', '.join(changes)}"))
