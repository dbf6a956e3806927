"""What lenders send: JSON read strictly, and checked field by field."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self, TypeVar, get_args

from fastapi import Request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import TypeAliasType

from broker_bridge.adapters.http.problems import ProblemError, faults_of
from broker_bridge.adapters.http.reading import read_body
from broker_bridge.adapters.policies.reading import zone_name
from broker_bridge.adapters.strict_json import NotJsonError, parse_json
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from lock_protocol.imei import Imei, parse_imei
from lock_protocol.keys import PUBLIC_KEY_BYTES, PublicKey, is_usable
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

MAX_LIST = 1000
MAX_DAYS = 36_500
MAX_TIME_S = 2**32 - 1
_EPOCH, _TOO_LATE = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
ID = r"^[A-Za-z0-9._:-]{1,64}$"


def _device_key(text: object) -> bytes:
    if not isinstance(text, str):  # a ValueError is how a validator speaks to Pydantic
        raise ValueError("must be the base64 text of a raw Ed25519 public key")  # noqa: TRY004
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"must be base64: {error}") from error
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"must be {PUBLIC_KEY_BYTES} bytes, this is {len(key)}")
    if not is_usable(PublicKey(key)):
        raise ValueError("is no Ed25519 public key: nothing that its phone signs would ever verify")
    return key


def _text_time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError('must be text like "2026-11-23T12:00:00Z"')  # noqa: TRY004 - the same
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None and not _EPOCH <= moment < _TOO_LATE:
        raise ValueError(f"must be from {_EPOCH.year} on and before {_TOO_LATE.year}")
    return moment


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not have control characters")
    return text


Reference = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
"""What a lender calls a document of its own."""

ImeiField = Annotated[
    str,
    Field(
        description="15 digits, the last of them the Luhn digit.",
        json_schema_extra={"format": "imei", "pattern": "^[0-9]{15}$"},
        examples=["001017000000003"],
    ),
    AfterValidator(parse_imei),
]
KeyField = Annotated[
    bytes,
    BeforeValidator(_device_key),
    WithJsonSchema(
        {"type": "string", "contentEncoding": "base64", "format": "ed25519", "pattern": "^[A-Za-z0-9+/]{43}=$"}
    ),
]
TimeZoneField = Annotated[str, Field(json_schema_extra={"format": "time-zone"}), AfterValidator(zone_name)]
TimeField = Annotated[
    AwareDatetime,
    BeforeValidator(_text_time),
    Field(description="RFC 3339, with its offset from UTC.", examples=["2026-01-23T00:00:00Z"]),
]


class Body(BaseModel):
    """A request's body. A field that nobody knows is refused: it may be one that somebody relies on."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class EnrolmentBody(Body):
    """`POST /v1/phones`."""

    imei: ImeiField
    loan_id: str = Field(pattern=ID)
    device_key: KeyField
    """Base64 of the raw Ed25519 public key that the phone made."""
    consent: Reference
    """The lender's reference to the borrower's signed agreement: evidence of the kind `contract`."""
    evidence: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")], Reference] = Field(
        default_factory=dict, max_length=16, json_schema_extra={"additionalProperties": False}
    )
    """More evidence of consent, by kind: what a policy may require before it restricts a phone."""
    time_zone: TimeZoneField | None = None
    """The borrower's, an IANA name like Asia/Kolkata: for quiet hours."""


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


B = TypeVar("B", bound=Body)


async def read_json(request: Request) -> Any:
    """Return the JSON value of a request's body, read without the leniencies that hide mistakes.

    Raises:
        ProblemError: what `read_body` raises; 400 when it is no JSON, repeats a key, or holds NaN or Infinity.
    """
    raw = await read_body(request, "application/json")
    try:
        return parse_json(raw)
    except NotJsonError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-json", f"the body is not JSON: {error}") from error


async def read_text(request: Request, media_type: str, max_bytes: int) -> str:
    """Return the text of a request's body.

    Raises:
        ProblemError: what `read_body` raises; 400 when there is none, or it is no UTF-8, or holds a NUL.
    """
    raw = await read_body(request, media_type, max_bytes)
    if not raw:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", "the body is empty")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", f"the body is not UTF-8: {error}") from error
    if "\0" in text:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-text", "the body holds a NUL character")
    return text


def check(model: type[B], value: object) -> B:
    """Return a value as a body.

    Raises:
        ProblemError: 422, naming every field that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_context=False, include_input=False))
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", faults) from error


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
