"""The acceptance rules, as ordered tables: the first row that finds a fault names the error.

Cheap and safe checks come first, nothing of the payload is looked at before its signatures verify, and what the state
would do is judged last. `docs/protocol.md` tells the same table in words; `vectors/` pins each row and their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from lock_protocol.acceptance.evidence import B, Evidence, Verified
from lock_protocol.acceptance.floor import MAX_VERSION_JUMP, Floor
from lock_protocol.compiling import quick
from lock_protocol.envelope import (
    DESIRED,
    ENVELOPE_VERSION,
    FRESH,
    HELLO,
    MAX_ENVELOPE_BYTES,
    REPORTED,
)
from lock_protocol.imei import Imei
from lock_protocol.keys import KeyId, PublicKey, key_id
from lock_protocol.levels import Level, Ops, operations_required
from lock_protocol.messages import NO_HASH, DesiredState, Fresh, Hello, Reported, Root
from lock_protocol.refusals import (
    AlreadyReleased,
    BadDelegation,
    BadSchema,
    BadSignature,
    DelegationExpired,
    DelegationMismatch,
    DelegationRollback,
    Duplicate,
    EmptyState,
    Equivocation,
    LeaseNotAllowed,
    LevelNotAllowed,
    Malformed,
    NonCanonical,
    NoticeNotAllowed,
    OperationNotAllowed,
    Refusal,
    Rollback,
    StaleSequence,
    TooLarge,
    UnknownKey,
    UnknownType,
    UnsupportedVersion,
    VersionJump,
    WrongLender,
    WrongNonce,
    WrongPhone,
)
from lock_protocol.trust import verify_delegation


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneStanding:
    """What a phone knows when it judges a message from the bridge."""

    imei: Imei
    root: Root
    floor: Floor | None
    released: bool
    trusted_now: int
    nonce: bytes | None
    """The nonce of the one outstanding hello, if there is one."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStanding:
    """What the bridge knows when it judges a message from a phone."""

    imei: Imei
    """The IMEI in the topic."""
    device_key: PublicKey
    """The key bound to it at enrolment."""
    sequence: int
    """The last sequence accepted from this phone; -1 when a phone's first message is still to come."""


S = TypeVar("S", PhoneStanding, DeviceStanding)


@dataclass(frozen=True, slots=True)
class Rule(Generic[B, S]):
    """One row: what is refused, and the check that finds it (it returns the fault, or None)."""

    refusal: type[Refusal]
    fault: Callable[[Evidence[B], S], str | None]


def judge(evidence: Evidence[B], standing: S, rules: Sequence[Rule[B, S]]) -> None:
    """Find the first fault.

    Raises:
        Refusal: of that rule's type, with the fault as its text.
    """
    for rule in rules:
        fault = rule.fault(evidence, standing)
        if fault is not None:
            raise rule.refusal(fault)


# --- shape ---------------------------------------------------------------------------------------------------------


def _too_large(evidence: Evidence[Any], _: object) -> str | None:
    size = len(evidence.data)
    return f"{size} bytes, at most {MAX_ENVELOPE_BYTES}" if size > MAX_ENVELOPE_BYTES else None


def _malformed(evidence: Evidence[Any], _: object) -> str | None:
    # Zero bytes are nobody's attempt at an envelope; the next rule names them for what they are.
    return evidence.shape_fault() if evidence.data else None


def _empty(evidence: Evidence[Any], _: object) -> str | None:
    if not evidence.data:
        return "an empty message"
    return None if evidence.envelope.payload else "an empty payload"


def _unsupported_version(evidence: Evidence[Any], _: object) -> str | None:
    version = evidence.envelope.version
    return None if version == ENVELOPE_VERSION else f"envelope version {version}, this is {ENVELOPE_VERSION}"


def _unknown_type(evidence: Evidence[Any], _: object) -> str | None:
    expected = evidence.kind.media_type
    return None if evidence.envelope.type == expected else f"{evidence.envelope.type!r}, expected {expected!r}"


# --- trust ---------------------------------------------------------------------------------------------------------


def _known_floor(evidence: Evidence[Any], standing: PhoneStanding) -> Floor | None:
    """Return the floor when it speaks of the message's lender: orders of two lenders cannot be compared."""
    floor = standing.floor
    return floor if floor is not None and floor.lender == evidence.delegation.message.lender else None


