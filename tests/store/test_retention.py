"""Commands that have long been over are forgotten; what somebody may still ask for is not."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import Table, func, select

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app import retention
from broker_bridge.app.decide import Decided
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.retention import Retention
from broker_bridge.domain.commands import Event, after
from broker_bridge.domain.phones import CommandId
from broker_bridge.domain.policy import DAY_S
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from tests.bridge_rig import ACME, KeptLog, Office, Work
from tests.unit.broker_bridge.facts import overdue, payment

IMEI, OTHER = simulated_imei(0), simulated_imei(1)


def tidying(store: SqlStore, office: Office, log: KeptLog | None = None) -> Retention:
    return Retention(
        store.finished_commands, office.clock, log or KeptLog(), keep_s=400 * DAY_S, keep_superseded_s=30 * DAY_S
    )


async def settle(store: SqlStore, office: Office, imei: Imei, event: Event) -> CommandId:
    """Let the newest command of a phone end like this; return it."""

    def act(tx: Transaction) -> CommandId:
        phone = tx.phone(imei)
        assert phone is not None
        command = tx.command(phone.command_id)
        assert command is not None
        tx.put_command(replace(command, status=after(command.status, event), finished_at=office.clock.now()))
        return command.command_id

    return await store.commits.commit(Work(act, [imei]))


async def known(store: SqlStore, command_id: CommandId | None) -> bool:
    assert command_id is not None
    return await store.commands.one(ACME, command_id) is not None


async def decide(store: SqlStore, office: Office, at: int, *, days: int = 0, imei: Imei = IMEI) -> Decided:
    fact = overdue(days, at=at, imei=imei) if days else payment(at=at, imei=imei)
    return await store.commits.commit(office.decide(fact))


async def rows(store: SqlStore, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return await store._read(lambda connection: int(connection.execute(query).scalar_one()))


@pytest.mark.parametrize("event", [Event.APPLIED, Event.FAILED, Event.REFUSED])
async def test_what_a_phone_answered_is_kept_for_its_days_and_then_forgotten(
    store: SqlStore, office: Office, event: Event
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    answered = await settle(store, office, IMEI, event)
    await decide(store, office, 1, days=90)
    office.clock.advance(400 * DAY_S)
    assert await tidying(store, office).tidy() == 0
    assert await known(store, answered)
    office.clock.advance(1)
    assert await tidying(store, office).tidy() == 1
    assert not await known(store, answered)


async def test_a_phones_newest_command_stays_however_old_it_is(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    newest = await settle(store, office, IMEI, Event.APPLIED)
    office.clock.advance(4000 * DAY_S)
    assert await tidying(store, office).tidy() == 0
    assert await store.finished_commands.forget([newest]) == 0, "it may have become the newest since it was looked for"
    assert await known(store, newest)
    phone = await store.phones.one(ACME, IMEI)
    assert phone is not None
    await store.commits.commit(Work(lambda tx: office.queue.again(tx, phone), [IMEI]))
    assert await tidying(store, office).tidy() == 1
    assert not await known(store, newest)


async def test_what_nobody_acted_on_is_forgotten_sooner(store: SqlStore, office: Office) -> None:
    replaced = (await store.commits.commit(office.enrol(IMEI))).command_id
    await decide(store, office, 1, days=90)
    office.clock.advance(30 * DAY_S)
    assert await tidying(store, office).tidy() == 0
    office.clock.advance(1)
    assert await tidying(store, office).tidy() == 1
    assert not await known(store, replaced)


async def test_a_command_that_its_phone_has_not_answered_is_never_forgotten(store: SqlStore, office: Office) -> None:
    waiting = (await store.commits.commit(office.enrol(IMEI))).command_id
    office.clock.advance(4000 * DAY_S)
    assert await tidying(store, office).tidy() == 0
    assert await known(store, waiting)


async def test_decisions_and_history_stay_and_a_repeated_decision_gets_its_old_answer(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    lock = await decide(store, office, 1, days=90)
    await decide(store, office, 2)
    before = [await rows(store, table) for table in (tables.phones, tables.decisions, tables.audit)]
    office.clock.advance(31 * DAY_S)
    assert await tidying(store, office).tidy() == 2
    assert not await known(store, lock.command_id)
    assert [await rows(store, table) for table in (tables.phones, tables.decisions, tables.audit)] == before
    assert await decide(store, office, 1, days=90) == replace(lock, repeated=True)


async def test_many_are_forgotten_chunk_by_chunk_and_each_phone_keeps_its_newest(
    store: SqlStore, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    monkeypatch.setattr(retention, "PAUSE_S", 0)
    for imei in (IMEI, OTHER):
        await store.commits.commit(office.enrol(imei))
        for number in range(1, 11):
            await decide(store, office, number, days=number % 2 * 90, imei=imei)
            office.clock.advance(number % 3)
    log = KeptLog()
    office.clock.advance(31 * DAY_S)
    assert await tidying(store, office, log).tidy() == 20
    assert await rows(store, tables.commands) == 2
    assert ("info", "commands_forgotten", {"count": 20}) in log.entries
    for imei in (IMEI, OTHER):
        phone = await store.phones.one(ACME, imei)
        assert phone is not None
        assert await known(store, phone.command_id)


async def test_a_database_that_is_away_is_asked_again_the_next_time(store: SqlStore, office: Office) -> None:
    log = KeptLog()
    await store._write(lambda connection: connection.exec_driver_sql("ALTER TABLE commands RENAME TO away"))
    running = asyncio.create_task(tidying(store, office, log).run())
    await log.repeated("retention_delayed", 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store._write(lambda connection: connection.exec_driver_sql("ALTER TABLE away RENAME TO commands"))
    assert await tidying(store, office).tidy() == 0
