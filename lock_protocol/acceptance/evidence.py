"""What a message says, read leniently and bit by bit, so that each rule can be a check of its own.

A rule reads only what the rules before it have vouched for. The reading itself vouches for nothing: it exists so that
"this key signed it" and "it is canonical" can be two rows of a table, each with its own error and its own tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from lock_protocol.codec import is_canonical, is_encoding_of, read_first
from lock_protocol.compiling import compile_make
from lock_protocol.envelope import DELEGATION, Envelope, MessageType, ShapeError, open_envelope, read_envelope
from lock_protocol.keys import KeyId, PublicKey
from lock_protocol.messages import NO_HASH, Delegation, StateHash
from lock_protocol.schema import Message

B = TypeVar("B", bound=Message)

# The same few delegations come with every message; the bound only keeps hostile ones from piling up.
_REMEMBERED = 256


V = TypeVar("V")


class _Once(Generic[V]):
    """A property that is read once and then kept in the instance: `functools.cached_property` without its lock.

    Until Python 3.12 that takes a lock for every value, which costs as much as reading some of them. Evidence is
    looked at by one thread only.
    """

    def __init__(self, read: Callable[[Any], V]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, evidence: Any, _: type) -> V:
        value = evidence.__dict__[self._name] = self._read(evidence)
        return value


class UnreadableError(Exception):
    """A rule looked at something that an earlier rule should have refused. Never raised under a whole table."""


@dataclass(frozen=True, slots=True)
class Verified(Generic[B]):
    """A message that has passed every rule. Only `lock_protocol.acceptance` can make one.

    Code that acts on a message takes this and nothing else.
    """

    message: B
    payload_hash: StateHash
    envelope: bytes
    delegation: Delegation | None
    delegation_hash: StateHash
    repeated: bool
    """Whether this very state had been accepted before: apply it again, report it again, move nothing."""

    def __post_init__(self) -> None:
        """Refuse to be made by anybody, `dataclasses.replace` too: `Evidence.verified` does not come this way."""
        msg = "only the acceptance rules make a Verified message"
        raise TypeError(msg)


_make_verified = compile_make(Verified)


@dataclass(frozen=True, slots=True)
class DelegationEvidence:
    """What a delegation's envelope says. Vouched for by `BadDelegation`, like any other evidence by its rule."""

    message: Delegation
    payload_hash: StateHash
    public_keys: Mapping[KeyId, PublicKey]
    ops: Mapping[KeyId, int]
    """What each key may sign: the bits of `Ops`."""
    hosts: frozenset[str]
    """Which hosts links may name."""


class Evidence(Generic[B]):
    """One received message under examination."""

    def __init__(self, kind: MessageType[B], data: bytes) -> None:
        """Take the bytes as they came; nothing is read before a rule asks."""
        self.kind = kind
        self.data = data

    def shape_fault(self) -> str | None:
        """Return what keeps the bytes from being an envelope of their kind, or None: then they are not read again."""
        try:
            self.envelope = open_envelope(self.kind, self.data)
        except ShapeError as error:
            return str(error)
        return None

    def payload_fault(self) -> str | None:
        """Return what keeps the payload from being canonical, or None: then it is not read again."""
        payload = self.envelope.payload
        try:
            values = self.values = read_first(payload)
        except ValueError as error:
            return str(error)
        self.is_sound = is_encoding_of(self.kind.schema, payload, values)
        return None if self.is_sound or is_canonical(payload, values) else "not in canonical form"

    @_Once
    def envelope(self) -> Envelope:
        """The envelope. Vouched for by `Malformed`, believed only after `BadSignature`."""
        try:
            return read_envelope(self.data)
        except (ValueError, TypeError) as error:
            raise UnreadableError(str(error)) from error

    @_Once
    def values(self) -> Any:
        """The payload's wire values. Vouched for by `NonCanonical`."""
        try:
            return read_first(self.envelope.payload)
        except ValueError as error:
            raise UnreadableError(str(error)) from error

    @_Once
    def is_sound(self) -> bool:
        """Whether the payload canonically encodes values that fit the table; two rules tell which of them it is not."""
        return is_encoding_of(self.kind.schema, self.envelope.payload, self.values)

    @_Once
    def message(self) -> B:
        """The payload's message. Vouched for by `BadSchema`."""
        try:
            return self.kind.schema.assemble(self.values)
        except (ValueError, TypeError) as error:
            raise UnreadableError(str(error)) from error

    @_Once
    def delegation(self) -> DelegationEvidence:
        """The delegation that came with it. Vouched for by `BadDelegation`."""
        return _read_delegation(self.envelope.delegation)

    @_Once
    def payload_hash(self) -> StateHash:
        """SHA-256 of the payload."""
        return self.envelope.payload_hash

    def verified(self, *, repeated: bool = False) -> Verified[B]:
        """Return the message as verified; for `rules` alone, after its whole table has passed."""
        delegation = self.delegation if self.kind.carries_delegation else None
        return _make_verified(
            self.message,
            self.payload_hash,
            self.data,
            None if delegation is None else delegation.message,
            NO_HASH if delegation is None else delegation.payload_hash,
            repeated,
        )


@lru_cache(maxsize=_REMEMBERED)
def _read_delegation(data: bytes) -> DelegationEvidence:
    """Return what a delegation's envelope says.

    A pure function of its bytes, so that what is remembered is what would be read again. Reading is not believing:
    whether the root has signed it is asked for every message, by `BadDelegation` and before anything else.
    """
    evidence = Evidence(DELEGATION, data)
    try:
        keys = evidence.message.public_keys()
        return DelegationEvidence(
            evidence.message,
            evidence.payload_hash,
            {key_id: key.public for key_id, key in keys.items()},
            {key_id: int(key.ops) for key_id, key in keys.items()},
            frozenset(evidence.message.hosts),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableError(str(error)) from error
