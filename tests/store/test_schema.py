"""The migrations make the schema that the code is written against."""

import os
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from broker_bridge.adapters.store.migrate import upgrade
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.adapters.store.tables import metadata
from tests.bridge_rig import ACME
from tests.conftest import writing_engine


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def test_the_migrations_make_exactly_the_tables_of_the_code(empty_database: str) -> None:
    with writing_engine(empty_database) as engine, engine.begin() as connection:
        upgrade(connection)
        assert differences(connection) == []


def test_an_index_that_only_the_code_knows_would_be_found(empty_database: str) -> None:
    with writing_engine(empty_database) as engine, engine.begin() as connection:
        upgrade(connection)
        connection.exec_driver_sql("DROP INDEX ix_commands_due")
        assert [difference[0] for difference in differences(connection) if isinstance(difference, tuple)] == [
            "add_index"
        ]


async def test_opening_an_up_to_date_database_again_changes_nothing(empty_database: str) -> None:
    async with SqlStore(empty_database) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
    async with SqlStore(empty_database) as store:
        assert await store.keys.working(b"k" * 32) is not None


async def test_opening_an_empty_database_makes_every_table(empty_database: str) -> None:
    async with SqlStore(empty_database):
        pass
    with writing_engine(empty_database) as engine:
        assert set(metadata.tables) <= set(inspect(engine).get_table_names())


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


async def test_a_new_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with SqlStore(f"sqlite:///{tmp_path / 'new.db'}") as store:
            await store.lenders.add(ACME, b"k" * 32, at=1)
            modes = modes_in(tmp_path)
    finally:
        os.umask(before)
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}
