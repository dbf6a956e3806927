"""What the bridge answers, as classes that are read from JSON and written as the same JSON.

A field that this client does not know is passed over, so that a newer bridge can be asked by an older client.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Base64Bytes, BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from lock_protocol.imei import Imei, parse_imei
from lock_protocol.levels import Condition, Level
from paylatch.client.errors import Problem, UnexpectedAnswerError

T = TypeVar("T")


def _level(name: object) -> object:
    return Level.__members__.get(name.upper(), name) if isinstance(name, str) else name


def _condition(name: object) -> object:
    return Condition.__members__.get(name.upper(), name) if isinstance(name, str) else name


def _name(value: Level | Condition) -> str:
    return value.name.lower()


ImeiText = Annotated[Imei, BeforeValidator(parse_imei)]
LevelName = Annotated[Level, BeforeValidator(_level), PlainSerializer(_name)]
ConditionName = Annotated[Condition, BeforeValidator(_condition), PlainSerializer(_name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One condition of the policy that is not met yet."""

    condition: str
    """`notice_reached`, `notice_period`, `quiet_hours`, `consent`, `grace`, `dispute`, …"""
    detail: str
    earliest: datetime | None
    """When it can be met at the earliest; None if no time will bring it about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A level that is wanted and not permitted yet. It follows by itself, unless a payment comes first."""

    level: LevelName
    missing: tuple[Missing, ...]
    earliest: datetime | None
    """When it can follow at the earliest; None if that is not only a matter of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a decision; it is durable."""

    decision_id: str
    imei: ImeiText
    type: str
    effect: str
    """`applied`, `noted`, `covered`, `stale`, `already_settled` or `resent`: see `docs/decisions.md`."""
    level: LevelName
    """What the phone should be now."""
    wanted_level: LevelName
    """What it should be by the arrears alone."""
    held: Held | None
    command_id: str | None
    """The command that it has led to; None if the phone's state did not change."""
    repeated: bool
    """Whether the bridge had it before: then this is the answer that was given then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something that freezes escalation."""

    at_most: LevelName
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What freezes escalation, or overrides it."""

    grace: Hold | None
    dispute: Hold | None
    lost_or_stolen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """What is known about the loan."""

    days_overdue: int
    settled: bool
    amount_due: int
    """In minor units of `currency`."""
    currency: str
    wanted_level: LevelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The level that a phone takes by itself when nothing newer has come."""

    until: datetime
    then: LevelName
    warn_s: int
    """How long before the borrower is warned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What the phone should be: its newest signed state."""

    level: LevelName
    reason: str
    epoch: int
    version: int
    issued_at: datetime
    lease: Lease | None
    state_hash: str
    """SHA-256 of the signed state, in hex."""
    command_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the phone has said that it is, under its own signature."""

    level: LevelName
    condition: ConditionName
    epoch: int
    version: int
    state_hash: str
    signals: tuple[str, ...]
    """What it has noticed about itself: `sim`, `bootloader`, `debug`, …"""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A phone."""

    imei: ImeiText
    lender: str
    loan_id: str
    status: str
    """`pending` (never heard of), `active`, `releasing` or `released`."""
    time_zone: str | None
    evidence: tuple[str, ...]
    """The kinds of evidence of consent that there are."""
    holds: Holds
    held: Held | None
    loan: Loan
    desired: Desired
    reported: Reported | None

    @property
    def is_proven(self) -> bool:
        """Whether the phone itself has said that it applied its newest state."""
        said, should = self.reported, self.desired
        return said is not None and (said.epoch, said.version, said.state_hash, said.level, said.condition) == (
            should.epoch,
            should.version,
            should.state_hash,
            should.level,
            Condition.APPLIED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttAccess:
    """What a phone connects to the broker with."""

    host: str
    port: int
    username: str
    password: str
    topic_prefix: str
    tls: bool = False
    """Whether it connects by TLS; a bridge that does not say so knows none."""
    ca: str | None = None
    """The CA certificates, PEM, that the broker's must chain to; None if the firmware's, or the system's, do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled(Phone):
    """A phone that has just been enrolled, and what has to be put into it. Shown once."""

    root: Base64Bytes
    """The envelope of the root that its firmware pins."""
    mqtt: MqttAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a phone's history."""

    at: datetime
    event: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One version of a desired state on its way to its phone."""

    command_id: str
    imei: ImeiText
    status: str
    """`queued`, `sent`, `succeeded`, `failed`, `rejected`, `superseded` or `timed_out`."""
    pending: bool
    level: LevelName
    reason: str
    epoch: int
    version: int
    decision_id: str | None
    """The decision that has led to it; None for what the policy or the bridge did by itself."""
    detail: str
    attempts: int
    created_at: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of your rules."""

    version: int
    own: bool
    """False for the bridge's own, which is in force as long as you have set none."""
    set_at: datetime | None
    set_by: str | None
    """The id of the key that set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument(PolicyVersion):
    """The same with its TOML."""

    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCheck:
    """Whether a document could be put in force."""

    valid: bool
    name: str | None
    faults: tuple[str, ...]
    """What is wrong, each with its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldChange:
    """What a policy would make of one phone."""

    imei: ImeiText
    level: LevelName
    becomes: LevelName
    wanted_level: LevelName
    held: Held | None
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunPage:
    """What a policy would make of some phones: a page of a dry run."""

    judged: int
    would_change: tuple[WouldChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A file of decisions: how far it is, and what became of its rows."""

    import_id: str
    state: str
    """`receiving`, `queued`, `running`, `done` or `failed`."""
    format: str
    dry_run: bool
    idempotency_key: str
    size_bytes: int
    rows: int
    """How many there are; 0 until they have been counted."""
    done: int
    applied: int
    unchanged: int
    held: int
    repeated: int
    refused: int
    waiting_for: str | None
    """Why it does not move on just now."""
    problem: Problem | None
    """Why it could not be read as a whole."""
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_finished(self) -> bool:
        """Whether it has come to its end."""
        return self.state in ("done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a decision that was sent over MQTT has come."""

    step: Literal["queued", "sent", "succeeded", "failed", "rejected", "timed_out", "superseded"]
    command: Command


_adapters: dict[type, TypeAdapter[Any]] = {}
"""Made when first needed: each takes milliseconds."""


def _adapter(kind: type) -> TypeAdapter[Any]:
    return _adapters.get(kind) or _adapters.setdefault(kind, TypeAdapter(kind))


def read(kind: type[T], answer: object) -> T:
    """Return an answer as what it is.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    try:
        found: T = _adapter(kind).validate_python(answer)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        where = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)
        raise UnexpectedAnswerError(f"answered what is no {kind.__name__}: {where}") from error
    return found


def to_json(answer: object) -> Mapping[str, Any]:
    """Return an answer as the JSON object that it was."""
    written: Mapping[str, Any] = _adapter(type(answer)).dump_python(answer, mode="json")
    return written
