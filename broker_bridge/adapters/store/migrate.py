"""Brings a database's schema up to date with Alembic's revisions."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run all revisions up to `revision` that this database has not seen, in the connection's transaction."""
    command.upgrade(config(connection), revision)


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
