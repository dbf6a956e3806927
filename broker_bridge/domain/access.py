"""What an API key may do."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import NewType

from lock_protocol.messages import LenderId

from broker_bridge.domain.decisions import DecisionType

KeyId = NewType("KeyId", str)
"""The public name of a key, `key_…`: it can be shown, logged and revoked by, and opens nothing."""

_ID_BYTES = 8
_MAX_NAME = 64


class LastAdminKeyError(Exception):
    """Without this key nobody of its lender could make or revoke keys any more."""


class Scope(StrEnum):
    """A right of an API key, within its lender."""

    DECISIONS_WRITE = "decisions:write"
    PHONES_READ = "phones:read"
    PHONES_WRITE = "phones:write"
    SUPPORT = "support"
    APPROVE = "approve"
    ADMIN = "admin"


def parse_scope(text: object) -> Scope:
    """Return a scope by its name.

    Raises:
        ValueError: there is none such.
    """
    if not isinstance(text, str) or text not in set(Scope):
        raise ValueError(f"must be one of {', '.join(Scope)}")
    return Scope(text)


_IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.DECISIONS_WRITE: frozenset({Scope.DECISIONS_WRITE}),
    Scope.PHONES_READ: frozenset({Scope.PHONES_READ}),
    Scope.PHONES_WRITE: frozenset({Scope.PHONES_WRITE}),
    Scope.SUPPORT: frozenset({Scope.SUPPORT, Scope.PHONES_READ}),
    Scope.APPROVE: frozenset({Scope.APPROVE}),
    Scope.ADMIN: frozenset(Scope),
}

SUPPORT_DECISIONS = frozenset(
    {
        DecisionType.RESEND,
        DecisionType.GRACE_GRANTED,
        DecisionType.DISPUTE_OPENED,
        DecisionType.DISPUTE_CLOSED,
    }
)
"""The types of decision that `support` may send: none of them says that anything is overdue, or paid."""


def effective(scopes: Collection[Scope]) -> frozenset[Scope]:
    """Return the scopes that these amount to, with those that they imply."""
    return frozenset().union(*(_IMPLIED[scope] for scope in scopes))


def may_decide(scopes: Collection[Scope], decision_type: DecisionType) -> bool:
    """Tell whether these scopes allow to send a decision of this type."""
    held = effective(scopes)
    return Scope.DECISIONS_WRITE in held or (Scope.SUPPORT in held and decision_type in SUPPORT_DECISIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as it is stored: the key itself is known to its holder alone."""

    key_id: KeyId
    key_hash: bytes
    """SHA-256 of the key."""
    lender: LenderId
    name: str
    """What its lender calls it, so that it is known later which system holds it."""
    scopes: frozenset[Scope]
    created_at: int
    """Seconds UTC, like all times here; 0 for not yet."""
    last_used_at: int = 0
    """Exact to a minute."""
    revoked_at: int = 0

    def __post_init__(self) -> None:
        """Refuse a key that may do nothing."""
        if not self.scopes:
            raise ValueError("a key has at least one scope")


def key_name(text: str) -> str:
    """Return what a key may be called.

    Raises:
        ValueError: nothing, too much, or what no screen can show.
    """
    if not 1 <= len(text) <= _MAX_NAME or not text.isprintable() or text != text.strip():
        raise ValueError(f"must be 1 to {_MAX_NAME} printable characters, without a space at either end")
    return text


def first_key(lender: LenderId, key_hash: bytes, at: int) -> ApiKey:
    """Return the key that a lender begins with: it may do everything, and make others that may do less."""
    return ApiKey(
        key_id=key_id_of(key_hash),
        key_hash=key_hash,
        lender=lender,
        name="first",
        scopes=frozenset({Scope.ADMIN}),
        created_at=at,
    )


def api_key_hash(key: str) -> bytes:
    """Return what is stored of an API key. Plain SHA-256 does: the key is random, so it cannot be guessed."""
    return sha256(key.encode()).digest()


def key_id_of(key_hash: bytes) -> KeyId:
    """Return the id of a key: made from its hash, so that whoever holds a key can tell which one it is."""
    return KeyId(f"key_{key_hash[:_ID_BYTES].hex()}")
