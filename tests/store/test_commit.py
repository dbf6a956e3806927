"""Group commit: many jobs share a transaction, and each stands for itself."""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.group_commit import MAX_BATCH, OVERTAKES
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.decide import Decided, DecisionConflictError, UnknownPhoneError
from broker_bridge.app.ports.store import Job, OverloadedError, StoreUnavailableError, Transaction, UnstorableError
from broker_bridge.app.records import AuditEntry, Outgoing
from broker_bridge.domain.commands import Status
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId
from paylatch.local.ports import free_ports
from tests.bridge_rig import ACME, Office, Work
from tests.unit.broker_bridge.facts import overdue, payment

IMEIS = [simulated_imei(number) for number in range(200)]
IMEI = IMEIS[0]


def counted_commits(store: SqlStore) -> list[object]:
    """A list that grows with each writing transaction that ends well."""
    seen: list[object] = []
    event.listen(store._writing, "commit", seen.append)
    return seen


async def together(store: SqlStore, *jobs: Job[Any]) -> list[Any]:
    """Commit jobs while the writer is held up, so that they share the next commit; results and errors, in order."""
    return await while_held_up(store, *(_answer(store, job) for job in jobs))


async def while_held_up(store: SqlStore, *submissions: Coroutine[Any, Any, Any]) -> list[Any]:
    """Submit while the writer is held up; what came of each, in order."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        begun.set()
        assert go_on.wait(10)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.commits.commit(Work(wait)))
        assert await asyncio.to_thread(begun.wait, 10)
        submitted = [tasks.create_task(submission) for submission in submissions]
        await asyncio.sleep(0)  # each of them runs up to its first wait, which is for its answer
        go_on.set()
    return [task.result() for task in submitted]


async def _answer(store: SqlStore, job: Job[Any]) -> Any:
    try:
        return await store.commits.commit(job)
    except Exception as error:  # noqa: BLE001 - an error is an answer here
        return error


def audit(text: str) -> AuditEntry:
    return AuditEntry(at=1, lender=ACME, imei=IMEI, event="test", detail=text)


async def history(store: SqlStore) -> list[str]:
    query = select(tables.audit.c.detail).where(tables.audit.c.event == "test").order_by(tables.audit.c.entry)
    return await store._read(lambda connection: [str(detail) for detail in connection.execute(query).scalars()])


async def test_what_was_committed_is_there_after_reopening(database: str, office: Office) -> None:
    async with SqlStore(database) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
        await store.commits.commit(office.enrol(IMEI))
        decided = await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
        before = await store.phones.one(ACME, IMEI)
    async with SqlStore(database) as store:
        assert await store.phones.one(ACME, IMEI) == before
        assert decided.command_id is not None
        command = await store.commands.one(ACME, decided.command_id)
        assert command is not None
        assert (command.version, command.level, command.status) == (2, 4, Status.QUEUED)


async def test_a_phone_comes_back_from_the_database_as_it_went_in(store: SqlStore, office: Office) -> None:
    phone = await store.commits.commit(office.enrol(IMEI))
    changed = replace(phone, sequence=2**53 - 1, seen_version=2**53 - 1, publish_number=7, refused_openings=3)
    await store.commits.commit(Work(lambda tx: tx.put_phone(changed), [IMEI]))
    assert await store.phones.one(ACME, IMEI) == changed


async def test_jobs_that_wait_together_share_one_commit(store: SqlStore, office: Office) -> None:
    commits = counted_commits(store)
    await together(store, *(office.enrol(imei) for imei in IMEIS[:MAX_BATCH]))
    assert len(commits) == 2, "the one that held up the others, and theirs"


async def test_a_single_job_overtakes_what_was_submitted_as_a_list(store: SqlStore) -> None:
    """A payment does not wait for the file that its lender is sending, nor for what phones report."""
    ran: list[str] = []
    items = [Work(lambda _, name=f"item {number}": ran.append(name)) for number in range(3)]  # type: ignore[misc]
    await while_held_up(
        store, store.commits.commit_each(items), store.commits.commit(Work(lambda _: ran.append("payment")))
    )
    assert ran == ["payment", "item 0", "item 1", "item 2"]


async def test_a_payment_goes_before_the_single_jobs_that_wait(store: SqlStore) -> None:
    ran: list[str] = []
    others = [store.commits.commit(Work(lambda _: ran.append("overdue"))) for _ in range(MAX_BATCH)]
    await while_held_up(store, *others, store.commits.commit(Work(lambda _: ran.append("payment")), first=True))
    assert ran.index("payment") == 0
    assert len(ran) == MAX_BATCH + 1


async def test_what_was_submitted_as_a_list_is_overtaken_only_so_often(store: SqlStore) -> None:
    ran: list[str] = []
    payments = (store.commits.commit(Work(lambda _: ran.append("payment"))) for _ in range(OVERTAKES + 5))
    await while_held_up(store, store.commits.commit_each([Work(lambda _: ran.append("item"))]), *payments)
    assert ran.index("item") == OVERTAKES - 1
    assert len(ran) == OVERTAKES + 6


async def test_the_jobs_of_a_list_are_answered_each_for_itself(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    jobs = [office.decide(overdue(90, at=1, imei=imei)) for imei in (IMEI, IMEIS[1])]
    taken, refused = await store.commits.commit_each(jobs)
    assert isinstance(taken, Decided)
    assert isinstance(refused, UnknownPhoneError)
    assert await store.commits.commit_each([]) == []


async def test_an_idle_store_waits_for_nobody(store: SqlStore, office: Office) -> None:
    commits = counted_commits(store)
    await store.commits.commit(office.enrol(IMEI))
    assert len(commits) == 1


async def test_two_decisions_for_one_phone_in_one_commit_get_one_version_each(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    lock, cure = await together(
        store, office.decide(overdue(90, at=1, imei=IMEI)), office.decide(payment(at=2, imei=IMEI))
    )
    first, second = await store.commands.one(ACME, lock.command_id), await store.commands.one(ACME, cure.command_id)
    assert first is not None
    assert second is not None
    assert [(one.version, one.status) for one in (first, second)] == [(2, Status.SUPERSEDED), (3, Status.QUEUED)]


async def test_one_decision_sent_twice_at_once_is_taken_once(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    answers = await together(store, *(office.decide(overdue(90, at=1, imei=IMEI)) for _ in range(5)))
    assert [one.repeated for one in answers] == [False, True, True, True, True]
    assert len({one.command_id for one in answers}) == 1


async def test_one_id_with_two_meanings_is_refused_even_within_one_commit(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    first, second = await together(
        store,
        office.decide(overdue(90, at=1, imei=IMEI, name="same")),
        office.decide(overdue(60, at=1, imei=IMEI, name="same")),
    )
    assert isinstance(first, Decided)
    assert isinstance(second, DecisionConflictError)


async def test_a_job_that_writes_a_row_twice_and_raises_leaves_it_as_it_was(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))

    def write_twice(tx: Transaction) -> None:
        for loan_id in ("first", "second"):
            phone = tx.phone(IMEI)
            assert phone is not None
            tx.put_phone(replace(phone, loan_id=loan_id))
        raise UnknownPhoneError("changed its mind")

    before = await store.phones.one(ACME, IMEI)
    failed, seen = await together(store, Work(write_twice, [IMEI]), Work(lambda tx: tx.phone(IMEI), [IMEI]))
    assert isinstance(failed, UnknownPhoneError)
    assert seen == before == await store.phones.one(ACME, IMEI)


async def test_a_job_that_raises_drops_its_own_writes_and_no_others(store: SqlStore, office: Office) -> None:
    def half_done(tx: Transaction) -> None:
        tx.audit(audit("half"))
        phone = tx.phone(IMEI)
        assert phone is not None
        office.queue.again(tx, phone)
        raise UnknownPhoneError("changed its mind")

    before = await store.commits.commit(office.enrol(IMEI))
    published: list[Outgoing] = []
    store.commits.on_committed(published.extend)
    _, failed, _ = await together(
        store,
        Work(lambda tx: tx.audit(audit("first")), [IMEI]),
        Work(half_done, [IMEI]),
        Work(lambda tx: tx.audit(audit("last")), [IMEI]),
    )
    assert isinstance(failed, UnknownPhoneError)
    assert await history(store) == ["first", "last"]
    assert await store.phones.one(ACME, IMEI) == before
    assert published == []


def _of_a_lender_that_nobody_has_added(office: Office, imei: Imei) -> Work[None]:
    return Work(lambda tx: tx.put_phone(replace(office.enrol(imei).run(tx), lender=LenderId("nobody"))), [imei])


async def test_a_job_that_breaks_a_constraint_fails_alone(store: SqlStore, office: Office) -> None:
    answers = await together(
        store,
        office.enrol(IMEIS[0]),
        _of_a_lender_that_nobody_has_added(office, IMEIS[1]),
        office.enrol(IMEIS[2]),
    )
    assert isinstance(answers[1], IntegrityError)
    assert [await store.phones.one(ACME, imei) is not None for imei in IMEIS[:3]] == [True, False, True]


async def test_a_value_that_the_database_cannot_hold_fails_its_own_job_alone(store: SqlStore, office: Office) -> None:
    phone = await store.commits.commit(office.enrol(IMEI))
    failed, _ = await together(
        store,
        Work(lambda tx: tx.put_phone(replace(phone, sequence=2**64)), [IMEI]),
        Work(lambda tx: tx.audit(audit("beside")), [IMEI]),
    )
    assert isinstance(failed, UnstorableError)
    assert await history(store) == ["beside"]


async def test_more_phones_than_a_statement_may_have_parameters_are_read_at_once(store: SqlStore) -> None:
    many = [simulated_imei(number) for number in range(70_000)]
    assert await store.commits.commit(Work(lambda tx: sum(tx.phone(imei) is not None for imei in many), many)) == 0


async def test_a_row_that_cannot_be_read_fails_only_who_asks_for_it(store: SqlStore, office: Office) -> None:
    for imei in IMEIS[:2]:
        await store.commits.commit(office.enrol(imei))
    garbled = tables.phones.update().where(tables.phones.c.imei == IMEIS[0]).values(holds="garbled")
    await store._write(lambda connection: connection.execute(garbled))
    answers = await together(store, *(office.decide(overdue(90, at=1, imei=imei)) for imei in IMEIS[:2]))
    assert isinstance(answers[0], ValueError)
    assert isinstance(answers[1], Decided)


async def test_states_are_handed_over_after_the_commit_and_before_the_answer(store: SqlStore, office: Office) -> None:
    commits = counted_commits(store)
    seen: list[tuple[str, int]] = []
    store.commits.on_committed(lambda _: seen.append(("published", len(commits))))
    await store.commits.commit(office.enrol(IMEI))
    seen.append(("answered", len(commits)))
    assert seen == [("published", 1), ("answered", 1)]


async def test_a_caller_that_went_away_does_not_undo_what_it_asked_for(store: SqlStore, office: Office) -> None:
    task = asyncio.create_task(store.commits.commit(office.enrol(IMEI)))
    await asyncio.sleep(0)  # it runs up to its wait for the answer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.commits.commit(Work(lambda _: None))  # the barrier: one writer, in order
    assert await store.phones.one(ACME, IMEI) is not None


async def test_more_than_the_store_promises_to_hold_is_refused_at_once(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.commits._inbox, "maxsize", 3)
    answers = await together(store, *(Work(lambda tx: tx.last_signed_at()) for _ in range(8)))
    assert answers[:3] == [0, 0, 0]
    assert all(isinstance(answer, OverloadedError) for answer in answers[3:])


async def test_leaving_finishes_what_was_submitted(database: str) -> None:
    async with SqlStore(database) as store:
        pending = [asyncio.create_task(store.commits.commit(Work(lambda _: "done"))) for _ in range(50)]
        await asyncio.sleep(0)  # each runs up to its wait for the answer
    assert await asyncio.gather(*pending) == ["done"] * 50


async def test_a_database_in_a_place_that_cannot_be_written_says_so() -> None:
    with pytest.raises(StoreUnavailableError, match="/proc/nowhere"):
        async with SqlStore("sqlite:////proc/nowhere/paylatch.db"):
            pytest.fail("it opened")


@pytest.mark.parametrize("url", ["mysql://localhost/paylatch", "paylatch.db", "sqlite://", "postgresql://db.example"])
def test_what_is_no_database_of_ours_is_refused_with_what_it_must_be(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///FILE or postgresql://user@host:port/database"):
        SqlStore(url)


async def test_a_server_that_is_not_there_says_so_without_the_password() -> None:
    (nobody,) = free_ports(1)
    with pytest.raises(StoreUnavailableError, match="refused") as caught:
        async with SqlStore(f"postgresql://paylatch:s3cret@127.0.0.1:{nobody}/paylatch"):
            pytest.fail("it opened")
    assert "s3cret" not in str(caught.value)
