"""What the bridge asks the store: what is due, what a broker may have lost, what has been silent for long."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event

from broker_bridge.adapters.store import tables
from broker_bridge.adapters.store.canaries import KEPT
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.confirm import Judge
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.sent import RESTORE_AGAIN_S, Ack, MarkSent
from broker_bridge.domain.commands import Event, Status
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import Phone
from device_sim.identities import simulated_imei
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME, Office, Work
from tests.unit.broker_bridge.facts import overdue, payment, settled

A, B, C, D = sorted(simulated_imei(number) for number in range(4))
OTHER = LenderId("other-lender")


async def enrolled(store: SqlStore, office: Office) -> None:
    """Four phones, open, nothing published yet."""
    for imei in (A, B, C, D):
        await store.commits.commit(office.enrol(imei))


async def published(store: SqlStore, office: Office, *phones: Phone, first_number: int = 1) -> None:
    acks = [Ack(phone.imei, phone.desired.order, number) for number, phone in enumerate(phones, first_number)]
    await store.commits.commit(MarkSent(acks, office.clock))


async def row(store: SqlStore, imei: str) -> Phone:
    page = await store.phones.all_of(ACME, "", 100)
    return next(phone for phone in page.items if phone.imei == imei)


async def test_what_is_due_is_claimed_by_lane_the_longest_waiting_first(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    office.clock.advance(10)
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    due = await store.outgoing.claim(Lane.KEEPING, office.clock.now(), 10)
    assert {one.imei for one in due} == {B, C, D}
    assert [one.imei for one in await store.outgoing.claim(Lane.CLOSING, office.clock.now(), 10)] == [A]


async def test_of_what_is_due_those_that_wait_for_longest_are_claimed_where_not_all_can_be(
    store: SqlStore, office: Office
) -> None:
    for imei in (B, D, A, C):
        await store.commits.commit(office.enrol(imei))
        office.clock.advance(1)
    assert [one.imei for one in await store.outgoing.claim(Lane.KEEPING, office.clock.now(), 3)] == [B, D, A]
    set_back = office.clock.now() - 86_400
    assert len(await store.outgoing.claim(Lane.KEEPING, set_back, 3)) == 3, "who has paid waits for no clock"


async def test_only_the_newest_version_of_a_phone_is_claimed(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    await store.commits.commit(office.decide(payment(at=2, imei=A)))
    claimed = [one.order for lane in Lane for one in await store.outgoing.claim(lane, office.clock.now(), 10)]
    assert claimed == [(1, 3)]


async def test_a_claim_takes_no_more_than_it_is_told(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    assert len(await store.outgoing.claim(Lane.KEEPING, office.clock.now(), 3)) == 3


async def test_what_is_due_at_once_was_not_put_off(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    await store.commits.commit(office.decide(payment(at=2, imei=A)))
    assert len(await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10)) == 1
    assert await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10, put_off=True) == []


async def test_a_published_opening_is_due_again_after_5_then_30_then_300_seconds(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    await store.commits.commit(office.decide(payment(at=2, imei=A)))
    phone = await row(store, A)
    for number, wait in enumerate((5, 30, 300), 1):
        await published(store, office, phone, first_number=number)
        office.clock.advance(wait - 1)
        assert await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10) == []
        office.clock.advance(1)
        put_off = await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10, put_off=True)
        assert [(one.imei, one.repetition) for one in put_off] == [(A, False)], "once is enough while it is in flight"
    await published(store, office, phone, first_number=4)
    office.clock.advance(10**6)
    assert await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10) == []


async def test_a_lock_that_was_restored_goes_out_once_more_although_it_has_gone(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    lock = await row(store, A)
    await published(store, office, lock)
    judge = Judge(office.queue, office.clock, PhonesLog(office.log, office.clock))
    await store.commits.commit(Work(lambda tx: judge.cover(tx, lock), [A]))
    office.clock.advance(RESTORE_AGAIN_S)
    (again,) = await store.outgoing.claim(Lane.CLOSING, office.clock.now(), 10, put_off=True)
    assert (again.order, again.repetition) == (lock.desired.order, True)


async def test_a_first_state_is_no_opening_and_not_due_again(store: SqlStore, office: Office) -> None:
    """A whole book that is being enrolled neither stands before payers nor is repeated for phones in their boxes."""
    phone = await store.commits.commit(office.enrol(A))
    assert await store.outgoing.claim(Lane.OPENING, office.clock.now(), 10) == []
    assert [one.imei for one in await store.outgoing.claim(Lane.KEEPING, office.clock.now(), 10)] == [A]
    await published(store, office, phone)
    office.clock.advance(10**6)
    for lane in Lane:
        assert await store.outgoing.claim(lane, office.clock.now(), 10) == []


async def test_a_published_lock_is_not_due_again(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    await published(store, office, await row(store, A))
    office.clock.advance(10**6)
    assert await store.outgoing.claim(Lane.CLOSING, office.clock.now(), 10) == []


async def test_a_puback_of_a_version_that_was_replaced_meanwhile_marks_nothing(store: SqlStore, office: Office) -> None:
    replaced = await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    await published(store, office, replaced, first_number=9)
    assert (await row(store, A)).publish_number == 0
    assert [one.order for one in await store.outgoing.claim(Lane.CLOSING, office.clock.now(), 10)] == [(1, 2)]


async def test_what_was_published_after_a_number_is_found_openings_and_closings_apart(
    store: SqlStore, office: Office
) -> None:
    await enrolled(store, office)
    await store.commits.commit(office.decide(overdue(90, at=1, imei=C)))
    await published(store, office, *[await row(store, imei) for imei in (A, B, C, D)], first_number=1)

    async def after(number: int, *, opening: bool) -> list[str]:
        return [one.imei for one in await store.outgoing.published_after(number, opening=opening, after=None, limit=10)]

    assert await after(0, opening=True) == [A, B, D]
    assert await after(0, opening=False) == [C]
    assert await after(1, opening=True) == [B, D]
    assert await after(3, opening=False) == []
    assert await after(4, opening=True) == []


async def test_a_released_phone_is_among_those_that_are_to_be_open(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    await store.commits.commit(office.decide(settled(at=1, imei=A)))
    office.lender.delegation_version = 2
    newest = office.signer.delegation(ACME)
    for opening, found in ((True, [A]), (False, [])):
        lost = await store.outgoing.published_after(0, opening=opening, after=None, limit=10)
        assert [one.imei for one in lost] == found
        assert await store.signed.under_older(newest, opening=opening, after=None, limit=10) == found


async def test_what_was_published_after_a_number_comes_in_pages_by_imei(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    await published(store, office, *[await row(store, imei) for imei in (D, C, B, A)])
    first = await store.outgoing.published_after(0, opening=True, after=None, limit=3)
    second = await store.outgoing.published_after(0, opening=True, after=first[-1].imei, limit=3)
    assert [one.imei for one in (*first, *second)] == [A, B, C, D]


async def test_a_state_whose_acknowledgement_was_never_committed_may_be_lost_whatever_the_number(
    store: SqlStore, office: Office
) -> None:
    await enrolled(store, office)
    states = await store.outgoing.published_after(7, opening=True, after=None, limit=10)
    assert [one.imei for one in states] == [A, B, C, D]


async def test_silent_phones_are_found_by_when_their_command_was_sent(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    await published(store, office, await row(store, A))
    office.clock.advance(100)
    await published(store, office, await row(store, B))
    assert await store.outgoing.sent_before(office.clock.now(), 10) == [A]
    assert set(await store.outgoing.sent_before(office.clock.now() + 1, 10)) == {A, B}
    assert len(await store.outgoing.sent_before(office.clock.now() + 1, 1)) == 1


async def test_a_silent_phone_whose_row_cannot_be_read_is_found_once(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    await published(store, office, *[await row(store, imei) for imei in (A, B)])
    await store.outgoing.put_timed_out(A, office.clock.now())
    assert set(await store.outgoing.sent_before(office.clock.now() + 1, 10)) == {A, B}, "sent since"
    await store.outgoing.put_timed_out(A, office.clock.now() + 1)
    assert await store.outgoing.sent_before(office.clock.now() + 1, 10) == [B]


async def test_what_a_phone_has_proven_meanwhile_is_no_silence(store: SqlStore, office: Office) -> None:
    phone = await store.commits.commit(office.enrol(A))
    await published(store, office, phone)
    judge = Judge(office.queue, office.clock, PhonesLog(office.log, office.clock))
    await store.commits.commit(Work(lambda tx: judge.settle(tx, phone, Event.APPLIED), [A]))
    await store.outgoing.put_timed_out(A, office.clock.now() + 1)
    command = await store.commands.one(ACME, phone.command_id)
    assert command is not None
    assert command.status is Status.SUCCEEDED


async def test_a_decisions_newest_command_is_the_one_that_was_signed_last(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    decided = await store.commits.commit(office.decide(overdue(90, at=1, imei=A)))
    lock = await row(store, A)
    await store.commits.commit(Work(lambda tx: office.queue.again(tx, lock), [A]))
    newest = await store.commands.newest_of(ACME, A, decided.decision_id)
    assert newest is not None
    assert (newest.version, newest.status) == (3, Status.QUEUED)
    office.lender.epoch = office.lender.delegation_version = 2
    lock = await row(store, A)
    await store.commits.commit(Work(lambda tx: office.queue.again(tx, lock), [A]))
    newest = await store.commands.newest_of(ACME, A, decided.decision_id)
    assert newest is not None
    assert (newest.epoch, newest.version) == (2, 1)


async def test_a_phone_whose_command_is_not_there_is_published_to_all_the_same(store: SqlStore, office: Office) -> None:
    phone = await store.commits.commit(office.enrol(A))
    await store._write(lambda connection: connection.execute(delete(tables.commands)))
    (newest,) = await store.outgoing.newest([A])
    assert (newest.lane, newest.order) == (Lane.OPENING, phone.desired.order)


async def test_a_puback_that_is_written_after_a_newer_one_leaves_the_newer_number(
    store: SqlStore, office: Office
) -> None:
    phone = await store.commits.commit(office.enrol(A))
    await published(store, office, phone, first_number=9)
    await published(store, office, phone, first_number=7)
    assert (await row(store, A)).publish_number == 9
    lost = await store.outgoing.published_after(8, opening=True, after=None, limit=10)
    assert [one.imei for one in lost] == [A], "a broker that has all up to 8 has lost the publish"


async def test_publish_numbers_go_on_above_every_publish_and_every_canary(store: SqlStore, office: Office) -> None:
    assert await store.canaries.newest_publish_number() == 0
    await published(store, office, await store.commits.commit(office.enrol(A)), first_number=7)
    assert await store.canaries.newest_publish_number() == 7
    await store.canaries.put("token", 12)
    assert await store.canaries.newest_publish_number() == 12


async def test_a_canary_is_known_by_its_token_alone(store: SqlStore) -> None:
    await store.canaries.put("one", 5)
    await store.canaries.put("two", 9)
    assert await store.canaries.number_of("one") == 5
    assert await store.canaries.number_of("three") is None


async def test_only_the_oldest_canaries_are_forgotten(store: SqlStore) -> None:
    for number in range(1, KEPT + 3):
        await store.canaries.put(f"token {number}", number)
    known = [number for number in range(1, KEPT + 3) if await store.canaries.number_of(f"token {number}")]
    assert known == list(range(3, KEPT + 3))


async def test_a_lender_sees_its_own_phones_page_by_page(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    first = await store.phones.all_of(ACME, "", 3)
    assert first.next_token is not None
    second = await store.phones.all_of(ACME, first.next_token, 3)
    assert [one.imei for one in (*first.items, *second.items)] == [A, B, C, D]
    assert second.next_token is None


async def test_the_last_page_may_be_just_full(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    assert (await store.phones.all_of(ACME, "", 4)).next_token is None


async def test_another_lender_sees_nothing_of_it(store: SqlStore, office: Office) -> None:
    phone = await store.commits.commit(office.enrol(A))
    assert await store.phones.one(OTHER, A) is None
    assert (await store.phones.all_of(OTHER, "", 10)).items == []
    assert await store.commands.one(OTHER, phone.command_id) is None
    assert await store.commands.one(ACME, phone.command_id) is not None


async def test_phones_under_an_older_delegation_are_found(store: SqlStore, office: Office) -> None:
    await enrolled(store, office)
    await store.commits.commit(office.decide(overdue(90, at=1, imei=B)))
    office.lender.delegation_version = 2
    await store.commits.commit(office.decide(overdue(90, at=1, imei=C)))
    newest = office.signer.delegation(ACME)
    assert await store.signed.under_older(newest, opening=True, after=None, limit=10) == [A, D]
    assert await store.signed.under_older(newest, opening=True, after=A, limit=10) == [D]
    assert await store.signed.under_older(newest, opening=False, after=None, limit=10) == [B]


async def test_the_newest_signed_time_is_kept(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A))
    assert await store.commits.commit(Work(lambda tx: tx.last_signed_at())) == office.clock.now()


async def test_a_single_value_is_stored_once(store: SqlStore) -> None:
    assert await store.facts.one("name", "drawn first") == "drawn first"
    assert await store.facts.one("name", "drawn second") == "drawn first"


async def test_every_phones_credential_is_told_to_the_broker(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(A, credential="one"))
    await store.commits.commit(office.enrol(B, credential="two"))
    assert await store.credentials.page("", 10) == [(A, "one"), (B, "two")]
    assert await store.credentials.page("", 1) == [(A, "one")]
    assert await store.credentials.page(A, 10) == [(B, "two")]


async def test_a_lender_may_have_several_keys(store: SqlStore) -> None:
    await store.lenders.add(ACME, b"2" * 32, at=2)
    await store.lenders.add(OTHER, b"3" * 32, at=2)
    keys = (b"k" * 32, b"2" * 32, b"3" * 32, b"4" * 32)
    found = [await store.keys.working(key) for key in keys]
    assert [key and key.lender for key in found] == [ACME, ACME, OTHER, None]


async def test_a_database_that_is_there_answers(store: SqlStore) -> None:
    await store.ping()


async def test_a_database_that_lost_its_tables_is_said_to_be_unavailable(store: SqlStore) -> None:
    await store._write(lambda connection: connection.exec_driver_sql("DROP TABLE api_keys"))
    with pytest.raises(StoreUnavailableError, match="api_keys") as caught:
        await store.keys.working(b"k" * 32)
    assert "kkkk" not in str(caught.value), "parameters may be secrets"


async def test_no_question_that_is_asked_often_reads_all_phones_or_commands(tmp_path: Path) -> None:
    """By its plan, on SQLite: what is asked so often has to cost the same with a million phones as with ten."""
    asked: list[tuple[str, Any]] = []
    async with SqlStore(f"sqlite:///{tmp_path / 'paylatch.db'}") as store:
        event.listen(
            store._engine, "before_cursor_execute", lambda _, __, text, values, *___: asked.append((text, values))
        )
        for lane in Lane:
            await store.outgoing.claim(lane, 1, 1)
            await store.outgoing.claim(lane, 1, 1, put_off=True)
        await store.outgoing.sent_before(1, 1)
        await store.schedule.due(1, 1)
        await store.backlog.read()
        await store.outgoing.published_after(1, opening=True, after=None, limit=1)
        await store.commands.newest_of(ACME, A, DecisionId("d1"))
        await store.phones.history(ACME, A, "", 1)
        await store.phones.history(ACME, A, "1", 1)
        questions = [(text, values) for text, values in asked if text.startswith(("SELECT", "WITH"))]
        with store._engine.connect() as connection:
            plans = [
                connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all() for text, values in questions
            ]
    assert len(plans) >= 10
    assert sum("SEARCH audit" in str(plan) for plan in plans) == 2, "a phone's history, from its end and from a page on"
    steps = [step[3] for plan in plans for step in plan]
    assert [step for step in steps if step.startswith(("SCAN phones", "SCAN commands", "SCAN audit"))] == []


async def test_a_canary_that_no_bridge_has_made_is_unknown_whatever_is_in_it(store: SqlStore) -> None:
    assert await store.canaries.number_of("a\0b") is None
