"""What is known about a loan, folded from its decisions in whatever order they come.

| loan | decision | becomes | effect |
|---|---|---|---|
| settled | any | unchanged | `ALREADY_SETTLED` |
| open | settled | settled | `APPLIED` |
| open | cured at or after the newest figure | nothing overdue | `APPLIED` |
| open | cured before the newest figure | unchanged | `STALE` |
| open | partial payment | unchanged: the next overdue figure tells what is left | `NOTED` |
| open | overdue at or before the newest cure | unchanged | `COVERED` |
| open | overdue before the newest figure | unchanged | `STALE` |
| open | overdue otherwise | that many days overdue | `APPLIED` |

A cure and an overdue figure of the same moment: the cure wins, whichever came first.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from broker_bridge.domain.decisions import Decision, DecisionType

NEVER = -1


class Effect(StrEnum):
    """What a decision did to its loan."""

    APPLIED = "applied"
    NOTED = "noted"
    COVERED = "covered"
    STALE = "stale"
    ALREADY_SETTLED = "already_settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One loan, as of its newest decisions. Times are milliseconds UTC; `NEVER` for none."""

    days_overdue: int = 0
    as_of: int = NEVER
    """When the newest figure (overdue or cured) occurred."""
    cured_at: int = NEVER
    """When the newest payment that covered everything occurred."""
    settled: bool = False
    amount_due: int = 0
    currency: str = "XXX"
    pay_url: str = ""

    def after(self, decision: Decision) -> "tuple[Loan, Effect]":
        """Return the loan after one more decision, and what that decision did."""
        if self.settled:
            return self, Effect.ALREADY_SETTLED
        match decision.type:
            case DecisionType.LOAN_SETTLED:
                return replace(self, settled=True, days_overdue=0, amount_due=0), Effect.APPLIED
            case DecisionType.PAYMENT_RECEIVED:
                return self._after_payment(decision)
            case DecisionType.PAYMENT_OVERDUE:
                return self._after_overdue(decision)

    def _after_payment(self, decision: Decision) -> "tuple[Loan, Effect]":
        if not decision.cures:
            return self, Effect.NOTED
        cured_at = max(self.cured_at, decision.occurred_at)
        if decision.occurred_at < self.as_of:
            return replace(self, cured_at=cured_at), Effect.STALE
        cured = replace(self, days_overdue=0, amount_due=0, as_of=decision.occurred_at, cured_at=cured_at)
        return cured, Effect.APPLIED

    def _after_overdue(self, decision: Decision) -> "tuple[Loan, Effect]":
        if decision.occurred_at <= self.cured_at:
            return self, Effect.COVERED
        if decision.occurred_at < self.as_of:
            return self, Effect.STALE
        overdue = replace(
            self,
            days_overdue=decision.days_overdue or 0,
            as_of=decision.occurred_at,
            amount_due=self.amount_due if decision.amount_due is None else decision.amount_due,
            currency=decision.currency or self.currency,
            pay_url=self.pay_url if decision.pay_url is None else decision.pay_url,
        )
        return overdue, Effect.APPLIED