def _bad_delegation(evidence: Evidence[Any], standing: PhoneStanding) -> str | None:
    try:
        delegation = verify_delegation(standing.root, evidence.envelope.delegation)
    except BadDelegation as refusal:
        return str(refusal)
    floor = _known_floor(evidence, standing)
    if floor is None or delegation.version != floor.delegation_version:
        return None
    same = evidence.delegation.payload_hash == floor.delegation_hash
    return None if same else f"another delegation was accepted as version {delegation.version}"


def _delegation_rollback(evidence: Evidence[Any], standing: PhoneStanding) -> str | None:
    floor, version = _known_floor(evidence, standing), evidence.delegation.message.version
    if floor is None or version >= floor.delegation_version:
        return None
    return f"delegation {version}, this phone has accepted {floor.delegation_version}"


@lru_cache(maxsize=1)  # two rules ask in a row
def _device(key: PublicKey) -> Mapping[KeyId, PublicKey]:
    return {key_id(key): key}


def _unknown_signer(evidence: Evidence[Any], keys: Mapping[KeyId, PublicKey], whose: str) -> str | None:
    for signature in evidence.envelope.signatures:
        if signature.key_id not in keys:
            return f"key {signature.key_id.hex()} is not {whose}"
    return None


def _broken_signature(evidence: Evidence[Any], keys: Mapping[KeyId, PublicKey]) -> str | None:
    envelope = evidence.envelope
    for signature in envelope.signatures:
        public = keys.get(signature.key_id)
        if public is not None and not envelope.is_signed_by(public, signature):
            return f"the signature by {signature.key_id.hex()} does not verify"
    return None


def _unknown_key(evidence: Evidence[Any], _: PhoneStanding) -> str | None:
    return _unknown_signer(evidence, evidence.delegation.public_keys, "in the delegation")


def _bad_signature(evidence: Evidence[Any], _: PhoneStanding) -> str | None:
    return _broken_signature(evidence, evidence.delegation.public_keys)


def _unknown_device_key(evidence: Evidence[Any], standing: DeviceStanding) -> str | None:
    return _unknown_signer(evidence, _device(standing.device_key), "this phone's")


def _bad_device_signature(evidence: Evidence[Any], standing: DeviceStanding) -> str | None:
    return _broken_signature(evidence, _device(standing.device_key))


# --- payload -------------------------------------------------------------------------------------------------------


def _non_canonical(evidence: Evidence[Any], _: object) -> str | None:
    return evidence.payload_fault()


def _bad_schema(evidence: Evidence[Any], _: object) -> str | None:
    fault = None if evidence.is_sound else evidence.kind.schema.fault(evidence.values)
    return fault or evidence.message.contradiction()


def _state_mismatch(evidence: Evidence[DesiredState], _: PhoneStanding) -> str | None:
    state, delegation = evidence.message, evidence.delegation.message
    named = (state.lender, state.epoch, state.delegation_version)
    return _mismatch(named, (delegation.lender, delegation.epoch, delegation.version))


def _fresh_mismatch(evidence: Evidence[Fresh], _: PhoneStanding) -> str | None:
    # A `Fresh` may speak of a state of an earlier epoch: it says what is newest, not what its own delegation signed.
    fresh, delegation = evidence.message, evidence.delegation.message
    return _mismatch((fresh.lender, fresh.delegation_version), (delegation.lender, delegation.version))


def _mismatch(named: tuple[object, ...], delegated: tuple[object, ...]) -> str | None:
    return None if named == delegated else f"made for {named}, came with the delegation of {delegated}"


# --- address -------------------------------------------------------------------------------------------------------


def _wrong_phone(evidence: Evidence[Any], standing: PhoneStanding | DeviceStanding) -> str | None:
    imei = evidence.message.imei
    return None if imei == standing.imei else f"for {imei}, this is {standing.imei}"


def _wrong_lender(evidence: Evidence[Any], standing: PhoneStanding) -> str | None:
    floor, lender = standing.floor, evidence.message.lender
    if floor is None or not floor.bound or floor.lender == lender:
        return None
    return f"of {lender}, this phone is bound to {floor.lender}"


# --- order ---------------------------------------------------------------------------------------------------------


