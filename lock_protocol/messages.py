"""The messages, one table each: field order here is field order on the wire.

Every table is stated once, as annotations; `lock_protocol.schema` reads it for building, encoding and refusing.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NewType
from urllib.parse import urlsplit

from lock_protocol.compiling import quick
from lock_protocol.imei import Imei
from lock_protocol.keys import KeyId, PublicKey, key_id
from lock_protocol.levels import Condition, Level, Ops, Reason, Result, Signals
from lock_protocol.schema import (
    LINES,
    MAX_INTEGER,
    MAX_TIME,
    Bin,
    Bits,
    ImeiText,
    Many,
    Message,
    Nested,
    Record,
    Text,
    UInt,
    member,
)

LenderId = NewType("LenderId", str)
"""`[a-z0-9-]{3,32}`: a tenant, as topics and payloads name it."""

StateHash = NewType("StateHash", bytes)
"""SHA-256 of a payload; `NO_HASH` for none."""

NO_HASH = StateHash(bytes(32))
NO_LENDER = LenderId("")

LENDER = re.compile(r"[a-z0-9-]{3,32}")
"""What a lender may be called."""
_HTTPS = re.compile(r"(?:https://[a-z0-9.-]{1,64}(?:/[\x21-\x7e]*)?)?")
_HTTPS_MEANING = "like https://host/path (lower-case host, no port, no user), or empty"
_SHOWN_ASCII = re.compile(r"[\x20-\x7e]*")

_Lender = Text(3, 32, LENDER, "of [a-z0-9-]")
_Time = UInt(0, MAX_TIME)
_Epoch = UInt(1, 2**31 - 1)
_EpochOrNone = UInt(1, 2**31 - 1, or_zero=True)
_DocumentVersion = UInt(1, 2**31 - 1)
_DocumentVersionOrNone = UInt(1, 2**31 - 1, or_zero=True)
_Version = UInt(1, MAX_INTEGER)
_VersionOrNone = UInt(1, MAX_INTEGER, or_zero=True)
_Count = UInt(0, MAX_INTEGER)
_Link = Text(0, 200, _HTTPS, _HTTPS_MEANING)
_AnyLevel = member(Level)
_PhoneLevel = member(Level, high=Level.LOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root(Message):
    """The offline trust anchor: who may sign delegations, and what a phone without a state does."""

    root_version: Annotated[int, _DocumentVersion]
    issued_at: Annotated[int, _Time]
    threshold: Annotated[int, UInt(1, 5)]
    keys: Annotated[tuple[PublicKey, ...], Many(Bin(32), 1, 9, ascending=True)]
    provisional_s: Annotated[int, UInt(0, 604_800)]
    """How long an unconfirmed opening counts after a reset, in seconds."""
    provisional_level: Annotated[Level, member(Level, high=Level.RESTRICTED)]
    """The level of a phone that holds no state, or an opening unconfirmed for longer than that."""

    def contradiction(self) -> str | None:
        """A threshold that no set of keys can meet; two keys that one key id would name."""
        if self.threshold > len(self.keys):
            return f"threshold {self.threshold} is above the number of keys, {len(self.keys)}"
        return _ambiguous(self.keys)


@dataclass(frozen=True, slots=True)
class DelegatedKey(Record):
    """One online key and what it may sign."""

    public: Annotated[PublicKey, Bin(32)]
    ops: Annotated[Ops, Bits(Ops)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation(Message):
    """What one lender's online keys may do, until when, in which epoch; signed by the root."""

    lender: Annotated[LenderId, _Lender]
    root_version: Annotated[int, _DocumentVersion]
    epoch: Annotated[int, _Epoch]
    version: Annotated[int, _DocumentVersion]
    issued_at: Annotated[int, _Time]
    expires_at: Annotated[int, _Time]
    keys: Annotated[tuple[DelegatedKey, ...], Many(Nested(DelegatedKey), 1, 8)]
    max_level: Annotated[Level, _PhoneLevel]
    max_lease_s: Annotated[int, _Time]
    hosts: Annotated[tuple[str, ...], Many(Text(1, 64, re.compile(r"[a-z0-9.-]+"), "of [a-z0-9.-]"), 1, 4)]

    def contradiction(self) -> str | None:
        """A life that ends before it begins; keys out of order, twice, or with one key id."""
        if self.expires_at <= self.issued_at:
            return "expires_at must be after issued_at"
        publics = [key.public for key in self.keys]
        if any(left >= right for left, right in pairwise(publics)):
            return "keys must be strictly ascending"
        return _ambiguous(publics)

    def public_keys(self) -> dict[KeyId, DelegatedKey]:
        """Return the delegated keys by key id."""
        return {key_id(key.public): key for key in self.keys}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Record):
    """What the borrower reads: why, how much, where to pay, whom to ask, where to appeal."""

    title: Annotated[str, Text(0, 96)] = ""
    body: Annotated[str, Text(0, 640, LINES, "without control characters (but line feeds) and overrides")] = ""
    amount_due: Annotated[int, UInt(0, 10**12)] = 0
    """In minor units of `currency`."""
    currency: Annotated[str, Text(3, 3, re.compile(r"[A-Z]{3}"), "of three letters A-Z")] = "XXX"
    """ISO 4217; `XXX` is its code for no currency."""
    pay_url: Annotated[str, _Link] = ""
    support_phone: Annotated[str, Text(0, 20, re.compile(r"(?:\+?[0-9]{3,19})?"), "like +886212345678")] = ""
    appeal_url: Annotated[str, _Link] = ""

    def hosts(self) -> frozenset[str]:
        """Return the hosts that the links name."""
        return hosts_of(self.pay_url, self.appeal_url)


