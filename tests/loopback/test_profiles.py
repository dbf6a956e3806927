"""The profile after the Indian draft, on a real phone: restricted exactly when it promises, and not an hour before."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.domain.gates import GateCondition
from lock_protocol.levels import Level
from tests.loopback.desk import DAY, HOUR, Desk

U, N, R, X = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED
KOLKATA = ZoneInfo("Asia/Kolkata")
CONSENT = {"device_lock": "clause 7 of contract 1"}


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Desk]:
    """No phone yet."""
    made = Desk(tmp_path / "paylatch.db", profile_document("in-rbi-draft-2026"))
    yield made
    made.close()


@pytest.fixture
def desk(bare: Desk) -> Desk:
    """A phone in India, at noon, with consent to be restricted."""
    bare.enrol(time_zone="Asia/Kolkata", evidence=CONSENT)
    local = datetime.fromtimestamp(bare.clock.wall, KOLKATA)
    seconds = (local.hour * 60 + local.minute) * 60 + local.second
    bare.pass_time((12 * HOUR - seconds) % DAY)
    return bare


def test_a_lender_that_reports_every_day_restricts_on_the_ninetieth_and_never_locks(desk: Desk) -> None:
    shown = {}
    for days in range(55, 130):
        desk.overdue(days)
        shown[days] = desk.level
        desk.pass_time(DAY)
        assert desk.level is shown[days]
    assert {days for days, level in shown.items() if level is U} == set(range(55, 60))
    assert {days for days, level in shown.items() if level is N} == set(range(60, 81))
    assert {days for days, level in shown.items() if level is R} == set(range(81, 90))
    assert {days for days, level in shown.items() if level is X} == set(range(90, 130))


def test_a_lender_that_reports_late_waits_21_days_and_then_7_more(desk: Desk) -> None:
    desk.overdue(120)
    assert desk.level is R
    desk.pass_time(21 * DAY)
    assert (desk.level, desk.missing) == (R, {GateCondition.FINAL_NOTICE})
    desk.pass_time(7 * DAY - 1)
    assert desk.level is R
    desk.pass_time(1)
    assert desk.level is X


def test_a_final_notice_that_comes_late_stands_for_7_days(desk: Desk) -> None:
    desk.overdue(60)
    desk.pass_time(40 * DAY)
    assert desk.level is N
    desk.overdue(100)
    desk.pass_time(7 * DAY - 1)
    assert desk.level is R
    desk.pass_time(1)
    assert desk.level is X


def test_time_that_is_over_at_night_restricts_in_the_morning(desk: Desk) -> None:
    desk.pass_time(11 * HOUR)
    desk.overdue(120)
    desk.pass_time(28 * DAY)
    assert (desk.level, desk.missing) == (R, {GateCondition.QUIET_HOURS})
    desk.pass_time(9 * HOUR - 1)
    assert desk.level is R
    desk.pass_time(1)
    assert desk.level is X
    assert datetime.fromtimestamp(desk.clock.wall, KOLKATA).hour == 8


def test_a_phone_that_hears_of_nothing_is_restricted_28_days_after_it_does(desk: Desk) -> None:
    desk.cut()
    desk.overdue(60)
    desk.pass_time(50 * DAY)
    desk.overdue(110)
    assert desk.level is U
    desk.reconnect()
    assert desk.level is R
    desk.pass_time(28 * DAY - 1)
    assert desk.level is R
    desk.pass_time(1)
    assert desk.level is X


def test_a_payment_on_the_last_day_comes_in_time_and_the_next_arrears_begin_anew(desk: Desk) -> None:
    desk.overdue(120)
    desk.pass_time(28 * DAY - 1)
    desk.pay()
    assert desk.level is U
    desk.pass_time(DAY)
    desk.overdue(120)
    desk.pass_time(28 * DAY - 1)
    assert desk.level is R


def test_a_restricted_phone_opens_at_once_when_it_is_paid_also_at_night(desk: Desk) -> None:
    desk.overdue(120)
    desk.pass_time(28 * DAY + 11 * HOUR)
    assert desk.level is X
    desk.pay()
    assert desk.level is U


def test_without_consent_to_this_very_measure_nothing_is_restricted(bare: Desk) -> None:
    bare.enrol()
    bare.overdue(120)
    bare.pass_time(29 * DAY)
    assert (bare.level, bare.missing - {GateCondition.QUIET_HOURS}) == (R, {GateCondition.CONSENT})
