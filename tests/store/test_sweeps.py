"""Judging all phones of a lender again, page by page, without anybody's commit waiting for all of them."""

from dataclasses import replace

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.schedule import PAGE, Scheduler
from device_sim.identities import simulated_imei
from tests.bridge_rig import ACME, KeptLog, Office, Work

PHONES = [simulated_imei(number) for number in range(PAGE + 3)]


@pytest.fixture
async def scheduler(store: SqlStore, office: Office) -> Scheduler:
    for imei in PHONES:
        await store.commits.commit(office.enrol(imei))
    return Scheduler(store.commits, store.schedule, office.reconsider, KeptLog())


async def begin(store: SqlStore, office: Office) -> None:
    now = office.clock.now()
    await store.commits.commit(Work(lambda tx: tx.judge_all_again(ACME, now)))


async def forget_what_is_wanted(store: SqlStore) -> None:
    """Put something into each row that a judgement would not leave there."""

    def spoil(tx: Transaction) -> None:
        for imei in PHONES:
            phone = tx.phone(imei)
            assert phone is not None
            tx.put_phone(replace(phone, look_at=2**40))

    await store.commits.commit(Work(spoil, imeis=PHONES))


async def judged(store: SqlStore) -> int:
    page = await store.phones.all_of(ACME, "", len(PHONES))
    return sum(phone.look_at < 2**40 for phone in page.items)


async def test_a_sweep_judges_every_phone_a_page_at_a_time(
    store: SqlStore, office: Office, scheduler: Scheduler
) -> None:
    await forget_what_is_wanted(store)
    await begin(store, office)
    seen = []
    while await scheduler.look():
        seen.append(await judged(store))
    assert seen == [PAGE, len(PHONES), len(PHONES)]
    assert await store.schedule.sweeps(office.clock.now()) == []


async def test_a_sweep_that_begins_while_another_is_under_way_judges_all_again(
    store: SqlStore, office: Office, scheduler: Scheduler
) -> None:
    await begin(store, office)
    await scheduler.look()
    (first,) = await store.schedule.sweeps(office.clock.now())
    await begin(store, office)
    office.clock.advance(1)
    await store.schedule.swept(first, None)  # what the first one notes late is not about the second
    (second,) = await store.schedule.sweeps(office.clock.now())
    assert (second.at, second.after) == (first.at + 1, "0")
    await forget_what_is_wanted(store)
    while await scheduler.look():
        pass
    assert await judged(store) == len(PHONES)


async def test_a_sweep_goes_on_after_a_restart(store: SqlStore, office: Office, scheduler: Scheduler) -> None:
    await forget_what_is_wanted(store)
    await begin(store, office)
    await scheduler.look()
    again = Scheduler(store.commits, store.schedule, office.reconsider, KeptLog())
    while await again.look():
        pass
    assert await judged(store) == len(PHONES)