def hosts_of(*links: str) -> frozenset[str]:
    """Return the hosts that links name; an empty one names none."""
    return frozenset([urlsplit(link).netloc for link in links if link])


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState(Message):
    """What one phone should be, whole."""

    lender: Annotated[LenderId, _Lender]
    imei: Annotated[Imei, ImeiText()]
    epoch: Annotated[int, _Epoch]
    version: Annotated[int, _Version]
    delegation_version: Annotated[int, _DocumentVersion]
    level: Annotated[Level, _AnyLevel]
    reason: Annotated[Reason, member(Reason)]
    issued_at: Annotated[int, _Time]
    lease_until: Annotated[int, _Time]
    """Phone's trusted time from which `lease_then` is the level; 0 for no lease."""
    lease_then: Annotated[Level, _AnyLevel]
    warn_s: Annotated[int, UInt(0, 864_000)]
    """How long before a lease ends that raises the level the phone warns its user, in seconds."""
    remind_s: Annotated[int, UInt(3, 86_400, or_zero=True)]
    """How often a reminder comes back, in seconds; 0 for the agent's own interval."""
    command_id: Annotated[str, Text(1, 32)]
    notice: Annotated[Notice, Nested(Notice)]

    def contradiction(self) -> str | None:
        """A lease that cannot be, or a reminder interval at another level."""
        if self.remind_s and self.level is not Level.REMINDER:
            return "remind_s is for level 2 only"
        if not self.lease_until:
            return None if self.lease_then is self.level else "lease_then must equal level when there is no lease"
        if Level.RELEASED in (self.level, self.lease_then):
            return "a released state has no lease, and no lease releases"
        return None if self.lease_until > self.issued_at else "lease_until must be after issued_at"


class _Holding(Message):
    """What `Hello` and `Reported` share: a claim about what the phone holds."""

    __slots__ = ()
    epoch: int
    version: int
    state_hash: StateHash

    def contradiction(self) -> str | None:
        """Half of an order, or the hash of nothing."""
        if (self.epoch == 0) != (self.version == 0):
            return "epoch and version are both 0 or both not"
        if self.version == 0 and self.state_hash != NO_HASH:
            return "state_hash must be zeros when nothing is held"
        return None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(_Holding):
    """A phone asks whether what it holds is the newest."""

    lender: Annotated[LenderId, Text(0, 32, re.compile(r"(?:[a-z0-9-]{3,32})?"), "of [a-z0-9-], or empty")]
    imei: Annotated[Imei, ImeiText()]
    nonce: Annotated[bytes, Bin(16)]
    boot_count: Annotated[int, _Time]
    sequence: Annotated[int, _Count]
    """Above all earlier ones of this phone; 0 from a phone that has lost its count."""
    root_version: Annotated[int, _DocumentVersion]
    delegation_version: Annotated[int, _DocumentVersionOrNone]
    epoch: Annotated[int, _EpochOrNone]
    version: Annotated[int, _VersionOrNone]
    state_hash: Annotated[StateHash, Bin(32)]
    effective_level: Annotated[Level, _AnyLevel]
    condition: Annotated[Condition, member(Condition)]
    signals: Annotated[Signals, Bits(Signals)]
    trusted_now: Annotated[int, _Time]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh(Message):
    """The answer to one hello: this is the newest state, and this is the time."""

    lender: Annotated[LenderId, _Lender]
    imei: Annotated[Imei, ImeiText()]
    nonce: Annotated[bytes, Bin(16)]
    epoch: Annotated[int, _Epoch]
    version: Annotated[int, _Version]
    delegation_version: Annotated[int, _DocumentVersion]
    state_hash: Annotated[StateHash, Bin(32)]
    sequence: Annotated[int, _Count]
    """The last sequence accepted from this phone: one that lost its count goes on above it."""
    now: Annotated[int, _Time]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(_Holding):
    """A phone's signed word on what it holds, and on what became of one message."""

    lender: Annotated[LenderId, Text(0, 32, re.compile(r"(?:[a-z0-9-]{3,32})?"), "of [a-z0-9-], or empty")]
    imei: Annotated[Imei, ImeiText()]
    epoch: Annotated[int, _EpochOrNone]
    version: Annotated[int, _VersionOrNone]
    state_hash: Annotated[StateHash, Bin(32)]
    effective_level: Annotated[Level, _AnyLevel]
    condition: Annotated[Condition, member(Condition)]
    result: Annotated[Result, member(Result)]
    about_epoch: Annotated[int, _EpochOrNone]
    about_version: Annotated[int, _VersionOrNone]
    about_hash: Annotated[StateHash, Bin(32)]
    detail: Annotated[str, Text(0, 64, _SHOWN_ASCII, "of printable ASCII")]
    """The refusal's name when refused, the reason when failed, else empty."""
    applied_at: Annotated[int, _Time]
    boot_count: Annotated[int, _Time]
    sequence: Annotated[int, _Count]
    signals: Annotated[Signals, Bits(Signals)]


def _ambiguous(keys: tuple[PublicKey, ...] | list[PublicKey]) -> str | None:
    """Return a fault when one key id names two keys."""
    return None if len({key_id(key) for key in keys}) == len(keys) else "two keys share one key id"
