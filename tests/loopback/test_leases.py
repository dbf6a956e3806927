"""What a phone does by itself when nothing newer comes; and what moves it beside its arrears."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker_bridge.app.decide import Decided
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.authority import LinkNotDelegatedError, NotDelegatedError
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.phones import Phone
from device_sim.identities import simulated_imei
from lock_protocol.levels import Condition, Level, Reason, Signals
from tests.bridge_rig import ACME, Work
from tests.loopback.desk import DAY, HOUR, Desk, policy_text
from tests.loopback.handset import IMEI
from tests.loopback.lender import EPOCH_BEGIN

U, N, R, X, L = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED
OFFLINE = policy_text("", "[leases]\noffline_lock_days = 3\nwarning_days = 1")
SILENT = policy_text("", "[leases]\nlender_silent_days = 4")
OTHER_PHONE = simulated_imei(2)

Open = Callable[..., Desk]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens desks, each with a phone enrolled."""
    desks: list[Desk] = []

    def open_desk(document: str, **authority: Any) -> Desk:
        desk = Desk(tmp_path / f"{len(desks)}.db", document, **authority)
        desks.append(desk)
        desk.enrol()
        return desk

    yield open_desk
    for desk in desks:
        desk.close()


def shown(desk: Desk) -> set[Level]:
    """Every level that the phone has ever applied, once it had something to apply."""
    return {one.level for one in desk.phone.applied if one.condition is not Condition.PROVISIONAL}


def lease_of(desk: Desk) -> tuple[int, Level, int] | None:
    """How long the phone's lease lasts from now on, what then, and how long before it warns."""
    state = desk.row.desired.state
    return (state.lease_until - desk.clock.wall, state.lease_then, state.warn_s) if state.lease_until else None


def tell_of_another_phone(desk: Desk) -> None:
    """Have the lender be heard, of a phone that is not this one."""
    desk.loop.run(desk.store.commits.commit(desk.office.enrol(OTHER_PHONE)))
    decision = Decision(
        lender=ACME,
        decision_id=DecisionId(f"other-{desk.clock.wall}"),
        imei=OTHER_PHONE,
        type=DecisionType.PAYMENT_RECEIVED,
        occurred_at=desk.clock.wall * 1000,
        payment=Payment.CURING,
    )
    desk.loop.run(desk.store.commits.commit(desk.office.decide(decision)))
    desk.look()
    desk.exchange()


def part(desk: Desk) -> Decided:
    return desk.tell(DecisionType.PAYMENT_RECEIVED, payment=Payment.PARTIAL)


# --- away for too long ---------------------------------------------------------------------------------------------


def test_a_phone_that_stays_away_locks_by_itself_and_warns_before(opened: Open) -> None:
    desk = opened(OFFLINE)
    assert lease_of(desk) == (3 * DAY, L, DAY)
    desk.stay_on(3 * DAY - 60)
    assert desk.level is U
    desk.stay_on(120)
    assert (desk.level, desk.phone.condition) == (L, Condition.LEASE_FIRED)


