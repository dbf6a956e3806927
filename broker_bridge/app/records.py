"""What the use cases write down and read back, and the parts of lists that they come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.compiling import compile_replace, quick
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

T = TypeVar("T")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One version of a desired state on its way."""

    command_id: CommandId
    lender: LenderId
    imei: Imei
    epoch: int
    version: int
    level: int
    reason: int
    lane: Lane
    status: Status
    decision_id: DecisionId | None
    detail: str
    """The refusal's name or the phone's reason, when it was refused or failed."""
    created_at: int
    """Seconds UTC, like all times here; 0 for not yet."""
    sent_at: int = 0
    finished_at: int = 0
    attempts: int = 0
    """How often it was published and acknowledged."""
    due_at: int = 0
    """When it is to be published (again): not before this."""
    told: bool = False
    """Whether its lender is told of each step, because the decision behind it came by MQTT. The store fills it in."""


changed_command = compile_replace(Command)
"""`replace` for a command."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """The idempotency record of one decision: what it was, and the answer it was given."""

    lender: LenderId
    decision_id: DecisionId
    imei: Imei
    type: str
    occurred_at: int
    fingerprint: bytes
    effect: str
    level: int
    command_id: CommandId | None
    received_at: int
    wanted: int
    """The level that the arrears asked for."""
    held: str
    """What that level waited for, as a JSON array."""
    told: bool = False
    """Whether it came by MQTT, where its lender is told of each step of what follows."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class LenderRecord:
    """What is kept of a lender beside its phones."""

    lender: LenderId
    policy_version: int
    """The version of its own policy that is in force; 0 while it has the bridge's."""
    policy_document: str
    """That policy's text; empty while it has the bridge's."""
    heard_at: int
    """When it last reported anything, seconds UTC (an hour late at most)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All phones of a lender that are to be judged again: how far that is."""

    lender: LenderId
    at: int
    """From when on, seconds UTC. It grows with each new sweep, so that two are never taken for one another."""
    after: str
    """The IMEI up to which they have been judged; empty at the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of a lender's policy. Versions are never changed and never deleted."""

    lender: LenderId
    version: int
    document: str
    set_at: int
    set_by: str
    """The id of the API key that set it."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of history that nobody rewrites."""

    at: int
    lender: LenderId
    imei: Imei
    event: str
    detail: str


KEY_CONFLICT = "device_key_conflict"
"""The event of an entry that tells of another device key for a phone that is enrolled; the detail says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LenderSummary:
    """A lender, as whoever runs the bridge sees it."""

    lender: LenderId
    created_at: int
    phones: int
    keys: int
    """API keys that work."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A signed state that is to be published."""

    lender: LenderId
    imei: Imei
    lane: Lane
    order: tuple[int, int]
    """(epoch, version)."""
    envelope: bytes
    repetition: bool = False
    """Whether it has to go out although the same state has gone or is in flight: that one may have been overwritten."""


def outgoing(phone: Phone, *, lane: Lane | None = None, repetition: bool = False) -> Outgoing:
    """Return a phone's newest state, ready to be published in a lane: by default, in that of its level."""
    return Outgoing(
        lender=phone.lender,
        imei=phone.imei,
        lane=phone.lane if lane is None else lane,
        order=phone.desired.order,
        envelope=phone.desired.envelope,
        repetition=repetition,
    )


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and the token of the next part, if there is one."""

    items: Sequence[T]
    next_token: str | None
