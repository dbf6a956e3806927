"""What is known about a loan, folded from its decisions in whatever order they come.

Each kind of fact is decided by the newest `occurred_at`, so that every order of arrival ends in the same loan. Which
decision does what to which loan is the table of `docs/decisions.md`, and a test plays that table.

A cure and an overdue figure of the same moment: the cure wins, whichever came first. Of two figures of one moment the
lower one wins: in doubt for the borrower.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from lock_protocol.compiling import compile_replace, quick
from lock_protocol.levels import Level

from broker_bridge.domain.decisions import Decision, DecisionType, Payment
from broker_bridge.domain.holds import NEVER, NO_HOLDS, Hold, Holds

FARTHEST_AHEAD_S: Final = 2 * 86_400
"""What is dated farther ahead counts as of then: a payment with a wrong year must not cover the arrears of years."""


class Effect(StrEnum):
    """What a decision did to its loan."""

    APPLIED = "applied"
    NOTED = "noted"
    COVERED = "covered"
    STALE = "stale"
    ALREADY_SETTLED = "already_settled"
    RESENT = "resent"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a hold is measured by when its decision arrives."""

    now: int
    """The time to judge by, seconds UTC."""
    latest: int
    """The latest that it may be: what the bridge's clock shows, also when it is not believed, but not before `now`.

    Whoever has paid, or has been given time, does not lose by a clock that nobody has answered for yet.
    """
    level: Level
    """The level that the arrears have brought the phone to: what a grace period without a level keeps."""
    escalated_from: Level
    """The level before the newest escalation, which a dispute goes back to."""
    longest_grace_s: int
    longest_dispute_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A payment that has been announced."""

    since: int
    """When it was announced, milliseconds UTC."""
    at: int
    """When it falls due, seconds UTC."""
    amount: int = 0
    currency: str = "XXX"
    pay_url: str = ""


@quick
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
    due: Due | None = None
    holds: Holds = NO_HOLDS

    def after(self, decision: Decision, moment: Moment) -> "tuple[Loan, Effect]":
        """Return the loan after one more decision, and what that decision did."""
        if decision.type is DecisionType.RESEND:
            return self, Effect.RESENT
        if self.settled:
            return self, Effect.ALREADY_SETTLED
        # Never below a figure that is known: a payer does not wait for a bridge whose clock is behind.
        farthest = max((moment.latest + FARTHEST_AHEAD_S) * 1000, self.as_of)
        if decision.occurred_at > farthest:
            decision = replace(decision, occurred_at=farthest)
        return _FOLDS[decision.type](self, decision, moment)


_changed = compile_replace(Loan)


def _settle(loan: Loan, _: Decision, __: Moment) -> tuple[Loan, Effect]:
    return _changed(loan, settled=True, days_overdue=0, amount_due=0), Effect.APPLIED


def _pay(loan: Loan, decision: Decision, moment: Moment) -> tuple[Loan, Effect]:
    match decision.payment:
        case Payment.CURING:
            return _cure(loan, decision.occurred_at)
        case Payment.REVERSED:
            return _owe(loan, decision, moment)
        case _:
            return loan, Effect.NOTED


def _cure(loan: Loan, at: int) -> tuple[Loan, Effect]:
    cured_at = max(loan.cured_at, at)
    if at < loan.as_of:
        return _changed(loan, cured_at=cured_at), Effect.STALE
    return _changed(loan, days_overdue=0, amount_due=0, as_of=at, cured_at=cured_at), Effect.APPLIED


def _owe(loan: Loan, decision: Decision, _: Moment) -> tuple[Loan, Effect]:
    days = decision.days_overdue or 0
    if decision.occurred_at <= loan.cured_at:
        return loan, Effect.COVERED
    if decision.occurred_at < loan.as_of or (decision.occurred_at == loan.as_of and days >= loan.days_overdue):
        return loan, Effect.STALE
    owed = _changed(
        loan,
        days_overdue=days,
        as_of=decision.occurred_at,
        amount_due=loan.amount_due if decision.amount_due is None else decision.amount_due,
        currency=decision.currency or loan.currency,
        pay_url=loan.pay_url if decision.pay_url is None else decision.pay_url,
    )
    return owed, Effect.APPLIED


def _announce(loan: Loan, decision: Decision, _: Moment) -> tuple[Loan, Effect]:
    if decision.occurred_at <= loan.cured_at:
        return loan, Effect.COVERED
    if loan.due is not None and decision.occurred_at < loan.due.since:
        return loan, Effect.STALE
    due = Due(
        since=decision.occurred_at,
        at=decision.due_at or 0,
        amount=decision.amount_due or 0,
        currency=decision.currency or "XXX",
        pay_url=decision.pay_url or "",
    )
    return _changed(loan, due=due), Effect.APPLIED


def _grant_grace(loan: Loan, decision: Decision, moment: Moment) -> tuple[Loan, Effect]:
    until = min(decision.until or 0, moment.latest + moment.longest_grace_s)
    cap = moment.level if decision.level is None else decision.level
    return _held(loan, loan.holds.grant_grace(Hold(since=decision.occurred_at, until=until, cap=cap)), moment)


def _open_dispute(loan: Loan, decision: Decision, moment: Moment) -> tuple[Loan, Effect]:
    longest = moment.latest + moment.longest_dispute_s
    until = longest if decision.until is None else min(decision.until, longest)
    hold = Hold(since=decision.occurred_at, until=until, cap=moment.escalated_from)
    return _held(loan, loan.holds.open_dispute(hold, moment.now), moment)


def _held(loan: Loan, holds: Holds | None, moment: Moment) -> tuple[Loan, Effect]:
    if holds is None:
        return loan, Effect.STALE
    changes = holds.active(moment.now) != loan.holds.active(moment.now)
    return _changed(loan, holds=holds), Effect.APPLIED if changes else Effect.NOTED


def _close_dispute(loan: Loan, decision: Decision, _: Moment) -> tuple[Loan, Effect]:
    holds, closed = loan.holds.close_dispute(decision.occurred_at)
    return _changed(loan, holds=holds), Effect.APPLIED if closed else Effect.NOTED


def _lose(loan: Loan, decision: Decision, _: Moment) -> tuple[Loan, Effect]:
    holds = loan.holds
    if decision.occurred_at <= max(holds.lost_at, holds.recovered_at):
        newer = replace(holds, lost_at=max(holds.lost_at, decision.occurred_at))
        return _changed(loan, holds=newer), Effect.STALE
    return _changed(loan, holds=replace(holds, lost_at=decision.occurred_at)), Effect.APPLIED


def _recover(loan: Loan, decision: Decision, _: Moment) -> tuple[Loan, Effect]:
    holds, at = loan.holds, decision.occurred_at
    recovered = _changed(loan, holds=replace(holds, recovered_at=max(holds.recovered_at, at)))
    if holds.is_lost and at >= holds.lost_at:
        return recovered, Effect.APPLIED
    return recovered, Effect.STALE if at < max(holds.lost_at, holds.recovered_at) else Effect.NOTED


_FOLDS: Final[dict[DecisionType, Callable[[Loan, Decision, Moment], tuple[Loan, Effect]]]] = {
    DecisionType.PAYMENT_DUE: _announce,
    DecisionType.PAYMENT_OVERDUE: _owe,
    DecisionType.PAYMENT_RECEIVED: _pay,
    DecisionType.LOAN_SETTLED: _settle,
    DecisionType.GRACE_GRANTED: _grant_grace,
    DecisionType.DISPUTE_OPENED: _open_dispute,
    DecisionType.DISPUTE_CLOSED: _close_dispute,
    DecisionType.LOST_OR_STOLEN: _lose,
    DecisionType.RECOVERED: _recover,
}
"""How each kind of decision is folded into a loan that is not settled."""
