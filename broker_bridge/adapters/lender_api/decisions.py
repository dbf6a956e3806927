"""What lenders report: decisions, checked field by field."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

from broker_bridge.adapters.lender_api.bodies import ID, Body, ImeiField, check
from broker_bridge.adapters.lender_api.problems import ProblemError
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

MAX_LIST = 1000
MAX_DAYS = 36_500
MAX_TIME_S = 2**32 - 1
_EPOCH, _TOO_LATE = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def _text_time(value: object) -> datetime:
    expected = 'must be text like "2026-11-23T12:00:00Z"'
    if not isinstance(value, str):
        raise ValueError(expected)  # noqa: TRY004 - how a validator speaks to Pydantic
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(expected) from error
    if moment.tzinfo is not None and not _EPOCH <= moment < _TOO_LATE:
        raise ValueError(f"must be from {_EPOCH.year} on and before {_TOO_LATE.year}")
    return moment


TimeField = Annotated[
    AwareDatetime,
    BeforeValidator(_text_time),
    Field(description="RFC 3339, with its offset from UTC.", examples=["2026-01-23T00:00:00Z"]),
]


class DecisionBody(Body):
    """What every decision has."""

    decision_id: str = Field(pattern=ID)
    """The lender's own name for it, and the idempotency key: the same decision may be sent again."""
    imei: ImeiField
    occurred_at: TimeField
    """When it happened, not when it is sent: the order of decisions is the order of these."""

    def decision(self, lender: LenderId) -> Decision:
        """Return the decision of this lender."""
        return Decision(
            lender=lender,
            decision_id=DecisionId(self.decision_id),
            imei=Imei(self.imei),
            type=DecisionType(getattr(self, "type")),  # noqa: B009 - each subclass declares its own
            occurred_at=(self.occurred_at - _EPOCH) // timedelta(milliseconds=1),
            **self._figures(),
        )

    def _figures(self) -> dict[str, Any]:
        """Return what this type has beside that."""
        return {}


