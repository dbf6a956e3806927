"""The envelope: one payload, its type, who signed both, and the delegation that lets them.

What is signed is the DSSE pre-authentication encoding (https://github.com/secure-systems-lab/dsse, protocol.md) over
the payload bytes as they are transported. The type is inside it, so a signature of one kind of message never counts
for another; the lengths are inside it, so no two pairs of type and payload share their signed bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar

from lock_protocol.codec import encode, is_encoding_of, pack, read_first
from lock_protocol.compiling import quick
from lock_protocol.keys import KeyId, PublicKey, SigningKey, verifies
from lock_protocol.messages import Delegation, DesiredState, Fresh, Hello, Reported, Root, StateHash
from lock_protocol.schema import MAX_INTEGER, Bin, Many, Message, Nested, Record, Schema, Text, UInt, schema_of

ENVELOPE_VERSION = 1
MAX_ENVELOPE_BYTES = 4096
MAX_SIGNATURES = 10

M = TypeVar("M", bound=Message)


class ShapeError(ValueError):
    """Bytes that are no envelope of the expected kind; the message says why."""


@dataclass(frozen=True, slots=True)
class MessageType(Generic[M]):
    """One kind of envelope: its name, what its payload is, how many sign it, whether it brings a delegation."""

    name: str
    message: type[M]
    max_signatures: int
    carries_delegation: bool
    media_type: str = field(init=False)
    """The type string that is signed."""
    schema: Schema[M] = field(init=False, repr=False, compare=False)
    """The payload's table."""

    def __post_init__(self) -> None:
        """Name the type once, and find its table."""
        object.__setattr__(self, "media_type", f"application/vnd.paylatch.{self.name}.v1+msgpack")
        object.__setattr__(self, "schema", schema_of(self.message))


ROOT = MessageType("root", Root, MAX_SIGNATURES, carries_delegation=False)
DELEGATION = MessageType("delegation", Delegation, MAX_SIGNATURES, carries_delegation=False)
DESIRED = MessageType("desired", DesiredState, 2, carries_delegation=True)
FRESH = MessageType("fresh", Fresh, 1, carries_delegation=True)
HELLO = MessageType("hello", Hello, 1, carries_delegation=False)
REPORTED = MessageType("reported", Reported, 1, carries_delegation=False)


@quick
@dataclass(frozen=True, slots=True, order=True)
class Signature(Record):
    """A key id and that key's signature."""

    key_id: Annotated[KeyId, Bin(8)]
    signature: Annotated[bytes, Bin(64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(Record):
    """The outer shape of everything that is signed. Nothing in it may be believed before its signatures are."""

    version: Annotated[int, UInt(0, MAX_INTEGER)] = ENVELOPE_VERSION
    type: Annotated[str, Text(1, 128)]
    payload: Annotated[bytes, Bin(0, MAX_ENVELOPE_BYTES)]
    signatures: Annotated[tuple[Signature, ...], Many(Nested(Signature), 1, MAX_SIGNATURES)]
    delegation: Annotated[bytes, Bin(0, MAX_ENVELOPE_BYTES)]

    @property
    def payload_hash(self) -> StateHash:
        """SHA-256 of the payload: two messages are the same when this is."""
        return StateHash(sha256(self.payload).digest())

    def is_signed_by(self, public: PublicKey, signature: Signature) -> bool:
        """Return whether `signature` is `public`'s signature of this type and payload."""
        return verifies(public, pre_authentication(self.type, self.payload), signature.signature)


_ENVELOPE = schema_of(Envelope)


def pre_authentication(media_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's PAE of the type and the payload."""
    name = media_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def sign(kind: MessageType[M], payload: bytes, key: SigningKey) -> Signature:
    """Return `key`'s signature of a payload of this kind."""
    return Signature(key.id, key.sign(pre_authentication(kind.media_type, payload)))


def seal(kind: MessageType[M], message: M, keys: Iterable[SigningKey], delegation: bytes = b"") -> bytes:
    """Return the envelope of a message, signed by each of `keys`.

    Raises:
        ValueError: a number of signatures, or a delegation, that this kind does not have.
    """
    payload = encode(message)
    signed = pre_authentication(kind.media_type, payload)
    signatures = tuple(sorted((key.id, key.sign(signed)) for key in keys))
    # The parts fit the table by their types, but for their number, their order and their size, which are judged here.
    values = (ENVELOPE_VERSION, kind.media_type, payload, signatures, delegation)
    if fault := _parts_fault(kind, values):
        raise ValueError(fault)
    data = pack(values)
    if len(data) > MAX_ENVELOPE_BYTES:
        msg = f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes, this one {len(data)}"
        raise ValueError(msg)
    return data


def read_envelope(data: bytes) -> Envelope:
    """Return the envelope that `data` looks like. Deliberately lenient: `open_envelope` takes nothing else.

    Raises:
        ValueError, TypeError: it does not even look like one.
    """
    return _ENVELOPE.assemble(read_first(data))


def open_envelope(kind: MessageType[M], data: bytes) -> Envelope:
    """Return the envelope in `data` when it is the canonical encoding of one of this kind's shape.

    The type string is not looked at here: a message of another type in this kind's shape is of unknown type.

    Raises:
        ShapeError: what keeps it from being one.
    """
    try:
        values = read_first(data)
    except ValueError as error:
        raise ShapeError(str(error)) from error
    if not is_encoding_of(_ENVELOPE, data, values):
        raise ShapeError(_ENVELOPE.fault(values) or "not in canonical form")
    if fault := _parts_fault(kind, values):
        raise ShapeError(fault)
    return _ENVELOPE.assemble(values)


def _parts_fault(kind: MessageType[M], values: tuple[Any, ...]) -> str | None:
    """Return what is wrong with the number and order of an envelope's parts, in values that fit its table, or None."""
    *_, signatures, delegation = values
    if len(signatures) > 1 and any(left[0] >= right[0] for left, right in pairwise(signatures)):
        return "signatures must be strictly ascending by key id"
    if not signatures:
        return "nobody has signed"
    if len(signatures) > kind.max_signatures:
        return f"at most {kind.max_signatures} signatures"
    if bool(delegation) != kind.carries_delegation:
        return "a delegation is missing" if kind.carries_delegation else "a delegation does not belong here"
    return None
