"""Brings a database's schema up to date with Alembic's revisions."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run all revisions up to `revision` that this database has not seen, in the connection's transaction."""
    command.upgrade(config(connection), revision)


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection; there is no alembic.ini to keep in step."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    alembic.attributes["connection"] = connection
    return alembic
