"""Envelopes and payloads in parts, so that one part can be wrong while all the others are right."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

from lock_protocol.codec import encode, pack
from lock_protocol.envelope import DELEGATION, DESIRED, FRESH, HELLO, REPORTED
from lock_protocol.keys import SigningKey
from lock_protocol.levels import operations_required
from lock_protocol.messages import DesiredState, Fresh, Hello, Reported
from lock_protocol.schema import Record, schema_of
from vectors.making import cast

Vector = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an envelope is put together from; nothing here is checked."""

    version: Any = 1
    type: str
    payload: bytes
    signatures: tuple[tuple[bytes, bytes], ...]
    delegation: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes."""
        return pack((self.version, self.type, self.payload, self.signatures, self.delegation))


def wire(record: Record, **changes: Any) -> tuple[Any, ...]:
    """Return a message's wire values, the named fields replaced by whatever is given."""
    schema = schema_of(type(record))
    values = schema.take_apart(record)
    named = dict(zip(schema.names, values[len(record.prefix) :], strict=True)) | changes
    if unknown := changes.keys() - set(schema.names):
        raise KeyError(*unknown)
    return (*record.prefix, *named.values())


def payload(record: Record, **changes: Any) -> bytes:
    """Return a message's payload, the named fields replaced by whatever is given."""
    return pack(wire(record, **changes))


def parts(type_: str, content: bytes, by: Iterable[SigningKey], delegation: bytes = b"") -> Parts:
    """Return a rightly signed envelope of any type and payload."""
    signatures = tuple(sorted(cast.signature(type_, content, one) for one in by))
    return Parts(type=type_, payload=content, signatures=signatures, delegation=delegation)


def signers_of(state: DesiredState) -> list[SigningKey]:
    """Return the keys that a state needs under the ordinary delegation."""
    needed = operations_required(state.level, state.lease_then)
    return [one for one, may in cast.OPS.items() if may in needed]


def desired(
    state: DesiredState = cast.LOCKED_STATE,
    *,
    by: Iterable[SigningKey] | None = None,
    under: bytes = cast.GRANTED,
    type_: str = DESIRED.media_type,
    **changes: Any,
) -> Parts:
    """Return a state's envelope, signed by the keys it needs unless others are given."""
    return parts(type_, payload(state, **changes), signers_of(state) if by is None else by, under)


def fresh(
    message: Fresh = cast.FRESH_ANSWER,
    *,
    by: Iterable[SigningKey] = (cast.FRESH_KEY,),
    under: bytes = cast.GRANTED,
    type_: str = FRESH.media_type,
    **changes: Any,
) -> Parts:
    """Return the envelope of a `Fresh`."""
    return parts(type_, payload(message, **changes), by, under)


def upward(
    message: Hello | Reported, *, by: Iterable[SigningKey] = (cast.DEVICE,), type_: str = "", **changes: Any
) -> Parts:
    """Return the envelope of a hello or report."""
    kind = HELLO if isinstance(message, Hello) else REPORTED
    return parts(type_ or kind.media_type, payload(message, **changes), by)


def grant(content: bytes, by: Iterable[SigningKey] = cast.ROOT_KEYS[:2]) -> bytes:
    """Return the envelope of a delegation with any payload."""
    return parts(DELEGATION.media_type, content, by).pack()


def flipped(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def vector(name: str, *, defects: Iterable[str] = (), item: str = "", **rest: Any) -> Vector:
    """Return one entry of a golden file.

    An invalid one lists its defects in the order of the rules: the first is the error. `item` is the entry of the
    project's list of bad input that it stands for.
    """
    found = list(defects)
    verdict = {"defects": found, "error": found[0]} if found else {}
    return {"name": name, **({"item": item} if item else {}), **plain(rest), **verdict}


def plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes as hex, enumerations as numbers, messages by field name."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum | IntFlag):
        return int(value)
    if isinstance(value, Record):
        return {name: plain(getattr(value, name)) for name in schema_of(type(value)).names}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def floor(
    state: DesiredState | None = None,
    *,
    content: bytes | None = None,
    lender: str = cast.LENDER,
    bound: bool = True,
    under: bytes | None = None,
    **changes: Any,
) -> Vector:
    """Return what a phone keeps after it has accepted `state` (whose payload `content` is) under a delegation."""
    grant_payload = encode(cast.GRANT) if under is None else under
    kept: Vector = {
        "lender": lender,
        "bound": bound,
        "delegation_version": cast.GRANT.version,
        "delegation_hash": cast.hash_of(grant_payload).hex(),
        "epoch": 0,
        "version": 0,
        "state_hash": bytes(32).hex(),
    }
    if state is not None:
        kept |= {"epoch": state.epoch, "version": state.version}
        kept["state_hash"] = cast.hash_of(encode(state) if content is None else content).hex()
    return kept | changes


def phone(**changes: Any) -> Vector:
    """Return what a phone knows: by default one that pins root 1 and has no floor."""
    known: Vector = {
        "imei": cast.PHONE,
        "root": cast.PINNED.hex(),
        "floor": None,
        "released": False,
        "trusted_now": cast.NOW,
        "nonce": None,
    }
    if unknown := changes.keys() - known.keys():
        raise KeyError(*unknown)
    filled: Vector = plain(known | changes)
    return filled
