"""What asks for a level, and what a phone does by itself: single cases of the judgement, each at its edge."""

from dataclasses import replace
from typing import Any

import pytest

from broker_bridge.domain.episode import Episode
from broker_bridge.domain.holds import Holds
from broker_bridge.domain.judgement import NOT_AGAIN, Case, judge, needs_new_state
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.policy import DAY_S, Gates, Lease, LeaseRules, Policy, SignalRules, Wish
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level, Reason, Signals
from lock_protocol.messages import DesiredState, LenderId, Notice

NOW = 1_700_000_000
LEASES = LeaseRules(offline_lock_s=10 * DAY_S, warn_s=DAY_S, silent_s=5 * DAY_S)
POLICY = Policy(name="edges", ladder=((1, Level.NOTICE), (10, Level.LOCKED)), leases=LEASES)
PAYER = Case(
    loan=Loan(),
    episode=Episode(),
    signals=Signals(0),
    evidence=frozenset(),
    time_zone="",
    lender_heard_at=NOW,
)
DEBTOR = replace(PAYER, loan=Loan(days_overdue=30, as_of=NOW * 1000))
SILENT_AT = NOW + LEASES.silent_s


def test_a_phone_opens_in_the_very_second_in_which_its_lease_would_have_opened_it() -> None:
    before = judge(POLICY, DEBTOR, SILENT_AT - 1)
    assert before.wish.level is Level.LOCKED
    assert before.wish.lease == Lease(until=SILENT_AT, then=Level.UNLOCKED)
    assert before.look_at == SILENT_AT
    after = judge(POLICY, DEBTOR, SILENT_AT).wish
    assert (after.level, after.reason, after.lease) == (Level.UNLOCKED, Reason.LEASE_EXPIRED, None)


def test_a_lender_that_was_never_heard_of_is_not_silent() -> None:
    judgement = judge(POLICY, replace(DEBTOR, lender_heard_at=0), SILENT_AT)
    assert (judgement.wish.level, judgement.wish.lease, judgement.look_at) == (Level.LOCKED, None, NOT_AGAIN)


def test_a_stolen_phone_stays_locked_however_silent_its_lender_is() -> None:
    lost = replace(PAYER, loan=Loan(holds=Holds(lost_at=NOW * 1000)))
    wish = judge(POLICY, lost, SILENT_AT).wish
    assert (wish.level, wish.reason, wish.lease) == (Level.LOCKED, Reason.LOST_OR_STOLEN, None)


def test_a_phone_that_shows_a_notice_has_nothing_that_a_silent_lender_would_open() -> None:
    reminded = replace(PAYER, loan=Loan(days_overdue=1, as_of=NOW * 1000))
    judgement = judge(POLICY, reminded, SILENT_AT)
    assert (judgement.wish.level, judgement.wish.reason) == (Level.NOTICE, Reason.OVERDUE)


def test_no_phone_locks_by_itself_without_the_consent_that_a_lock_needs() -> None:
    careful = replace(POLICY, gates=Gates(consent=frozenset({"e_sign"})))
    assert judge(careful, PAYER, NOW).wish.lease is None
    agreed = replace(PAYER, evidence=frozenset({"e_sign"}))
    assert judge(careful, agreed, NOW).wish.lease == Lease(until=NOW + 10 * DAY_S, then=Level.LOCKED, warn_s=DAY_S)


def test_no_phone_goes_by_itself_above_what_its_policy_allows_at_most() -> None:
    lease = judge(replace(POLICY, max_level=Level.RESTRICTED), PAYER, NOW).wish.lease
    assert lease is not None
    assert lease.then is Level.RESTRICTED


@pytest.mark.parametrize(
    ("sim", "tamper", "level", "reason"),
    [
        (Level.LOCKED, Level.REMINDER, Level.LOCKED, Reason.SIM_CHANGED),
        (Level.REMINDER, Level.LOCKED, Level.LOCKED, Reason.TAMPER),
    ],
)
def test_of_two_things_that_were_done_to_a_phone_the_worse_one_counts(
    sim: Level, tamper: Level, level: Level, reason: Reason
) -> None:
    strict = replace(POLICY, signals=SignalRules(sim_changed=sim, tamper=tamper))
    wish = judge(strict, replace(PAYER, signals=Signals.SIM | Signals.DEBUG), NOW).wish
    assert (wish.level, wish.reason) == (level, reason)


def state(**fields: Any) -> DesiredState:
    return DesiredState(
        **{
            "lender": LenderId("acme-mobile"),
            "imei": simulated_imei(1),
            "epoch": 1,
            "version": 1,
            "delegation_version": 1,
            "level": Level.UNLOCKED,
            "reason": Reason.ENROLLED,
            "issued_at": NOW,
            "lease_until": NOW + 10 * DAY_S,
            "lease_then": Level.LOCKED,
            "warn_s": DAY_S,
            "remind_s": 0,
            "command_id": "cmd_1",
            "notice": Notice(),
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("until", "needed"),
    [(NOW + 10 * DAY_S, False), (NOW + 10 * DAY_S - 1, True), (NOW + 14 * DAY_S, False), (NOW + 15 * DAY_S, True)],
    ids=["the same", "shorter", "longer, before half its time", "longer, at half its time"],
)
def test_a_lease_is_replaced_by_a_shorter_one_at_once_and_by_a_longer_one_at_half_its_time(
    until: int, *, needed: bool
) -> None:
    now = until - 10 * DAY_S if until > NOW + 10 * DAY_S else NOW
    lease = Lease(until=until, then=Level.LOCKED, warn_s=DAY_S, term_s=10 * DAY_S)
    wish = Wish(level=Level.UNLOCKED, reason=Reason.ENROLLED, lease=lease)
    assert needs_new_state(state(), wish, now) is needed


def test_a_dispute_never_goes_back_to_more_than_arrears_have_fallen_to_since() -> None:
    locked = Episode(arrears_since=1).moved_to(Level.RESTRICTED).moved_to(Level.LOCKED)
    assert locked.escalated_from is Level.RESTRICTED
    assert locked.moved_to(Level.NOTICE).escalated_from is Level.NOTICE
