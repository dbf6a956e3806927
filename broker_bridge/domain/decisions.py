"""Decisions: facts about a loan, as a lender reports them."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, NewType

from lock_protocol.codec import pack
from lock_protocol.compiling import quick
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

DecisionId = NewType("DecisionId", str)
"""The lender's idempotency key: one decision, however often and by whichever way it comes."""


class DecisionType(StrEnum):
    """What happened to the loan."""

    PAYMENT_DUE = "payment_due"
    PAYMENT_OVERDUE = "payment_overdue"
    PAYMENT_RECEIVED = "payment_received"
    LOAN_SETTLED = "loan_settled"
    GRACE_GRANTED = "grace_granted"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_CLOSED = "dispute_closed"
    LOST_OR_STOLEN = "lost_or_stolen"
    RECOVERED = "recovered"
    RESEND = "resend"


class Payment(StrEnum):
    """What a received payment did to what is overdue."""

    CURING = "curing"
    """It covers all of it."""
    PARTIAL = "partial"
    """Something is left, which the next overdue figure tells."""
    REVERSED = "reversed"
    """It bounced: `days_overdue` tells what is overdue without it."""


_OVERDUE_FIGURES: Final = frozenset({"days_overdue", "amount_due", "currency", "pay_url"})

_FIGURES: Final[dict[DecisionType, tuple[frozenset[str], frozenset[str]]]] = {
    # type: the figures that it must have, and those that it may have
    DecisionType.PAYMENT_DUE: (frozenset({"due_at"}), frozenset({"amount_due", "currency", "pay_url"})),
    DecisionType.PAYMENT_OVERDUE: (frozenset({"days_overdue"}), _OVERDUE_FIGURES),
    DecisionType.PAYMENT_RECEIVED: (frozenset({"payment"}), _OVERDUE_FIGURES | {"reverses"}),
    DecisionType.LOAN_SETTLED: (frozenset(), frozenset()),
    DecisionType.GRACE_GRANTED: (frozenset({"until"}), frozenset({"level"})),
    DecisionType.DISPUTE_OPENED: (frozenset(), frozenset({"until"})),
    DecisionType.DISPUTE_CLOSED: (frozenset(), frozenset()),
    DecisionType.LOST_OR_STOLEN: (frozenset(), frozenset()),
    DecisionType.RECOVERED: (frozenset(), frozenset()),
    DecisionType.RESEND: (frozenset(), frozenset()),
}
_FIRST_FIGURES: Final = ("days_overdue", "payment", "amount_due", "currency", "pay_url")
_LATER_FIGURES: Final = ("due_at", "until", "level", "reverses")
_NONE_LATER: Final = (None,) * len(_LATER_FIGURES)

OPENING: Final = frozenset(
    {
        DecisionType.PAYMENT_RECEIVED,
        DecisionType.LOAN_SETTLED,
        DecisionType.GRACE_GRANTED,
        DecisionType.DISPUTE_OPENED,
        DecisionType.RECOVERED,
    }
)
"""What can lower a level; of the payments only one that has not bounced."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One fact. Its order and its level come from the figures in it, never from when it arrived.

    Invariant: it has the figures of its type and no others; a payment has `days_overdue` only when it was reversed.
    """

    lender: LenderId
    decision_id: DecisionId
    imei: Imei
    type: DecisionType
    occurred_at: int
    """Milliseconds UTC since 1970."""
    days_overdue: int | None = None
    payment: Payment | None = None
    amount_due: int | None = None
    """What is still to be paid, in minor units of `currency`; of a received payment, what was paid."""
    currency: str | None = None
    pay_url: str | None = None
    due_at: int | None = None
    """When a payment falls due, seconds UTC."""
    until: int | None = None
    """When a grace period or a dispute ends by itself, seconds UTC."""
    level: Level | None = None
    """The highest level during a grace period; None for the one that the phone has when it is granted."""
    reverses: DecisionId | None = None
    """The payment that bounced, for the record."""

    def __post_init__(self) -> None:
        """Refuse figures that do not belong to this type."""
        required, allowed = _FIGURES[self.type]
        for figure in (*_FIRST_FIGURES, *_LATER_FIGURES):
            there = getattr(self, figure) is not None
            if there and figure not in required | allowed:
                raise ValueError(f"{figure} does not belong to {self.type}")
            if not there and figure in required:
                raise ValueError(f"{self.type} needs {figure}")
        if self.type is DecisionType.PAYMENT_RECEIVED:
            bounced = self.payment is Payment.REVERSED
            if bounced != (self.days_overdue is not None) or (self.reverses is not None and not bounced):
                raise ValueError("days_overdue and reverses belong to a reversed payment, and to no other")

    @property
    def can_close(self) -> bool:
        """Whether it can raise the level of its phone."""
        closing = (DecisionType.PAYMENT_OVERDUE, DecisionType.LOST_OR_STOLEN, DecisionType.DISPUTE_CLOSED)
        return self.type in closing or self.payment is Payment.REVERSED

    @property
    def can_open(self) -> bool:
        """Whether it can lower the level of its phone."""
        return self.type in OPENING and self.payment is not Payment.REVERSED

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the content: the same id with another fingerprint is another decision.

        What version 0.1 knew is packed as it was then, so that its records still tell one decision from another.
        """
        cures = None if self.payment is None else self.payment is Payment.CURING
        amount = () if self.amount_due is None else (self.amount_due,)
        content: tuple[object, ...] = (
            self.imei,
            self.type.value,
            self.occurred_at,
            -1 if self.days_overdue is None else self.days_overdue,
            str(cures),
            amount,
            self.currency or "",
            self.pay_url or "",
        )
        later = (self.due_at, self.until, self.level, self.reverses)
        if later != _NONE_LATER or self.payment is Payment.REVERSED:
            content = (*content, tuple(map(str, later)))
        return sha256(pack(content)).digest()
