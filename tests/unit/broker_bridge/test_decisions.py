"""A decision's figures, and what makes two of them the same."""

from dataclasses import replace
from typing import Any

import pytest

from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId
from tests.unit.broker_bridge.facts import overdue, payment, settled


@pytest.mark.parametrize(
    ("kind", "figures", "fault"),
    [
        (DecisionType.PAYMENT_OVERDUE, {}, "needs days_overdue"),
        (DecisionType.LOAN_SETTLED, {"days_overdue": 3}, "days_overdue does not belong"),
        (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.CURING, "days_overdue": 3}, "belong to a reversed"),
        (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.REVERSED}, "belong to a reversed"),
        (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.PARTIAL, "reverses": "p1"}, "belong to a reversed"),
        (DecisionType.PAYMENT_RECEIVED, {}, "needs payment"),
        (DecisionType.LOAN_SETTLED, {"payment": Payment.CURING}, "payment does not belong"),
        (DecisionType.PAYMENT_DUE, {}, "needs due_at"),
        (DecisionType.GRACE_GRANTED, {}, "needs until"),
        (DecisionType.DISPUTE_CLOSED, {"until": 3}, "until does not belong"),
        (DecisionType.RESEND, {"level": Level.LOCKED}, "level does not belong"),
    ],
)
def test_figures_of_another_type_are_refused(kind: DecisionType, figures: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Decision(
            lender=LenderId("acme-mobile"),
            decision_id=DecisionId("d"),
            imei=simulated_imei(1),
            type=kind,
            occurred_at=1,
            **figures,
        )


def test_every_figure_is_in_the_fingerprint() -> None:
    late = replace(overdue(30, at=5, amount=7), pay_url="https://pay.example/1")
    others = [
        replace(late, imei=simulated_imei(2)),
        replace(late, occurred_at=6),
        replace(late, days_overdue=31),
        replace(late, amount_due=8),
        replace(late, amount_due=None),
        replace(late, currency="TWD"),
        replace(late, pay_url="https://pay.example/2"),
        payment(at=5),
        payment(at=5, cures=False),
        settled(at=5),
    ]
    assert len({one.fingerprint for one in (late, *others)}) == len(others) + 1


def test_the_name_is_not_in_the_fingerprint() -> None:
    late = overdue(30, at=5)
    assert replace(late, decision_id=DecisionId("other")).fingerprint == late.fingerprint
