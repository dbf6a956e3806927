"""What a lender sends, checked field by field: what all bodies have in common."""

from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from broker_bridge.adapters.lender_api.problems import MAX_FAULTS, ProblemError, faults_of
from lock_protocol.imei import parse_imei

ID = r"^[A-Za-z0-9._:-]{1,64}$"
"""What a lender may call a decision or a loan of its own."""

ImeiField = Annotated[
    str,
    Field(
        description="15 digits, the last of them the Luhn digit.",
        json_schema_extra={"format": "imei", "pattern": "^[0-9]{15}$"},
        examples=["001017000000003"],
    ),
    AfterValidator(parse_imei),
]


class Body(BaseModel):
    """A request's body. A field that nobody knows is refused: it may be one that somebody relies on."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


B = TypeVar("B", bound=Body)


def check(model: type[B], value: object) -> B:
    """Return a value as a body.

    Raises:
        ProblemError: 422, naming every field that is wrong.
    """
    known = model.model_fields
    if isinstance(value, dict) and len(value) > len(known) + MAX_FAULTS:
        # Pydantic would find a fault in each of them, and nothing else goes on meanwhile.
        detail = f"{len(value)} fields, where there are no others than {', '.join(known)}"
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", detail)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = faults_of(error.errors(include_url=False, include_context=False, include_input=False))
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-body", faults) from error
