"""What no order of arrival can change, for decisions of every type."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker_bridge.domain.decisions import Decision, DecisionType, Payment
from broker_bridge.domain.holds import NEVER
from broker_bridge.domain.loans import Effect, Loan
from broker_bridge.domain.policy import SignalRules
from lock_protocol.levels import Level, Signals
from tests.unit.broker_bridge.cases import histories, levels, made
from tests.unit.broker_bridge.told import UNGATED, Told

MODEST = settings(max_examples=150, deadline=None)
SETTLING = frozenset({DecisionType.LOAN_SETTLED})


def figures(loan: Loan) -> dict[str, Any]:
    """What arrival must not change. Caps and ends of holds are measured when they arrive."""
    holds = loan.holds
    due = None if loan.due is None or loan.due.since <= loan.cured_at else loan.due
    return {
        "days": loan.days_overdue,
        "as_of": loan.as_of,
        "cured_at": loan.cured_at,
        "settled": loan.settled,
        "due": due,
        "grace": None if holds.grace is None else holds.grace.since,
        "dispute": None if holds.dispute is None else holds.dispute.since,
        "dispute_closed_at": holds.dispute_closed_at,
        "lost_at": holds.lost_at,
        "recovered_at": holds.recovered_at,
    }


def newest_first(several: Sequence[Decision]) -> list[Decision]:
    return list(reversed(several))


@MODEST
@given(history=histories(without=SETTLING), data=st.data())
def test_every_order_ends_in_the_same_figures(history: list[Decision], data: st.DataObject) -> None:
    in_order = figures(Told().tell_all(history).loan)
    assert figures(Told().tell_all(data.draw(st.permutations(history))).loan) == in_order
    assert figures(Told().tell_all(newest_first(history)).loan) == in_order


@MODEST
@given(history=histories(without=SETTLING), data=st.data())
def test_every_order_ends_at_the_same_level_once_all_holds_are_over(
    history: list[Decision], data: st.DataObject
) -> None:
    in_order = Told().tell_all(history)
    shuffled = Told().tell_all(data.draw(st.permutations(history)))
    assert shuffled.on_day(500).level == in_order.on_day(500).level


@MODEST
@given(history=histories(without=SETTLING), extra=st.integers(1, 10**6), signals=levels, data=st.data())
def test_a_loan_that_is_paid_for_is_at_most_where_a_loss_or_a_signal_puts_it(
    history: list[Decision], extra: int, signals: Level, data: st.DataObject
) -> None:
    cure = made(DecisionType.PAYMENT_RECEIVED, history[-1].occurred_at + extra, payment=Payment.CURING)
    policy = replace(UNGATED, signals=SignalRules(tamper=signals))
    phone = Told(policy=policy, signals=Signals.DEBUG)
    phone.tell_all(data.draw(st.permutations([*history, cure])))
    others = max(signals, Level.LOCKED if phone.loan.holds.is_lost else Level.UNLOCKED, Level.NOTICE)
    assert phone.level <= others
    assert phone.on_day(500).level <= others


@MODEST
@given(history=histories(), days=st.integers(1, 400), earlier=st.integers(0, 10**12), data=st.data())
def test_a_figure_from_before_the_payment_that_covers_it_never_raises_the_level(
    history: list[Decision], days: int, earlier: int, data: st.DataObject
) -> None:
    cured_at = history[-1].occurred_at + 1
    cure = made(DecisionType.PAYMENT_RECEIVED, cured_at, payment=Payment.CURING)
    late = made(DecisionType.PAYMENT_OVERDUE, max(cured_at - earlier, 0), days_overdue=days)
    phone = Told().tell_all(data.draw(st.permutations([*history, cure])))
    before, later = phone.level, phone.on_day(500).level
    assert phone.tell(late) in (Effect.COVERED, Effect.ALREADY_SETTLED)
    assert phone.level <= before
    assert phone.on_day(500).level <= later


@MODEST
@given(history=histories(), at=st.integers(0, 10**12), later=histories(), data=st.data())
def test_a_settled_loan_never_leaves_released(
    history: list[Decision], at: int, later: list[Decision], data: st.DataObject
) -> None:
    phone = Told().tell_all(data.draw(st.permutations([*history, made(DecisionType.LOAN_SETTLED, at)])))
    assert phone.level is Level.RELEASED
    for one in later:
        assert phone.tell(one) in (Effect.ALREADY_SETTLED, Effect.RESENT)
        assert phone.level is Level.RELEASED


@MODEST
@given(history=histories(), data=st.data())
def test_a_hold_never_raises_a_level_and_always_ends(history: list[Decision], data: st.DataObject) -> None:
    phone = Told()
    for one in data.draw(st.permutations(history)):
        before, held = phone.level, phone.loan.holds.active(phone.now)
        phone.tell(one)
        # A newer one may allow more than the one that it replaces, or end it.
        if one.type in (DecisionType.GRACE_GRANTED, DecisionType.DISPUTE_OPENED) and not held:
            assert phone.level <= before
    assert not phone.on_day(500).loan.holds.active(phone.on_day(500).now)


@MODEST
@given(history=histories(without=SETTLING))
def test_the_same_decision_told_again_changes_no_figure(history: list[Decision]) -> None:
    once = Told().tell_all(history)
    twice = Told().tell_all([*history, *history])
    assert figures(twice.loan) == figures(once.loan)


def test_nothing_has_happened_to_a_new_loan() -> None:
    assert figures(Loan())["dispute_closed_at"] == NEVER
