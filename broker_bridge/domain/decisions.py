"""Decisions: facts about a loan, as a lender reports them."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NewType

from lock_protocol.codec import pack
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

DecisionId = NewType("DecisionId", str)
"""The lender's idempotency key: one decision, however often and by whichever way it comes."""


class DecisionType(StrEnum):
    """What happened to the loan."""

    PAYMENT_OVERDUE = "payment_overdue"
    PAYMENT_RECEIVED = "payment_received"
    LOAN_SETTLED = "loan_settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One fact. Its order and its level come from the figures in it, never from when it arrived.

    Invariant: `days_overdue` is there for an overdue payment only, `cures` for a received one only.
    """

    lender: LenderId
    decision_id: DecisionId
    imei: Imei
    type: DecisionType
    occurred_at: int
    """Milliseconds UTC since 1970."""
    days_overdue: int | None = None
    cures: bool | None = None
    """Whether the payment covers all that is overdue; a partial one does not."""
    amount_due: int | None = None
    """What is still to be paid, in minor units of `currency`."""
    currency: str | None = None
    pay_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse figures that do not belong to this type."""
        if (self.days_overdue is not None) != (self.type is DecisionType.PAYMENT_OVERDUE):
            raise ValueError("days_overdue belongs to payment_overdue, and to it only")
        if (self.cures is not None) != (self.type is DecisionType.PAYMENT_RECEIVED):
            raise ValueError("cures belongs to payment_received, and to it only")

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the content: the same id with another fingerprint is another decision."""
        amount = () if self.amount_due is None else (self.amount_due,)
        return sha256(
            pack(
                (
                    self.imei,
                    self.type.value,
                    self.occurred_at,
                    -1 if self.days_overdue is None else self.days_overdue,
                    str(self.cures),
                    amount,
                    self.currency or "",
                    self.pay_url or "",
                )
            )
        ).digest()
