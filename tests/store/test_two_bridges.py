"""Two bridges on one database: the one that was thought dead, and the one that took over."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.decide import DecisionConflictError
from broker_bridge.app.enrol import EnrolmentConflictError
from broker_bridge.app.ports.queries import Heartbeat
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.records import AuditEntry
from broker_bridge.domain.phones import Phone
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.keys import SigningKey
from paylatch.local.postgres_process import PostgresProcess
from tests.bridge_rig import ACME, Office, Work
from tests.unit.broker_bridge.facts import overdue

IMEIS = [simulated_imei(number) for number in range(50)]
IMEI = IMEIS[0]
ANOTHER_KEY = SigningKey.from_seed(b"2" * 32).public


@pytest.fixture
async def stores(database: str) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    async with SqlStore(database) as first, SqlStore(database) as second:
        await first.lenders.add(ACME, b"k" * 32, at=1)
        yield first, second


async def test_two_that_start_at_once_on_an_empty_database_both_find_every_table(empty_database: str) -> None:
    async def start() -> int:
        async with SqlStore(empty_database) as store:
            return await store.canaries.newest_publish_number()

    assert set(await asyncio.gather(start(), start())) == {0}


async def test_a_value_that_both_draw_is_the_same_for_both(stores: tuple[SqlStore, SqlStore]) -> None:
    first, second = stores
    for number in range(20):
        drawn = await asyncio.gather(
            first.facts.one(f"name {number}", "one"), second.facts.one(f"name {number}", "two")
        )
        assert len(set(drawn)) == 1


async def test_each_hears_the_others_heartbeat_and_ends_only_its_own(stores: tuple[SqlStore, SqlStore]) -> None:
    first, second = stores
    assert await second.heartbeats.latest() is None
    assert not await first.heartbeats.beat(Heartbeat("one", 1))
    await first.heartbeats.claim(Heartbeat("one", 0))
    assert await first.heartbeats.beat(Heartbeat("one", 1))
    assert await second.heartbeats.latest() == Heartbeat("one", 1)
    await second.heartbeats.claim(Heartbeat("one-and-another", 0))
    assert not await first.heartbeats.beat(Heartbeat("one", 2))
    await first.heartbeats.remove("one")
    assert await first.heartbeats.latest() == Heartbeat("one-and-another", 0)
    await second.heartbeats.remove("one-and-another")
    assert await first.heartbeats.latest() is None


async def test_phones_enrolled_at_both_at_once_are_enrolled_once(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    first, second = stores
    answers = await asyncio.gather(
        *(first.commits.commit(office.enrol(imei)) for imei in IMEIS),
        *(second.commits.commit(office.enrol(imei)) for imei in reversed(IMEIS)),
    )
    assert Counter(phone.imei for phone in answers) == Counter(IMEIS * 2)
    assert {phone.desired.order for phone in answers} == {(1, 1)}


async def test_a_phone_enrolled_at_both_at_once_with_other_keys_belongs_to_one(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    first, second = stores
    for imei in IMEIS:
        answers = await asyncio.gather(
            first.commits.commit(office.enrol(imei)),
            second.commits.commit(office.enrol(imei, device_key=ANOTHER_KEY)),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == sorted(
            (Phone.__name__, EnrolmentConflictError.__name__)
        )


async def test_one_decision_sent_to_both_is_taken_once(stores: tuple[SqlStore, SqlStore], office: Office) -> None:
    first, second = stores
    for imei in IMEIS:
        await first.commits.commit(office.enrol(imei))
    decisions = [overdue(90, at=1, imei=imei, name=f"d{imei}") for imei in IMEIS]
    answers = await asyncio.gather(
        *(first.commits.commit(office.decide(one)) for one in decisions),
        *(second.commits.commit(office.decide(one)) for one in reversed(decisions)),
    )
    assert Counter(answer.repeated for answer in answers) == {True: len(IMEIS), False: len(IMEIS)}
    assert len({answer.command_id for answer in answers}) == len(IMEIS)


async def test_one_id_for_two_phones_at_once_is_one_decision_and_one_conflict(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    first, second = stores
    for imei in IMEIS[:2]:
        await first.commits.commit(office.enrol(imei))
    for number in range(1, 21):
        days = 30 + number % 2 * 60
        answers = await asyncio.gather(
            first.commits.commit(office.decide(overdue(days, at=number, imei=IMEIS[0], name=f"d{number}"))),
            second.commits.commit(office.decide(overdue(days, at=number, imei=IMEIS[1], name=f"d{number}"))),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers].count(DecisionConflictError) == 1


async def test_versions_never_repeat_and_bridges_that_lock_the_same_phones_never_wait_in_a_circle(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    imeis = IMEIS[:5]
    for imei in imeis:
        await stores[0].commits.commit(office.enrol(imei))

    def again(tx: Transaction) -> list[tuple[int, int]]:
        phones = [tx.phone(imei) for imei in imeis]
        return [office.queue.again(tx, phone).desired.order for phone in phones if phone is not None]

    jobs = (
        store.commits.commit(Work(again, order))
        for store in stores
        for order in (imeis, imeis[::-1])
        for _ in range(25)
    )
    orders = await asyncio.gather(*jobs)
    for of_one_phone in zip(*orders, strict=True):
        assert sorted(of_one_phone) == [(1, version) for version in range(2, 102)]


async def test_the_newest_signed_time_never_goes_back(stores: tuple[SqlStore, SqlStore]) -> None:
    first, second = stores
    for at in range(0, 40, 2):
        await asyncio.gather(
            first.commits.commit(Work(lambda tx, at=at: tx.put_last_signed_at(at + 2))),  # type: ignore[misc]
            second.commits.commit(Work(lambda tx, at=at: tx.put_last_signed_at(at + 1))),  # type: ignore[misc]
        )
        assert await first.commits.commit(Work(lambda tx: tx.last_signed_at())) == at + 2


async def test_a_phone_that_another_bridge_enrols_between_reading_and_writing_is_read_again(
    postgres: PostgresProcess, office: Office
) -> None:
    """On PostgreSQL alone: a row that is not there yet cannot be locked. SQLite has one writer."""
    url = postgres.create("between")
    begun, go_on = threading.Event(), threading.Event()

    class Interrupted:
        """An enrolment that is held up after it has seen that there is no such phone."""

        imeis, decisions = (IMEI,), ()

        def run(self, tx: Transaction) -> Phone:
            phone = office.enrol(IMEI, device_key=ANOTHER_KEY).run(tx)
            begun.set()
            assert go_on.wait(10)
            return phone

    async with SqlStore(url) as first, SqlStore(url) as second:
        await first.lenders.add(ACME, b"k" * 32, at=1)
        held_up = asyncio.create_task(first.commits.commit(Interrupted()))
        assert await asyncio.to_thread(begun.wait, 10)
        enrolled = await second.commits.commit(office.enrol(IMEI))
        go_on.set()
        with pytest.raises(EnrolmentConflictError):
            await held_up
        assert await first.phones.one(ACME, IMEI) == enrolled


async def test_both_continue_the_histories_of_the_same_phones(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    rounds, imeis = 10, IMEIS[:4]

    def line(imei: Imei, detail: str) -> Work[None]:
        entry = AuditEntry(at=1, lender=ACME, imei=imei, event="test", detail=detail)
        return Work(lambda tx: tx.audit(entry), [imei])

    for imei in imeis:
        await stores[0].commits.commit(office.enrol(imei))
    await asyncio.gather(
        *(
            store.commits.commit(line(imei, f"{bridge} {number}"))
            for number in range(rounds)
            for bridge, store in enumerate(stores)
            for imei in imeis[:: 1 if bridge else -1]
        )
    )
    for imei in imeis:
        told = [entry.detail for entry in (await stores[0].phones.history(ACME, imei, "", 100)).items]
        for bridge in range(2):
            mine = [detail for detail in told if detail.startswith(f"{bridge} ")]
            assert mine == [f"{bridge} {number}" for number in reversed(range(rounds))]


async def test_history_that_no_phones_row_would_name_is_not_written(
    stores: tuple[SqlStore, SqlStore], office: Office
) -> None:
    store, _ = stores
    await store.commits.commit(office.enrol(IMEI))
    entry = AuditEntry(at=1, lender=ACME, imei=IMEI, event="test", detail="of a phone that the job has not named")
    with pytest.raises(LookupError, match=IMEI):
        await store.commits.commit(Work(lambda tx: tx.audit(entry)))
