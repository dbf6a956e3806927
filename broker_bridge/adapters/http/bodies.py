"""What lenders send: JSON read strictly, and checked field by field."""

import base64
import binascii
import json
from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from broker_bridge.adapters.http.problems import ProblemError, faults_of, shortened
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType
from lock_protocol.imei import Imei, parse_imei
from lock_protocol.keys import PUBLIC_KEY_BYTES, PublicKey, is_usable
from lock_protocol.messages import LenderId

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_LIST = 1000
MAX_DAYS = 36_500
_EPOCH, _TOO_LATE = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_ID = r"^[A-Za-z0-9._:-]{1,64}$"


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


ImeiField = Annotated[str, AfterValidator(parse_imei)]
KeyField = Annotated[bytes, BeforeValidator(_device_key)]
TimeField = Annotated[AwareDatetime, BeforeValidator(_text_time)]


class Body(BaseModel):
    """A request's body. A field that nobody knows is refused: it may be one that somebody relies on."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EnrolmentBody(Body):
    """`POST /v1/phones`."""

    imei: ImeiField
    loan_id: str = Field(pattern=_ID)
    device_key: KeyField
    """Base64 of the raw Ed25519 public key that the phone made."""
    consent: str = Field(min_length=1, max_length=256, pattern=r"^[^\x00]+$")
    """The lender's reference to the borrower's signed agreement."""


class _DecisionBody(Body):
    decision_id: str = Field(pattern=_ID)
    imei: ImeiField
    occurred_at: TimeField

    def _decision(self, lender: LenderId, **figures: Any) -> Decision:
        return Decision(
            lender=lender,
            decision_id=DecisionId(self.decision_id),
            imei=Imei(self.imei),
            occurred_at=(self.occurred_at - _EPOCH) // timedelta(milliseconds=1),
            **figures,
        )


class OverdueBody(_DecisionBody):
    """A payment is late."""

    type: Literal["payment_overdue"]
    days_overdue: int = Field(ge=1, le=MAX_DAYS)
    amount_due: int | None = Field(default=None, ge=0, le=10**12)
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    pay_url: str | None = Field(default=None, max_length=200, pattern=r"^https://[a-z0-9.-]{1,64}(/[\x21-\x7e]*)?$")

    def decision(self, lender: LenderId) -> Decision:
        """Return the decision of this lender."""
        return self._decision(
            lender,
            type=DecisionType.PAYMENT_OVERDUE,
            days_overdue=self.days_overdue,
            amount_due=self.amount_due,
            currency=self.currency,
            pay_url=self.pay_url,
        )


class PaymentBody(_DecisionBody):
    """A payment has arrived."""

    type: Literal["payment_received"]
    cures: bool
    """Whether nothing is overdue any more; a partial payment says false."""
    amount: int | None = Field(default=None, ge=0, le=10**12)
    """What was paid, in minor units: for the record."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")

    def decision(self, lender: LenderId) -> Decision:
        """Return the decision of this lender."""
        return self._decision(
            lender,
            type=DecisionType.PAYMENT_RECEIVED,
            cures=self.cures,
            amount_due=self.amount,
            currency=self.currency,
        )


class SettledBody(_DecisionBody):
    """The loan is paid off."""

    type: Literal["loan_settled"]

    def decision(self, lender: LenderId) -> Decision:
        """Return the decision of this lender."""
        return self._decision(lender, type=DecisionType.LOAN_SETTLED)


_DECISIONS: dict[object, type[OverdueBody | PaymentBody | SettledBody]] = {
    "payment_overdue": OverdueBody,
    "payment_received": PaymentBody,
    "loan_settled": SettledBody,
}

B = TypeVar("B", bound=Body)


async def read_json(chunks: AsyncIterable[bytes]) -> Any:
    """Return the JSON value of a body, read without the leniencies that hide mistakes.

    Raises:
        ProblemError: 413 as soon as it is too large; 400 when it is no JSON, repeats a key, or holds NaN or Infinity.
    """
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"at most {MAX_BODY_BYTES} bytes in a body"
            )
    try:
        return json.loads(raw.decode(), object_pairs_hook=_without_repetition, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-json", f"the body is not JSON: {error}") from error


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
    model = _DECISIONS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", f"type: must be one of {', '.join(map(str, _DECISIONS))}"
        )
    return check(model, value).decision(lender)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"key {shortened(key)} stands there twice")
        result[key] = value
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")
