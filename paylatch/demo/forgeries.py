"""What an intruder can make who may publish anything, has read everything, and holds no signing key.

Each forgery aims at the change that would hurt: a locked phone is told to open, an open one to lock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lock_protocol.codec import decode, encode
from lock_protocol.envelope import (
    DELEGATION,
    DESIRED,
    FRESH,
    MAX_ENVELOPE_BYTES,
    Envelope,
    read_envelope,
    seal,
    sign,
)
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Level, Ops
from lock_protocol.messages import DelegatedKey, Delegation, DesiredState
from lock_protocol.refusals import (
    BadDelegation,
    BadSignature,
    EmptyState,
    Malformed,
    Refusal,
    Rollback,
    TooLarge,
    UnknownKey,
    UnknownType,
    UnsupportedVersion,
    WrongPhone,
)

LARGEST_MESSAGE_BYTES = 16_384
"""The largest payload that the committed mosquitto.conf lets through."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """One hostile message."""

    what: str
    message: bytes
    refusal: type[Refusal]
    """What the phone has to refuse it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loot:
    """What the intruder has read of one phone's topic, and of another's."""

    newest: bytes
    older: bytes | None
    """An older state that the bridge had really signed, if there was one."""
    foreign: bytes | None
    """Another phone's newest state, if there is another."""


def forgeries(loot: Loot, own_key: SigningKey) -> Iterator[Forgery]:
    """Yield hostile messages for the phone whose newest state is `loot.newest`.

    Args:
        loot: what was overheard.
        own_key: a key of the intruder's, which no root has delegated anything to.
    """
    yield from _broken(loot)
    yield from _rewritten(loot)
    yield from _signed_by_nobody(loot, own_key)
    yield from _replayed(loot)


def _broken(loot: Loot) -> Iterator[Forgery]:
    padding = bytes(MAX_ENVELOPE_BYTES + 1 - len(loot.newest))
    yield Forgery("the newest state, padded", loot.newest + padding, TooLarge)
    yield Forgery("as much as the broker lets through", bytes(LARGEST_MESSAGE_BYTES), TooLarge)
    yield Forgery("plain text", b"unlock", Malformed)
    yield Forgery("the newest state, cut short", loot.newest[:-1], Malformed)
    yield Forgery("nothing, which clears the retained state", b"", EmptyState)


def _rewritten(loot: Loot) -> Iterator[Forgery]:
    envelope = read_envelope(loot.newest)
    yield _rewrite("an empty payload", EmptyState, envelope, payload=b"")
    yield _rewrite("another envelope version", UnsupportedVersion, envelope, version=2)
    yield _rewrite("declared to be another kind of message", UnknownType, envelope, type=FRESH.media_type)
    yield _rewrite("the level turned round", BadSignature, envelope, payload=encode(_turned(envelope)))
    if loot.older is not None:
        older = read_envelope(loot.older).payload
        yield _rewrite("an older payload under the newest signatures", BadSignature, envelope, payload=older)


def _signed_by_nobody(loot: Loot, own_key: SigningKey) -> Iterator[Forgery]:
    envelope = read_envelope(loot.newest)
    payload = encode(_turned(envelope))
    own = sign(DESIRED, payload, own_key)
    yield _rewrite("signed with the intruder's own key", UnknownKey, envelope, payload=payload, signatures=(own,))
    posing = replace(own, key_id=envelope.signatures[0].key_id)
    yield _rewrite("the same in a real key's name", BadSignature, envelope, payload=payload, signatures=(posing,))
    delegation = _own_delegation(envelope, own_key)
    yield _rewrite(
        "with a delegation of its own",
        BadDelegation,
        envelope,
        payload=payload,
        signatures=(own,),
        delegation=delegation,
    )


def _replayed(loot: Loot) -> Iterator[Forgery]:
    if loot.foreign is not None:
        yield Forgery("another phone's newest state", loot.foreign, WrongPhone)
    if loot.older is not None:
        yield Forgery("an older state, really signed", loot.older, Rollback)


def _rewrite(what: str, refusal: type[Refusal], envelope: Envelope, **parts: object) -> Forgery:
    return Forgery(what, encode(replace(envelope, **parts)), refusal)  # type: ignore[arg-type]  # fields of Envelope


def _turned(envelope: Envelope) -> DesiredState:
    """Return the next version of a state, open if it is closed and locked if it is open."""
    state = decode(DesiredState, envelope.payload)
    level = Level.LOCKED if state.level.is_open else Level.UNLOCKED
    return replace(state, version=state.version + 1, level=level, lease_until=0, lease_then=level, remind_s=0)


def _own_delegation(envelope: Envelope, own_key: SigningKey) -> bytes:
    """Return the real delegation with the intruder's key in it, signed by the intruder."""
    real = decode(Delegation, read_envelope(envelope.delegation).payload)
    everything = Ops.LOCK | Ops.UNLOCK | Ops.RELEASE | Ops.FRESH
    forged = replace(real, version=real.version + 1, keys=(DelegatedKey(own_key.public, everything),))
    return seal(DELEGATION, forged, [own_key])
