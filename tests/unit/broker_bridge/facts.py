"""Decisions, short enough to stand in a sentence."""

from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.loans import Effect, Loan, Moment
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

LENDER = LenderId("acme-mobile")
IMEI = simulated_imei(1)
NOW = Moment(
    now=1_700_000_000,
    latest=1_700_000_000,
    level=Level.UNLOCKED,
    escalated_from=Level.UNLOCKED,
    longest_grace_s=30 * 86_400,
    longest_dispute_s=90 * 86_400,
)


def overdue(days: int, *, at: int, amount: int | None = None, imei: Imei = IMEI, name: str | None = None) -> Decision:
    return Decision(
        lender=LENDER,
        decision_id=DecisionId(name or f"overdue-{imei}-{days}-{at}"),
        imei=imei,
        type=DecisionType.PAYMENT_OVERDUE,
        occurred_at=at,
        days_overdue=days,
        amount_due=amount,
        currency="EUR",
    )


def payment(*, at: int, cures: bool = True, imei: Imei = IMEI, name: str | None = None) -> Decision:
    return Decision(
        lender=LENDER,
        decision_id=DecisionId(name or f"payment-{imei}-{at}"),
        imei=imei,
        type=DecisionType.PAYMENT_RECEIVED,
        occurred_at=at,
        payment=Payment.CURING if cures else Payment.PARTIAL,
    )


def settled(*, at: int, imei: Imei = IMEI, name: str | None = None) -> Decision:
    return Decision(
        lender=LENDER,
        decision_id=DecisionId(name or f"settled-{imei}-{at}"),
        imei=imei,
        type=DecisionType.LOAN_SETTLED,
        occurred_at=at,
    )


def told(*decisions: Decision) -> Loan:
    """The loan after these, in this order."""
    loan = Loan()
    for decision in decisions:
        loan, _ = loan.after(decision, NOW)
    return loan


def effect_of(decision: Decision, *before: Decision) -> Effect:
    return told(*before).after(decision, NOW)[1]