class _Billed(DecisionBody):
    """What is to be paid."""

    amount_due: int | None = Field(default=None, ge=0, le=10**12)
    """In minor units of `currency`."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    pay_url: str | None = Field(default=None, max_length=200, pattern=r"^https://[a-z0-9.-]{1,64}(/[\x21-\x7e]*)?$")
    """Where to pay; its host must be one that the delegation names."""

    def _figures(self) -> dict[str, Any]:
        return {"amount_due": self.amount_due, "currency": self.currency, "pay_url": self.pay_url}


class DueBody(_Billed):
    """A payment falls due soon."""

    type: Literal["payment_due"]
    due_at: TimeField

    def _figures(self) -> dict[str, Any]:
        return super()._figures() | {"due_at": _seconds(self.due_at)}


class OverdueBody(_Billed):
    """A payment is late."""

    type: Literal["payment_overdue"]
    days_overdue: int = Field(ge=1, le=MAX_DAYS)

    def _figures(self) -> dict[str, Any]:
        return super()._figures() | {"days_overdue": self.days_overdue}


# `_one_outcome` in the words of JSON Schema.
_ARRIVED: Final[dict[str, Any]] = {
    "required": ["cures"],
    "properties": {
        "cures": {"type": "boolean"},
        "reversed": {"const": False},
        "days_overdue": {"type": "null"},
        "reverses": {"type": "null"},
    },
}
_BOUNCED: Final[dict[str, Any]] = {
    "required": ["reversed", "days_overdue"],
    "properties": {
        "cures": {"type": "null"},
        "reversed": {"const": True},
        "days_overdue": {"type": "integer"},
    },
}


class PaymentBody(DecisionBody):
    """A payment has arrived, or one that had arrived has bounced."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_ARRIVED, _BOUNCED]})

    type: Literal["payment_received"]
    cures: bool | None = None
    """Whether nothing is overdue any more; a partial payment says false, a reversed one nothing."""
    reversed: bool = False
    """Whether it bounced: then `days_overdue` tells what is overdue without it."""
    days_overdue: int | None = Field(default=None, ge=0, le=MAX_DAYS)
    reverses: str | None = Field(default=None, pattern=ID)
    """The `decision_id` of the payment that bounced, for the record."""
    amount: int | None = Field(default=None, ge=0, le=10**12)
    """What was paid, in minor units: for the record."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")

    @model_validator(mode="after")
    def _one_outcome(self) -> Self:
        if self.reversed != (self.cures is None):
            raise ValueError("say cures (true or false), or reversed: true with days_overdue, and not both")
        if self.reversed != (self.days_overdue is not None):
            raise ValueError("days_overdue belongs to a reversed payment: what is overdue without it")
        if self.reverses is not None and not self.reversed:
            raise ValueError("reverses belongs to a reversed payment")
        return self

    def _figures(self) -> dict[str, Any]:
        outcome = Payment.REVERSED if self.reversed else Payment.CURING if self.cures else Payment.PARTIAL
        return {
            "payment": outcome,
            "amount_due": self.amount,
            "currency": self.currency,
            "days_overdue": self.days_overdue,
            "reverses": self.reverses,
        }


class SettledBody(DecisionBody):
    """The loan is paid off: the phone is released, for good."""

    type: Literal["loan_settled"]


class GraceBody(DecisionBody):
    """The borrower has been given more time: nothing escalates until it ends."""

    type: Literal["grace_granted"]
    until: TimeField
    level: Literal["unlocked", "notice", "reminder", "restricted", "locked"] | None = None
    """At most this level meanwhile; without it, at most the one that the phone has now."""

    def _figures(self) -> dict[str, Any]:
        return {"until": _seconds(self.until), "level": None if self.level is None else Level[self.level.upper()]}


class DisputeOpenedBody(DecisionBody):
    """The borrower objects: the newest escalation is taken back, and nothing escalates until it ends."""

    type: Literal["dispute_opened"]
    until: TimeField | None = None
    """When it ends by itself; without it, after the policy's longest."""

    def _figures(self) -> dict[str, Any]:
        return {"until": None if self.until is None else _seconds(self.until)}


class DisputeClosedBody(DecisionBody):
    """The objection has been dealt with: the level before it is back."""

    type: Literal["dispute_closed"]


class LostBody(DecisionBody):
    """The phone is lost or stolen: it locks, whatever is paid."""

    type: Literal["lost_or_stolen"]


class RecoveredBody(DecisionBody):
    """It is back with its owner."""

    type: Literal["recovered"]


class ResendBody(DecisionBody):
    """Sign what the phone should be anew and send it again."""

    type: Literal["resend"]


DecisionBodies = (
    DueBody
    | OverdueBody
    | PaymentBody
    | SettledBody
    | GraceBody
    | DisputeOpenedBody
    | DisputeClosedBody
    | LostBody
    | RecoveredBody
    | ResendBody
)
"""Any decision; `type` tells which."""

AnyDecision = TypeAliasType("AnyDecision", Annotated[DecisionBodies, Field(discriminator="type")])
"""The same, for the document: `decision_of` reads it."""

DECISION_BODIES: Final[dict[str, type[DecisionBody]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(DecisionBodies)
}
"""The body of each type of decision. `imports` and the documents are made from it."""


def _seconds(moment: datetime) -> int:
    """Return a time as whole seconds UTC, in the range that phones know."""
    return min((moment - _EPOCH) // timedelta(seconds=1), MAX_TIME_S)


def decision_of(value: object, lender: LenderId) -> Decision:
    """Return a JSON value as a decision of this lender.

    Raises:
        ProblemError: 422, naming what is wrong.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    model = DECISION_BODIES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", f"type: must be one of {', '.join(DECISION_BODIES)}"
        )
    return check(model, value).decision(lender)
