"""What overdue figures, payments and settlements make of a loan, also in the wrong order."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.adapters.policies.profiles import profile
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.loans import Effect, Loan
from tests.unit.broker_bridge.facts import NOW, effect_of, overdue, payment, settled, told

DAY = 86_400_000
REPLAY = profile("replay")


@pytest.mark.parametrize(
    "late",
    [overdue(90, at=3 * DAY), payment(at=3 * DAY), settled(at=3 * DAY)],
    ids=lambda decision: str(decision.type),
)
def test_nothing_changes_a_settled_loan(late: Decision) -> None:
    before = told(overdue(30, at=DAY), settled(at=2 * DAY))
    assert before.after(late, NOW) == (before, Effect.ALREADY_SETTLED)


def test_a_settlement_ends_what_is_overdue() -> None:
    loan, effect = told(overdue(30, at=DAY, amount=500)).after(settled(at=2 * DAY), NOW)
    assert (loan.settled, loan.days_overdue, loan.amount_due, effect) == (True, 0, 0, Effect.APPLIED)


def test_a_settlement_counts_even_when_a_newer_figure_is_known() -> None:
    assert told(overdue(30, at=2 * DAY), settled(at=DAY)).settled


def test_a_cure_leaves_nothing_overdue() -> None:
    loan, effect = told(overdue(30, at=DAY, amount=500)).after(payment(at=2 * DAY), NOW)
    assert (loan.days_overdue, loan.amount_due, loan.cured_at, effect) == (0, 0, 2 * DAY, Effect.APPLIED)


def test_a_cure_older_than_the_newest_figure_does_not_lower_it() -> None:
    loan, effect = told(overdue(30, at=2 * DAY)).after(payment(at=DAY), NOW)
    assert (loan.days_overdue, loan.cured_at, effect) == (30, DAY, Effect.STALE)


def test_a_cure_that_came_late_still_covers_what_is_older_than_itself() -> None:
    assert effect_of(overdue(10, at=DAY), overdue(30, at=3 * DAY), payment(at=2 * DAY)) is Effect.COVERED


def test_a_partial_payment_waits_for_the_next_figure() -> None:
    before = told(overdue(30, at=DAY))
    assert before.after(payment(at=2 * DAY, cures=False), NOW) == (before, Effect.NOTED)


def test_an_overdue_older_than_the_cure_is_covered_by_it() -> None:
    before = told(payment(at=2 * DAY))
    assert before.after(overdue(90, at=DAY), NOW) == (before, Effect.COVERED)


def test_an_overdue_older_than_the_newest_figure_is_stale() -> None:
    before = told(overdue(60, at=2 * DAY))
    assert before.after(overdue(30, at=DAY), NOW) == (before, Effect.STALE)


def test_the_newest_overdue_counts() -> None:
    loan, effect = told(overdue(30, at=DAY, amount=500)).after(overdue(60, at=2 * DAY, amount=900), NOW)
    assert (loan.days_overdue, loan.amount_due, loan.as_of, effect) == (60, 900, 2 * DAY, Effect.APPLIED)


def test_an_overdue_without_an_amount_keeps_the_one_that_is_known() -> None:
    assert told(overdue(30, at=DAY, amount=500), overdue(60, at=2 * DAY)).amount_due == 500


def test_a_cure_and_an_overdue_of_the_same_moment_end_cured_whichever_came_first() -> None:
    cure, late = payment(at=DAY), overdue(90, at=DAY)
    assert told(cure, late).days_overdue == told(late, cure).days_overdue == 0


def test_a_payment_with_a_wrong_year_opens_and_covers_no_arrears_of_years() -> None:
    today = NOW.now * 1000
    loan, effect = told(overdue(30, at=today)).after(payment(at=today + 10_000 * DAY), NOW)
    assert (loan.days_overdue, effect) == (0, Effect.APPLIED)
    later = replace(NOW, now=NOW.now + 40 * 86_400, latest=NOW.now + 40 * 86_400)
    loan, effect = loan.after(overdue(30, at=today + 40 * DAY), later)
    assert (loan.days_overdue, effect) == (30, Effect.APPLIED)


def test_a_payment_counts_however_far_behind_the_bridges_clock_is() -> None:
    right = replace(NOW, now=NOW.now + 400 * 86_400, latest=NOW.now + 400 * 86_400)
    owed, _ = Loan().after(overdue(30, at=right.now * 1000), right)
    loan, effect = owed.after(payment(at=right.now * 1000 + 5 * DAY), NOW)
    assert (loan.days_overdue, effect) == (0, Effect.APPLIED)


# --- any order -----------------------------------------------------------------------------------------------------

_moments = st.lists(st.integers(0, 10**15), min_size=1, max_size=8, unique=True)
_figures = st.one_of(
    st.builds(
        lambda days, amount: lambda at: overdue(days, at=at, amount=amount), st.integers(1, 400), st.integers(0, 10**12)
    ),
    st.just(lambda at: payment(at=at)),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Decision]:
    """Overdue figures and covering payments, each of its own moment, in the order of their moments."""
    return [draw(_figures)(at) for at in sorted(draw(_moments))]


@given(history=histories(), data=st.data())
def test_every_order_of_a_history_ends_where_its_own_order_ends(history: list[Decision], data: st.DataObject) -> None:
    shuffled = told(*data.draw(st.permutations(history)))
    in_order = told(*history)
    assert (shuffled.days_overdue, shuffled.as_of, shuffled.cured_at) == (
        in_order.days_overdue,
        in_order.as_of,
        in_order.cured_at,
    )
    assert REPLAY.rung(shuffled.days_overdue) == REPLAY.rung(in_order.days_overdue)


@given(history=histories(), data=st.data())
def test_every_order_with_a_settlement_in_it_releases(history: list[Decision], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations([*history, settled(at=data.draw(st.integers(0, 10**15)))]))
    assert told(*mixed).settled


@given(
    history=histories(),
    days=st.integers(1, 400),
    cured=st.integers(0, 10**15),
    earlier=st.integers(0, 10**15),
)
def test_an_overdue_older_than_a_covering_payment_never_raises_the_level(
    history: list[Decision], days: int, cured: int, earlier: int
) -> None:
    before = told(*history, payment(at=cured))
    after, _ = before.after(overdue(days, at=cured - earlier), NOW)
    assert REPLAY.rung(after.days_overdue) <= REPLAY.rung(before.days_overdue)
