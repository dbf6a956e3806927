"""What a lender sends to enrol a phone."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from broker_bridge.adapters.lender_api.bodies import ID, Body, ImeiField
from broker_bridge.domain.quiet import zone_name
from lock_protocol.keys import PUBLIC_KEY_BYTES, PublicKey, is_usable


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


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not have control characters")
    return text


Reference = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
"""What a lender calls a document of its own."""

KeyField = Annotated[
    bytes,
    BeforeValidator(_device_key),
    WithJsonSchema(
        {"type": "string", "contentEncoding": "base64", "format": "ed25519", "pattern": "^[A-Za-z0-9+/]{43}=$"}
    ),
]
TimeZoneField = Annotated[
    str, Field(max_length=64, json_schema_extra={"format": "time-zone"}), AfterValidator(zone_name)
]


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
