"""Every revision is climbed from with data in it: nothing is lost, and what is there can be used.

`revisions/<revision>.json` holds rows as the code of that time wrote them (see `record_rows`); each file is loaded at
its own revision and brought to the newest. A new revision needs no new test.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, LargeBinary, MetaData, Table, create_engine, insert, inspect, select

from broker_bridge.adapters.store.engine import POSTGRESQL
from broker_bridge.adapters.store.migrate import config, upgrade
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.domain.commands import Status
from broker_bridge.domain.phones import PhoneStatus
from broker_bridge.domain.policy import DAY_S
from lock_protocol.levels import Level
from paylatch.local.postgres_process import PostgresProcess
from tests.bridge_rig import ACME, Office
from tests.conftest import writing_engine
from tests.store.record_rows import LOCK, LOCKED, NEW, RELEASED, REVISIONS
from tests.store.test_schema import differences
from tests.unit.broker_bridge.facts import overdue, payment

FIRST = "0001"
RECORDED = sorted(path.stem for path in REVISIONS.iterdir())

Rows = dict[str, list[dict[str, Any]]]


@cache
def recorded(revision: str) -> Rows:
    """The rows of a revision, as its file has them."""
    rows: Rows = json.loads((REVISIONS / f"{revision}.json").read_text(encoding="utf-8"))
    return rows


def all_revisions() -> list[str]:
    """Every revision, the first one first."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(config(connection))
    engine.dispose()
    return [one.revision for one in reversed(list(script.walk_revisions()))]


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    with writing_engine(url) as engine, engine.begin() as connection:
        yield connection


def tables_of(connection: Connection) -> dict[str, Table]:
    """The tables as they are in this database just now, whatever the code knows; parents before their children."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables}


def load(connection: Connection, revision: str) -> None:
    """Bring an empty database to a revision, and fill it with that revision's rows."""
    upgrade(connection, revision)
    for name, table in tables_of(connection).items():
        if rows := recorded(revision).get(name):
            connection.execute(insert(table), [from_json(table, row) for row in rows])


def from_json(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value) if isinstance(table.c[name].type, LargeBinary) and value is not None else value
        for name, value in row.items()
    }


def missing(connection: Connection, revision: str) -> list[tuple[str, dict[str, Any]]]:
    """Rows of a revision's file that are not there any more, compared by the columns that still are."""
    lost = []
    for name, table in tables_of(connection).items():
        there = list(connection.execute(select(table)).mappings())
        for row in recorded(revision).get(name, []):
            kept = from_json(table, {column: value for column, value in row.items() if column in table.c})
            if not any(all(one[column] == value for column, value in kept.items()) for one in there):
                lost.append((name, kept))
    return lost


def test_the_first_revision_is_climbed_from_and_no_file_is_of_a_revision_that_is_none() -> None:
    assert FIRST in RECORDED
    assert set(RECORDED) <= set(all_revisions())


@pytest.mark.parametrize("revision", RECORDED)
def test_every_row_is_still_there_at_the_newest_revision(empty_database: str, revision: str) -> None:
    with transaction(empty_database) as connection:
        load(connection, revision)
    with transaction(empty_database) as connection:
        upgrade(connection)
        assert set(recorded(revision)) <= set(tables_of(connection)), (
            "a table that is renamed needs its rows looked for"
        )
        assert missing(connection, revision) == []
        assert differences(connection) == []


async def climbed(url: str, revision: str) -> None:
    with transaction(url) as connection:
        load(connection, revision)


@pytest.mark.parametrize("revision", RECORDED)
async def test_a_phone_that_was_locked_long_ago_opens_on_a_payment(
    empty_database: str, office: Office, revision: str
) -> None:
    await climbed(empty_database, revision)
    office.clock.advance(DAY_S)
    async with SqlStore(empty_database) as store:
        before = await store.phones.one(ACME, LOCKED)
        assert before is not None
        assert (before.desired.state.level, before.reported_level) == (Level.LOCKED, Level.LOCKED)
        decided = await store.commits.commit(office.decide(payment(at=9_000, imei=LOCKED)))
        after = await store.phones.one(ACME, LOCKED)
        assert after is not None
        assert decided.command_id is not None
        queued = await store.commands.one(ACME, decided.command_id)
        assert queued is not None
    assert (after.desired.state.level, after.desired.order) == (Level.UNLOCKED, (1, before.desired.state.version + 1))
    assert queued.status is Status.QUEUED


