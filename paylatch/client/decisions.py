"""What a lender reports: one class for each type of decision.

They are facts, so nothing in them says which level follows: the policy does. Money is in minor units of its currency
(cents, paise). `docs/decisions.md` tells what each does to a loan, also when they come out of order.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

from lock_protocol.imei import parse_imei
from lock_protocol.levels import Level

_RANDOM_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What every decision has.

    Args:
        decision_id: your own name for it, and the idempotency key: the same decision may be sent as often as needed, by
            any way, and is done once. Choose it once for each fact (a payment's number, say) and keep it; one made
            anew for each try would be another decision.
        imei: the phone.
        occurred_at: when it happened, not when it is sent: the order of decisions is the order of these.

    Raises:
        ValueError: the IMEI is none, or a time has no time zone.
    """

    type: ClassVar[str]
    _more: ClassVar[Mapping[str, object]] = {}
    """What the body says beside the fields."""

    decision_id: str
    imei: str
    occurred_at: datetime

    def __post_init__(self) -> None:
        """Refuse at once what no bridge would take."""
        parse_imei(self.imei)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"{field.name} has no time zone: say datetime(..., tzinfo=UTC)")

    def body(self) -> dict[str, Any]:
        """Return the JSON object that is sent, whichever way."""
        said = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return {"type": self.type, **self._more, **{name: value for name, value in said.items() if value is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDue(Decision):
    """A payment falls due soon: the borrower may be told."""

    type: ClassVar[str] = "payment_due"

    due_at: datetime
    amount_due: int | None = None
    currency: str | None = None
    pay_url: str | None = None
    """Where to pay, https; its host must be one that your delegation names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOverdue(Decision):
    """A payment is late by this many days."""

    type: ClassVar[str] = "payment_overdue"

    days_overdue: int
    amount_due: int | None = None
    currency: str | None = None
    pay_url: str | None = None
    """As in `PaymentDue`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceived(Decision):
    """A payment has arrived."""

    type: ClassVar[str] = "payment_received"

    cures: bool
    """Whether nothing is overdue any more: then the phone opens at once. False for a partial payment."""
    amount: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReversed(Decision):
    """A payment that had arrived has bounced."""

    type: ClassVar[str] = "payment_received"
    _more: ClassVar[Mapping[str, object]] = {"reversed": True}

    days_overdue: int
    """What is overdue without it; 0 for nothing."""
    reverses: str | None = None
    """The `decision_id` of the payment, for the record."""
    amount: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanSettled(Decision):
    """The loan is paid off: the phone is released, for good."""

    type: ClassVar[str] = "loan_settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceGranted(Decision):
    """The borrower has been given more time: nothing escalates until it ends by itself."""

    type: ClassVar[str] = "grace_granted"

    until: datetime
    level: Level | None = None
    """At most this one meanwhile; None: at most the one that the phone has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeOpened(Decision):
    """The borrower objects: the newest escalation is taken back, and nothing escalates until it ends."""

    type: ClassVar[str] = "dispute_opened"

    until: datetime | None = None
    """When it ends by itself; None: after the policy's longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeClosed(Decision):
    """The objection has been dealt with: the level before it is back."""

    type: ClassVar[str] = "dispute_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LostOrStolen(Decision):
    """The phone is lost or stolen: it locks, whatever is paid."""

    type: ClassVar[str] = "lost_or_stolen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Decision):
    """It is back with its owner."""

    type: ClassVar[str] = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend(Decision):
    """Sign what the phone should be anew, and send it again."""

    type: ClassVar[str] = "resend"


DecisionLike = Decision | Mapping[str, Any]
"""A decision, or the JSON object of one that comes from elsewhere; the bridge checks it either way."""


def body_of(decision: DecisionLike) -> Mapping[str, Any]:
    """Return the JSON object of a decision."""
    return decision.body() if isinstance(decision, Decision) else decision


def new_decision_id() -> str:
    """Return an id that no other decision has: `dec_…`, in the order of time. Make one for each fact, and keep it."""
    return f"dec_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(_RANDOM_BYTES)}"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.name.lower() if isinstance(value, Level) else value
