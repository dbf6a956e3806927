"""What a PostgreSQL session is told and what is refused: success is answered after a durable commit, or not at all."""

import psycopg
import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import StoreUnavailableError
from paylatch.local import postgres_process
from paylatch.local.postgres_process import PostgresProcess


def administered(server: PostgresProcess, *statements: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as administrator:
        for statement in statements:
            administrator.execute(statement.encode())


async def setting(store: SqlStore, name: str) -> str:
    return await store._write(lambda one: str(one.exec_driver_sql(f"SHOW {name}").scalar_one()))


@pytest.mark.parametrize(("default", "used"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
async def test_a_commit_waits_for_the_disk_whatever_the_databases_default_is(
    postgres: PostgresProcess, default: str, used: str
) -> None:
    url = postgres.create(f"commits_{default}")
    administered(postgres, f"ALTER DATABASE commits_{default} SET synchronous_commit = '{default}'")
    async with SqlStore(url) as store:
        assert await setting(store, "synchronous_commit") == used


async def test_isolation_and_patience_are_the_bridges_own(postgres: PostgresProcess) -> None:
    url = postgres.create("isolation")
    administered(postgres, "ALTER DATABASE isolation SET default_transaction_isolation = 'serializable'")
    async with SqlStore(url) as store:
        assert await setting(store, "transaction_isolation") == "read committed"
        assert await setting(store, "lock_timeout") == "2s"
        assert await setting(store, "idle_in_transaction_session_timeout") == "30s"


async def test_a_database_in_another_encoding_is_refused(postgres: PostgresProcess) -> None:
    administered(postgres, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")
    with pytest.raises(StoreUnavailableError, match="encoding is LATIN1"):
        async with SqlStore(postgres.url("latin")):
            pytest.fail("it opened")


async def test_a_server_that_may_lose_what_it_committed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_process._OPTIONS, "fsync", "off")
    with PostgresProcess() as careless, pytest.raises(StoreUnavailableError, match="fsync = off"):
        async with SqlStore(careless.create("paylatch")):
            pytest.fail("it opened")


async def test_a_connection_that_the_server_ended_is_replaced_before_anybody_notices(postgres: PostgresProcess) -> None:
    url = postgres.create("ended")
    async with SqlStore(url) as store:
        await store.facts.one("name", "value")
        await store.ping()
        administered(postgres, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ended'")
        await store.ping()
        assert await store.facts.one("name", "another") == "value"