@pytest.mark.parametrize("revision", RECORDED)
async def test_everything_else_goes_on_from_where_it_was(empty_database: str, office: Office, revision: str) -> None:
    await climbed(empty_database, revision)
    async with SqlStore(empty_database) as store:
        key = await store.keys.working(b"k" * 32)
        assert key is not None
        assert key.lender == ACME
        assert await store.canaries.number_of("a token") == 4
        assert await store.facts.one("mqtt_client_id", "another") == "paylatch-0123456789abcdef"
        assert len((await store.phones.all_of(ACME, "", 100)).items) == len(recorded(revision)["phones"])
        repeated = await store.commits.commit(office.decide(LOCK))
        assert (repeated.repeated, repeated.level) == (True, Level.LOCKED)
        released, new = await store.phones.one(ACME, RELEASED), await store.phones.one(ACME, NEW)
        assert released is not None
        assert released.status is PhoneStatus.RELEASED
        assert new is not None
        assert new.said is None
        office.clock.advance(DAY_S)
        await store.commits.commit(office.decide(overdue(90, at=1_000, imei=NEW)))


@pytest.mark.parametrize("revision", RECORDED)
async def test_phones_keep_their_history_and_go_on_with_it(empty_database: str, office: Office, revision: str) -> None:
    await climbed(empty_database, revision)
    newest_first = recorded(revision)["audit"][::-1]
    async with SqlStore(empty_database) as store:
        for imei in {row["imei"] for row in recorded(revision)["phones"]}:
            told = [entry.detail for entry in (await store.phones.history(ACME, imei, "", 100)).items]
            assert told == [row["detail"] for row in newest_first if row["imei"] == imei]
        office.clock.advance(DAY_S)
        before = (await store.phones.history(ACME, LOCKED, "", 100)).items
        await store.commits.commit(office.decide(payment(at=9_000, imei=LOCKED)))
        after = (await store.phones.history(ACME, LOCKED, "", 100)).items
    assert [entry.event for entry in after[: -len(before)]] == ["decision", "queued"]
    assert after[-len(before) :] == before


@pytest.mark.parametrize("revision", RECORDED)
def test_it_can_be_gone_back_to_and_climbed_from_again(empty_database: str, revision: str) -> None:
    with transaction(empty_database) as connection:
        load(connection, revision)
        upgrade(connection)
    for _ in range(2):
        with transaction(empty_database) as connection:
            command.downgrade(config(connection), revision)
        with transaction(empty_database) as connection:
            assert missing(connection, revision) == []
            upgrade(connection)
            assert differences(connection) == []


def test_every_revision_can_be_climbed_and_gone_back_alone(empty_database: str) -> None:
    revisions = all_revisions()
    with transaction(empty_database) as connection:
        load(connection, FIRST)
    for revision in revisions[1:]:
        with transaction(empty_database) as connection:
            upgrade(connection, revision)
            command.downgrade(config(connection), "-1")
            assert missing(connection, FIRST) == []
            upgrade(connection, revision)
    with transaction(empty_database) as connection:
        command.downgrade(config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(empty_database: str) -> None:
    with transaction(empty_database) as connection:
        upgrade(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailableError, match=r"revision 9999, which this version .* newest is \d+; upgrade"):
        async with SqlStore(empty_database):
            pytest.fail("it opened")


def test_text_sorts_by_its_bytes_whatever_language_the_server_speaks(postgres: PostgresProcess) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as administrator:
        administrator.execute("CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    lenders = ["a-b", "a_b", "ab", "aB", "AB", "a", "é"]
    with transaction(postgres.url("english")) as connection:
        load(connection, FIRST)
    with transaction(postgres.url("english")) as connection:
        upgrade(connection)
        assert connection.dialect.name == POSTGRESQL
        table = tables_of(connection)["lenders"]
        connection.execute(insert(table), [{"lender": lender, "created_at": 1} for lender in lenders])
        found = connection.execute(select(table.c.lender).order_by(table.c.lender)).scalars()
        assert list(found) == sorted([*lenders, ACME])