def test_a_phone_that_is_back_opens_at_once(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.stay_on(5 * DAY)
    assert desk.level is L
    desk.reconnect()
    assert desk.level is U


def test_a_phone_that_is_back_before_the_bridge_opens_when_the_bridge_is_back(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.cut()
    desk.clock.advance(5 * DAY)  # nobody looks
    desk.phone.wait(5 * DAY)
    desk.restart()
    desk.reconnect()
    assert desk.level is U


def test_a_reachable_phone_never_locks_and_gets_a_new_lease_at_half_its_time(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.pass_time(36 * HOUR - 60)
    assert desk.row.desired.state.version == 1
    desk.pass_time(20 * DAY - 36 * HOUR + 60)
    assert desk.row.desired.state.version == 1 + 20 * 24 // 36
    assert shown(desk) == {U}


def test_neither_a_reboot_nor_a_new_bridge_makes_a_reachable_phone_lock(opened: Open) -> None:
    desk = opened(OFFLINE)
    for _ in range(6):
        desk.pass_time(35 * HOUR)
        desk.restart()
        desk.phone.reboot()
        desk.reconnect()
    assert shown(desk) == {U}
    lease = lease_of(desk)
    assert lease is not None
    assert 0 < lease[0] <= 3 * DAY


def test_a_phone_that_is_switched_off_does_not_count_the_time(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.cut()
    desk.phone.cut_power()
    desk.clock.advance(10 * DAY)
    desk.phone.boot()
    assert desk.level is U
    desk.reconnect()
    assert desk.level is U


def test_the_delegation_says_how_long_a_lease_may_be(opened: Open) -> None:
    desk = opened(OFFLINE, max_lease_s=2 * DAY)
    assert lease_of(desk) == (2 * DAY, L, DAY)
    desk.pass_time(10 * DAY)
    assert shown(desk) == {U}
    assert desk.row.desired.state.version == 1 + 10


def test_no_lease_is_better_than_one_that_warns_all_the_time(opened: Open) -> None:
    assert lease_of(opened(OFFLINE, max_lease_s=DAY)) is None


def test_the_delegation_caps_the_level_of_a_lease(opened: Open) -> None:
    lease = lease_of(opened(OFFLINE, max_level=X))
    assert lease is not None
    assert lease[1] is X


def test_an_expired_delegation_opens_without_a_lease_and_locks_no_reachable_phone(opened: Open) -> None:
    desk = opened(OFFLINE, expires_at=EPOCH_BEGIN + 8 * DAY)
    desk.pass_time(30 * DAY)
    assert lease_of(desk) is None
    assert shown(desk) == {U}
    desk.stay_on(4 * DAY)
    assert desk.level is U


@pytest.mark.parametrize("kind", [DecisionType.GRACE_GRANTED, DecisionType.DISPUTE_OPENED], ids=str)
def test_a_hold_takes_the_lease_away_and_its_end_brings_it_back(opened: Open, kind: DecisionType) -> None:
    desk = opened(OFFLINE)
    desk.tell(kind, until=desk.clock.wall + 5 * DAY)
    assert lease_of(desk) is None
    desk.stay_on(4 * DAY)
    assert desk.level is U
    desk.reconnect()
    desk.pass_time(DAY + HOUR)
    lease = lease_of(desk)
    assert lease is not None
    assert lease[1] is L


def test_without_consent_there_is_no_lease(opened: Open) -> None:
    desk = opened(OFFLINE + '\n[gates]\nconsent = ["device_lock"]')
    assert lease_of(desk) is None
    desk.enrol(evidence={"device_lock": "clause 7"})
    assert lease_of(desk) == (3 * DAY, L, DAY)


def test_a_paid_phone_that_had_locked_by_itself_shows_what_is_due_and_no_lock(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.overdue(5)
    desk.stay_on(4 * DAY)
    assert desk.level is L
    desk.pay()
    desk.reconnect()
    assert desk.level is U


def test_a_lock_by_lease_is_no_final_notice(opened: Open) -> None:
    desk = opened(OFFLINE + "\n[gates]\nnotice_reached_hours = 0\nfinal_notice_hours = 24")
    desk.overdue(5)
    desk.stay_on(4 * DAY)
    assert desk.level is L
    desk.reconnect()
    assert desk.row.episode.reminder_at == 0


# --- a lender that falls silent ------------------------------------------------------------------------------------


def test_a_closed_phone_opens_when_its_lender_has_fallen_silent(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    desk.pass_time(4 * DAY - HOUR)
    assert desk.level is X
    desk.pass_time(2 * HOUR)
    assert (desk.level, desk.row.desired.state.reason) == (U, Reason.LEASE_EXPIRED)


def test_a_closed_phone_opens_by_itself_when_nobody_is_there_any_more(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    assert lease_of(desk) == (4 * DAY, U, 0)
    desk.cut()
    desk.phone.wait(4 * DAY - 60)
    assert desk.level is X
    desk.phone.wait(120)
    assert desk.level is U


def test_it_locks_again_when_the_lender_is_heard_again(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    desk.pass_time(5 * DAY)
    assert desk.level is U
    tell_of_another_phone(desk)
    assert desk.level is X


def test_a_lender_that_goes_on_reporting_keeps_its_phones_closed(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    before = len(desk.phone.applied)
    for _ in range(10):
        desk.pass_time(DAY + HOUR)
        tell_of_another_phone(desk)
    assert {one.level for one in desk.phone.applied[before:]} == {X}


def test_a_lender_that_comes_back_in_the_last_hours_of_its_silence_keeps_its_phones_closed(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    before = len(desk.phone.applied)
    desk.pass_time(4 * DAY - 2 * HOUR)
    tell_of_another_phone(desk)
    assert lease_of(desk) == (4 * DAY, U, 0)  # at once: at the end of the old one the phone would open first
    desk.pass_time(3 * DAY)
    assert {one.level for one in desk.phone.applied[before:]} == {X}


def test_a_lost_phone_stays_locked_however_silent_its_lender_is(opened: Open) -> None:
    desk = opened(SILENT)
    desk.tell(DecisionType.LOST_OR_STOLEN)
    assert lease_of(desk) is None
    desk.pass_time(30 * DAY)
    assert desk.level is L


def test_a_payment_opens_for_good_however_silent_the_lender_is_then(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    desk.pay()
    desk.pass_time(30 * DAY)
    tell_of_another_phone(desk)
    assert desk.level is U


# --- what must not be signed now -----------------------------------------------------------------------------------


def suspect(desk: Desk) -> None:
    """The clock jumps three days ahead: the lease of a closed phone wants renewing, and must not be signed."""
    tell_of_another_phone(desk)
    desk.clock.wall += 3 * DAY


def expired(desk: Desk) -> None:
    tell_of_another_phone(desk)
    desk.clock.advance(3 * DAY)


@pytest.fixture(params=[suspect, expired], ids=lambda one: str(one.__name__))
def stuck(request: pytest.FixtureRequest, opened: Open) -> Desk:
    """A restricted phone whose next closing state must not be signed."""
    soon = EPOCH_BEGIN + 3 * DAY if request.param is expired else EPOCH_BEGIN + 365 * DAY
    desk = opened(SILENT + '\n[signals]\nsim_changed = "locked"', expires_at=soon)
    desk.overdue(70)
    request.param(desk)
    return desk


def test_a_partial_payment_is_taken_although_another_lease_cannot_be_signed(stuck: Desk) -> None:
    decided = part(stuck)
    assert (decided.effect, decided.level, decided.command_id) == ("noted", X, None)
    assert 0 < stuck.row.look_at <= stuck.clock.wall + 60


def test_a_payment_opens_although_no_lock_can_be_signed(stuck: Desk) -> None:
    assert stuck.pay().level is U
    assert stuck.level is U


def test_a_payment_for_a_phone_that_has_to_stay_closed_is_taken_all_the_same(stuck: Desk) -> None:
    stuck.raise_signals(Signals.SIM)
    decided = stuck.pay()
    assert (decided.effect, stuck.row.loan.days_overdue) == ("applied", 0)
    assert stuck.row.episode.granted is U


def test_a_phones_word_is_taken_although_what_follows_cannot_be_signed(stuck: Desk) -> None:
    stuck.raise_signals(Signals.SIM)
    assert stuck.row.signals is Signals.SIM
    assert stuck.level is X
    assert "not_judged" in stuck.log.events("critical")


def test_a_version_that_nobody_gave_is_heard_of_although_no_higher_one_can_be_signed(stuck: Desk) -> None:
    def claim(tx: Transaction) -> Phone:
        row = tx.phone(IMEI)
        assert row is not None
        assert row.said is not None
        claimed = replace(row.said, version=row.desired.state.version + 3)
        return stuck.judge.take_word(tx, row, claimed, row.sequence + 1, proven=False)

    before = stuck.row
    heard = stuck.loop.run(stuck.store.commits.commit(Work(claim, imeis=[IMEI])))
    assert (heard.sequence, heard.desired) == (before.sequence + 1, before.desired)
    assert stuck.row.sequence == heard.sequence
    assert "not_signed_again" in stuck.log.events("critical")


def test_a_lock_that_cannot_be_signed_is_refused_and_not_on_record(stuck: Desk) -> None:
    with pytest.raises((ClockSuspectError, NotDelegatedError)):
        stuck.overdue(95)
    assert stuck.row.loan.days_overdue == 70


def test_a_lease_that_a_suspect_clock_left_alone_is_renewed_when_the_clock_is_right_again(opened: Open) -> None:
    desk = opened(SILENT)
    desk.overdue(70)
    before = desk.row.desired.state.version
    suspect(desk)
    part(desk)
    desk.clock.ticks += 3 * DAY  # the time was right: it is the process that slept
    desk.clock.advance(60)
    assert desk.row.desired.state.version == before
    part(desk)
    assert desk.row.desired.state.version == before + 1


def rest(desk: Desk) -> None:
    """The bridge is away for so long that nobody believes its clock; the phone counts the time."""
    desk.cut()
    desk.clock.advance(10 * DAY)
    desk.phone.wait(10 * DAY)
    desk.restart()


def answer_for_the_clock(desk: Desk) -> None:
    desk.loop.run(desk.store.facts.put_last_signed_at(desk.clock.wall))
    desk.look()
    desk.exchange()


def test_a_payment_opens_although_the_time_that_is_believed_is_long_over(opened: Open) -> None:
    desk = opened(OFFLINE)
    desk.overdue(95)
    rest(desk)
    desk.reconnect()
    assert desk.pay().level is U
    assert (desk.level, lease_of(desk)) == (U, None)
    yesterday = (desk.clock.wall - DAY) * 1000
    late = desk.tell(DecisionType.PAYMENT_OVERDUE, days_overdue=95, occurred_at=yesterday)
    assert (late.effect, late.level) == ("covered", U)
    answer_for_the_clock(desk)
    assert (desk.level, lease_of(desk)) == (U, (3 * DAY, L, DAY))


def test_a_phone_that_its_lease_has_locked_opens_before_somebody_has_answered_for_the_clock(opened: Open) -> None:
    desk = opened(OFFLINE)
    rest(desk)
    assert desk.level is L
    desk.reconnect()
    assert (desk.level, lease_of(desk)) == (U, None)
    answer_for_the_clock(desk)
    assert (desk.level, lease_of(desk)) == (U, (3 * DAY, L, DAY))


def test_a_link_to_another_host_is_refused_before_anything_is_on_record(opened: Open) -> None:
    desk = opened(policy_text())
    with pytest.raises(LinkNotDelegatedError, match=r"evil\.example"):
        desk.tell(DecisionType.PAYMENT_DUE, due_at=desk.clock.wall + 90 * DAY, pay_url="https://evil.example/1")
    assert desk.row.loan.due is None


# --- what a phone notices about itself -----------------------------------------------------------------------------


def forget(desk: Desk) -> None:
    """Have the phone forget its signals, as a factory reset does, and nothing else (docs/protocol.md)."""
    desk.phone.factory_reset()
    desk.reconnect()


SIGNALS = policy_text("", '[signals]\nsim_changed = "restricted"\ntamper = "locked"')


@pytest.mark.parametrize(
    ("signals", "level", "reason"),
    [
        (Signals.SIM, X, Reason.SIM_CHANGED),
        (Signals.DEBUG, L, Reason.TAMPER),
        (Signals.BOOTLOADER, L, Reason.TAMPER),
        (Signals.SIM | Signals.EDL, L, Reason.TAMPER),
        (Signals.CLOCK, U, Reason.ENROLLED),
        (Signals.FLOOR_LOST, U, Reason.ENROLLED),
    ],
    ids=str,
)
def test_a_signal_counts_until_the_phone_gives_it_no_more(
    opened: Open, signals: Signals, level: Level, reason: Reason
) -> None:
    desk = opened(SIGNALS)
    desk.raise_signals(signals)
    assert (desk.level, desk.row.desired.state.reason) == (level, reason)
    forget(desk)
    assert desk.level is U


def test_a_signal_counts_for_nothing_where_the_policy_does_not_say_so(opened: Open) -> None:
    desk = opened(policy_text())
    desk.raise_signals(Signals.SIM | Signals.DEBUG)
    assert desk.level is U


def test_a_payment_opens_a_phone_as_far_as_its_signal_lets_it(opened: Open) -> None:
    desk = opened(SIGNALS)
    desk.overdue(95)
    desk.raise_signals(Signals.SIM)
    assert desk.level is L
    desk.pay()
    assert (desk.level, desk.row.desired.state.reason) == (X, Reason.SIM_CHANGED)
    forget(desk)
    assert desk.level is U


# --- lost, and found -----------------------------------------------------------------------------------------------


def test_a_lost_phone_locks_at_once_and_opens_when_it_is_recovered(opened: Open) -> None:
    desk = opened(policy_text("", "[gates]\nnotice_reached_hours = 72"))
    desk.tell(DecisionType.LOST_OR_STOLEN)
    assert (desk.level, desk.row.desired.state.reason) == (L, Reason.LOST_OR_STOLEN)
    desk.tell(DecisionType.RECOVERED)
    assert desk.level is U


def test_a_lost_phone_is_released_when_its_loan_is_settled(opened: Open) -> None:
    desk = opened(policy_text())
    desk.tell(DecisionType.LOST_OR_STOLEN)
    desk.tell(DecisionType.LOAN_SETTLED)
    assert desk.level is Level.RELEASED


def test_arrears_wait_for_their_gates_while_a_phone_is_lost(opened: Open) -> None:
    desk = opened(policy_text("", "[gates]\nnotice_reached_hours = 72"))
    desk.tell(DecisionType.LOST_OR_STOLEN)
    desk.overdue(95)
    desk.pass_time(10 * DAY)
    desk.tell(DecisionType.RECOVERED)
    # The borrower was told of a loss meanwhile, and of no arrears.
    assert (desk.level, desk.missing) == (R, {GateCondition.NOTICE_PERIOD})


def test_a_grace_period_that_is_granted_while_a_phone_is_lost_keeps_the_level_of_its_arrears(opened: Open) -> None:
    desk = opened(policy_text())
    desk.overdue(70)
    desk.tell(DecisionType.LOST_OR_STOLEN)
    desk.tell(DecisionType.GRACE_GRANTED, until=desk.clock.wall + 20 * DAY)
    desk.overdue(95)
    desk.tell(DecisionType.RECOVERED)
    assert desk.level is X


# --- due soon ------------------------------------------------------------------------------------------------------

DUE = policy_text("", "[due]\nnotice_days = 3")


def announced(desk: Desk) -> None:
    """Report that a payment falls due in ten days."""
    desk.tell(DecisionType.PAYMENT_DUE, due_at=desk.clock.wall + 10 * DAY, amount_due=500, currency="INR")


def test_a_coming_payment_is_shown_some_days_before_and_until_a_day_after(opened: Open) -> None:
    desk = opened(DUE)
    announced(desk)
    desk.pass_time(7 * DAY - HOUR)
    assert desk.level is U
    desk.pass_time(2 * HOUR)
    notice = desk.row.desired.state.notice
    assert (desk.level, notice.amount_due, notice.currency) == (N, 500, "INR")
    desk.pass_time(4 * DAY)
    assert desk.level is U


def test_a_payment_ends_the_notice_of_it(opened: Open) -> None:
    desk = opened(DUE)
    announced(desk)
    desk.pass_time(8 * DAY)
    assert desk.level is N
    desk.pay()
    assert desk.level is U
    desk.pass_time(10 * DAY)
    assert desk.level is U


def test_where_the_policy_has_no_such_notice_none_is_shown(opened: Open) -> None:
    desk = opened(policy_text())
    announced(desk)
    desk.pass_time(12 * DAY)
    assert shown(desk) == {U}


def test_a_due_notice_counts_as_no_notice_of_arrears(opened: Open) -> None:
    desk = opened(DUE + "\n[gates]\nnotice_reached_hours = 72")
    announced(desk)
    desk.pass_time(9 * DAY)
    assert desk.level is N
    desk.overdue(95)
    assert (desk.level, desk.missing) == (R, {GateCondition.NOTICE_PERIOD})


# --- sent again ----------------------------------------------------------------------------------------------------


def test_a_resend_is_another_version_of_the_same_and_changes_nothing(opened: Open) -> None:
    desk = opened(policy_text())
    desk.overdue(70)
    before = desk.row.desired.state
    decided = desk.tell(DecisionType.RESEND)
    after = desk.row.desired.state
    assert (decided.effect, decided.level, after.version) == ("resent", X, before.version + 1)
    assert (after.level, after.notice, desk.level) == (before.level, before.notice, X)
