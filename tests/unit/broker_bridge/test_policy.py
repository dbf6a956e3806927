"""Which state of a loan asks for which level."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.domain.loans import Loan
from broker_bridge.domain.policy import PROFILES, Policy
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import Notice
from tests.unit.broker_bridge.facts import overdue, payment, settled, told

DEFAULT, REPLAY = PROFILES["default"], PROFILES["replay"]
U, N, R, X, L = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED


@pytest.mark.parametrize(
    ("policy", "days", "level"),
    [
        (DEFAULT, 0, U),
        (DEFAULT, 2, U),
        (DEFAULT, 3, N),
        (DEFAULT, 14, N),
        (DEFAULT, 15, R),
        (DEFAULT, 59, R),
        (DEFAULT, 60, X),
        (DEFAULT, 89, X),
        (DEFAULT, 90, L),
        (DEFAULT, 36_500, L),
        (REPLAY, 0, U),
        (REPLAY, 1, N),
        (REPLAY, 6, N),
        (REPLAY, 7, R),
        (REPLAY, 29, R),
        (REPLAY, 30, X),
        (REPLAY, 59, X),
        (REPLAY, 60, L),
    ],
    ids=lambda value: value.name if isinstance(value, Policy | Level) else str(value),
)
def test_each_rung_begins_on_its_day(policy: Policy, days: int, level: Level) -> None:
    assert policy.level(Loan(days_overdue=days)) is level


def test_a_settled_loan_releases_whatever_is_overdue() -> None:
    assert DEFAULT.level(Loan(settled=True, days_overdue=400)) is Level.RELEASED


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_more_days_never_mean_a_lower_level(days: list[int]) -> None:
    levels = [DEFAULT.level(Loan(days_overdue=one)) for one in sorted(days)]
    assert all(low <= high for low, high in pairwise(levels))


@pytest.mark.parametrize(
    "ladder",
    [
        ((3, L), (15, N)),
        ((3, N), (15, N)),
        ((15, N), (3, L)),
        ((3, N), (3, L)),
        ((0, N),),
        ((-1, N),),
        ((3, U),),
        ((3, Level.RELEASED),),
    ],
    ids=[
        "levels fall",
        "levels stand still",
        "days fall",
        "days stand still",
        "on day 0",
        "before day 0",
        "up to unlocked",
        "up to released",
    ],
)
def test_a_ladder_that_does_not_rise_is_refused(ladder: tuple[tuple[int, Level], ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Policy(name="odd", ladder=ladder)


def test_only_the_profile_without_gates_is_for_development_only() -> None:
    assert {name for name, policy in PROFILES.items() if policy.development_only} == {"replay"}


def test_a_phone_that_was_never_late_is_open_because_it_was_enrolled() -> None:
    assert DEFAULT.wish(Loan()).reason is Reason.ENROLLED


def test_a_phone_that_was_paid_for_is_open_because_of_that() -> None:
    assert DEFAULT.wish(told(overdue(90, at=1), payment(at=2))).reason is Reason.PAID


def test_a_released_phone_says_why() -> None:
    wish = DEFAULT.wish(told(settled(at=1)))
    assert (wish.level, wish.reason, wish.notice.title) == (Level.RELEASED, Reason.SETTLED, "Your loan is settled")


def test_an_overdue_phone_tells_how_much_and_that_emergency_calls_work() -> None:
    notice = DEFAULT.wish(told(overdue(90, at=1, amount=12_345))).notice
    assert (notice.amount_due, notice.currency) == (12_345, "EUR")
    assert "90 days overdue" in notice.body
    assert "Emergency calls always work" in notice.body


def test_an_open_phone_shows_nothing() -> None:
    assert DEFAULT.wish(told(overdue(90, at=1, amount=5), payment(at=2))).notice == Notice()


@pytest.mark.parametrize(("days", "remind_s"), [(3, 0), (15, 14_400), (60, 0), (90, 0)])
def test_only_a_reminder_comes_back(days: int, remind_s: int) -> None:
    assert DEFAULT.wish(Loan(days_overdue=days)).remind_s == remind_s