def _rollback(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    floor, state = _known_floor(evidence, standing), evidence.message
    if floor is None or (state.epoch, state.version) >= (floor.epoch, floor.version):
        return None
    return f"version {state.epoch}.{state.version}, the newest accepted is {floor.epoch}.{floor.version}"


def _same_version(evidence: Evidence[DesiredState], standing: PhoneStanding) -> Floor | None:
    """Return the floor when a state of exactly this version has been accepted.

    A floor without a hash stands for an offline code, whose signed state is accepted once when it arrives.
    """
    floor, state = _known_floor(evidence, standing), evidence.message
    if floor is None or floor.state_hash == NO_HASH:
        return None
    return floor if (state.epoch, state.version) == (floor.epoch, floor.version) else None


def _duplicate(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    floor = _same_version(evidence, standing)
    return "accepted before" if floor is not None and floor.state_hash == evidence.payload_hash else None


def _equivocation(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    floor = _same_version(evidence, standing)
    if floor is None or floor.state_hash == evidence.payload_hash:
        return None
    return f"another state was accepted as version {floor.epoch}.{floor.version}"


def _version_jump(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    floor, state = _known_floor(evidence, standing), evidence.message
    if floor is None or floor.epoch == 0:
        return None
    jump = state.version - floor.rebased(state.epoch)
    return f"{jump} versions ahead, at most {MAX_VERSION_JUMP}" if jump > MAX_VERSION_JUMP else None


def _wrong_nonce(evidence: Evidence[Fresh], standing: PhoneStanding) -> str | None:
    if standing.nonce is None:
        return "no hello is outstanding"
    return None if evidence.message.nonce == standing.nonce else "not the nonce of the outstanding hello"


def _stale_sequence(evidence: Evidence[Any], standing: DeviceStanding) -> str | None:
    sequence = evidence.message.sequence
    return None if sequence > standing.sequence else f"sequence {sequence}, {standing.sequence} was accepted"


def _stale_hello(evidence: Evidence[Hello], standing: DeviceStanding) -> str | None:
    # A phone that lost its count may always ask: sequence 0 authorises a `Fresh` and nothing else.
    return None if evidence.message.sequence == 0 else _stale_sequence(evidence, standing)


# --- authority -----------------------------------------------------------------------------------------------------


def _missing(evidence: Evidence[Any], needed: Ops) -> str | None:
    # As integers: flags are joined by code of the enumeration, ten times as slowly.
    ops, lacking = evidence.delegation.ops, int(needed)
    for signature in evidence.envelope.signatures:
        lacking &= ~ops.get(signature.key_id, 0)
    return f"signed without a key for {Ops(lacking).name}" if lacking else None


def _operation(evidence: Evidence[DesiredState], _: PhoneStanding) -> str | None:
    return _missing(evidence, operations_required(evidence.message.level, evidence.message.lease_then))


def _fresh_operation(evidence: Evidence[Fresh], _: PhoneStanding) -> str | None:
    # Confirming the newest state is no operation on it, so an expired delegation still answers hellos.
    return _missing(evidence, Ops.FRESH)


def _expired(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    state, expires_at = evidence.message, evidence.delegation.message.expires_at
    if standing.trusted_now <= expires_at or state.level is Level.RELEASED:
        return None
    if state.level.is_open and state.lease_then.is_open:
        return None
    return f"the delegation expired at {expires_at}: it still opens and releases, but does not lock"


def _level(evidence: Evidence[DesiredState], _: PhoneStanding) -> str | None:
    state, highest = evidence.message, evidence.delegation.message.max_level
    asked = max(state.level, state.lease_then)
    return None if asked <= highest or asked is Level.RELEASED else f"level {int(asked)}, at most {int(highest)}"


def _lease(evidence: Evidence[DesiredState], _: PhoneStanding) -> str | None:
    state, longest = evidence.message, evidence.delegation.message.max_lease_s
    length = state.lease_until - state.issued_at
    return f"a lease of {length} s, at most {longest} s" if state.lease_until and length > longest else None


def _notice(evidence: Evidence[DesiredState], _: PhoneStanding) -> str | None:
    foreign = evidence.message.notice.hosts() - evidence.delegation.hosts
    return f"links to {', '.join(sorted(foreign))}" if foreign else None


def _released(evidence: Evidence[DesiredState], standing: PhoneStanding) -> str | None:
    return f"version {evidence.message.version} comes too late" if standing.released else None


# --- the tables ----------------------------------------------------------------------------------------------------

_SHAPE: tuple[Rule[Any, Any], ...] = (
    Rule(TooLarge, _too_large),
    Rule(Malformed, _malformed),
    Rule(EmptyState, _empty),
    Rule(UnsupportedVersion, _unsupported_version),
    Rule(UnknownType, _unknown_type),
)
_FROM_LENDER: tuple[Rule[Any, PhoneStanding], ...] = (
    Rule(BadDelegation, _bad_delegation),
    Rule(DelegationRollback, _delegation_rollback),
    Rule(UnknownKey, _unknown_key),
    Rule(BadSignature, _bad_signature),
)
_FROM_PHONE: tuple[Rule[Any, DeviceStanding], ...] = (
    Rule(UnknownKey, _unknown_device_key),
    Rule(BadSignature, _bad_device_signature),
)
_PAYLOAD: tuple[Rule[Any, Any], ...] = (
    Rule(NonCanonical, _non_canonical),
    Rule(BadSchema, _bad_schema),
)

STATE_RULES: tuple[Rule[DesiredState, PhoneStanding], ...] = (
    *_SHAPE,
    *_FROM_LENDER,
    *_PAYLOAD,
    Rule(DelegationMismatch, _state_mismatch),
    Rule(WrongPhone, _wrong_phone),
    Rule(WrongLender, _wrong_lender),
    Rule(Rollback, _rollback),
    Rule(Duplicate, _duplicate),
    Rule(Equivocation, _equivocation),
    Rule(VersionJump, _version_jump),
    Rule(OperationNotAllowed, _operation),
    Rule(DelegationExpired, _expired),
    Rule(LevelNotAllowed, _level),
    Rule(LeaseNotAllowed, _lease),
    Rule(NoticeNotAllowed, _notice),
    Rule(AlreadyReleased, _released),
)

FRESH_RULES: tuple[Rule[Fresh, PhoneStanding], ...] = (
    *_SHAPE,
    *_FROM_LENDER,
    *_PAYLOAD,
    Rule(DelegationMismatch, _fresh_mismatch),
    Rule(WrongPhone, _wrong_phone),
    Rule(WrongLender, _wrong_lender),
    Rule(WrongNonce, _wrong_nonce),
    Rule(OperationNotAllowed, _fresh_operation),
)

HELLO_RULES: tuple[Rule[Hello, DeviceStanding], ...] = (
    *_SHAPE,
    *_FROM_PHONE,
    *_PAYLOAD,
    Rule(WrongPhone, _wrong_phone),
    Rule(StaleSequence, _stale_hello),
)

REPORT_RULES: tuple[Rule[Reported, DeviceStanding], ...] = (
    *_SHAPE,
    *_FROM_PHONE,
    *_PAYLOAD,
    Rule(WrongPhone, _wrong_phone),
    Rule(StaleSequence, _stale_sequence),
)


def accept_state(data: bytes, standing: PhoneStanding) -> Verified[DesiredState]:
    """Return the state in a message from a `desired` topic.

    A state that was accepted before comes back as `repeated`: whatever was allowed when it was new is applied again,
    so that a reset phone whose hardware kept the floor finds its state again.

    Raises:
        Refusal: the first rule that it breaks.
    """
    evidence = Evidence(DESIRED, data)
    try:
        judge(evidence, standing, STATE_RULES)
    except Duplicate:
        return evidence.verified(repeated=True)
    return evidence.verified()


def accept_fresh(data: bytes, standing: PhoneStanding) -> Verified[Fresh]:
    """Return the `Fresh` in a message from a `fresh` topic; the caller then forgets the nonce.

    Raises:
        Refusal: the first rule that it breaks.
    """
    evidence = Evidence(FRESH, data)
    judge(evidence, standing, FRESH_RULES)
    return evidence.verified()


def accept_hello(data: bytes, standing: DeviceStanding) -> Verified[Hello]:
    """Return the hello in a message from a `hello` topic.

    Raises:
        Refusal: the first rule that it breaks.
    """
    evidence = Evidence(HELLO, data)
    judge(evidence, standing, HELLO_RULES)
    return evidence.verified()


def accept_report(data: bytes, standing: DeviceStanding) -> Verified[Reported]:
    """Return the report in a message from a `reported` topic.

    Raises:
        Refusal: the first rule that it breaks.
    """
    evidence = Evidence(REPORTED, data)
    judge(evidence, standing, REPORT_RULES)
    return evidence.verified()
