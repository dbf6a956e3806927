"""A bridge that starts after a long rest cannot know whether its clock is right: phones open, and none locks."""

import asyncio

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.app.timekeeping import EVERY_S, KeepTime, Timekeeper
from broker_bridge.domain.clock import MAX_REST_S
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from tests.bridge_rig import ACME, KeptLog, Office, SetClock, Work
from tests.loopback.lender import DAY
from tests.unit.broker_bridge.facts import IMEI, overdue, payment

PAYER, BORROWER = simulated_imei(2), simulated_imei(3)


def grace(*, until: int, imei: Imei) -> Decision:
    """An extension until then, as somebody grants it today."""
    return Decision(
        lender=ACME,
        decision_id=DecisionId("grace"),
        imei=imei,
        type=DecisionType.GRACE_GRANTED,
        occurred_at=0,
        until=until,
    )


def restarted(office: Office, *, after_s: int) -> Office:
    """The next process on the same database, so much later by its clock."""
    return Office(clock=SetClock(office.clock.wall + after_s), lender=office.lender)


async def test_after_a_rest_that_is_too_long_phones_open_and_do_not_lock_until_somebody_answers_for_the_clock(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    await store.commits.commit(office.decide(overdue(90, at=1)))
    before, later = office.clock.wall, restarted(office, after_s=MAX_REST_S + 1)
    opened = await store.commits.commit(later.decide(payment(at=2)))
    assert opened.level is Level.UNLOCKED
    # Nor is the phone told of a time that may be years ahead.
    told = await store.commits.commit(Work(later.queue.signing_clock.time_to_tell))
    assert told == before
    with pytest.raises(ClockSuspectError, match="confirm-clock"):
        await store.commits.commit(later.decide(overdue(91, at=3)))
    await store.facts.put_last_signed_at(later.clock.wall)
    locked = await store.commits.commit(later.decide(overdue(91, at=3)))
    assert locked.level is Level.LOCKED


async def test_who_has_paid_or_was_given_time_before_somebody_has_answered_for_the_clock_loses_nothing_by_it(
    store: SqlStore, office: Office
) -> None:
    for imei in (PAYER, BORROWER):
        await store.commits.commit(office.enrol(imei))
    later = restarted(office, after_s=60 * DAY)
    today = later.clock.wall
    await store.commits.commit(later.decide(payment(at=today * 1000, imei=PAYER)))
    await store.commits.commit(later.decide(grace(until=today + 5 * DAY, imei=BORROWER)))
    await store.facts.put_last_signed_at(today)
    # Figures from before, which were refused, or are late.
    yesterday = (today - DAY) * 1000
    for imei in (PAYER, BORROWER):
        late = await store.commits.commit(later.decide(overdue(90, at=yesterday, imei=imei)))
        assert late.level is Level.UNLOCKED


async def test_a_bridge_that_ran_and_signed_nothing_has_had_no_rest(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    for _ in range(3):
        office.clock.advance(MAX_REST_S)
        await store.commits.commit(KeepTime(office.queue.signing_clock))
    later = restarted(office, after_s=MAX_REST_S)
    assert (await store.commits.commit(later.decide(overdue(90, at=1)))).level is Level.LOCKED


@pytest.mark.parametrize("wrong_by_s", [-400 * DAY, 400 * DAY])
async def test_a_clock_that_is_set_after_the_first_start_has_told_nobody_a_wrong_time(
    store: SqlStore, office: Office, wrong_by_s: int
) -> None:
    office.clock.wall += wrong_by_s
    await store.commits.commit(KeepTime(office.queue.signing_clock))
    office.clock.wall -= wrong_by_s
    phone = await store.commits.commit(office.enrol(IMEI))
    assert phone.desired.state.issued_at == office.clock.wall
    assert (await store.commits.commit(office.decide(overdue(90, at=1)))).level is Level.LOCKED


async def test_a_machine_that_slept_locks_again_once_somebody_has_answered_for_its_clock(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    office.clock.wall += 10 * DAY
    with pytest.raises(ClockSuspectError, match="confirm-clock"):
        await store.commits.commit(office.decide(overdue(90, at=1)))
    await store.facts.put_last_signed_at(office.clock.wall)
    assert (await store.commits.commit(office.decide(overdue(90, at=1)))).level is Level.LOCKED


async def test_what_was_signed_ahead_by_a_wrong_clock_is_overruled_by_a_persons_word(
    store: SqlStore, office: Office
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    await store.facts.put_last_signed_at(office.clock.wall + 10 * 365 * DAY)
    with pytest.raises(ClockSuspectError, match="behind"):
        await store.commits.commit(office.decide(overdue(90, at=1)))
    await store.facts.put_last_signed_at(office.clock.wall)
    assert (await store.commits.commit(office.decide(overdue(90, at=1)))).level is Level.LOCKED


async def test_the_time_is_kept_at_the_start_and_every_hour_and_a_wrong_clock_is_told_of(
    store: SqlStore, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_bridge.app.timekeeping.EVERY_S", 0.01)
    log = KeptLog()
    await store.commits.commit(office.enrol(IMEI))
    office.clock.advance(60)
    keeping = asyncio.create_task(Timekeeper(store.commits, office.queue.signing_clock, log).run())
    async with asyncio.timeout(60):
        while await store.facts.last_signed_at() != office.clock.wall:  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)
        office.clock.wall -= 3600
        await log.repeated("clock_suspect", 2)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert EVERY_S < MAX_REST_S / 10
    assert set(log.events("critical")) == {"clock_suspect"}
