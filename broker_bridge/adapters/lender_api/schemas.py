"""The shapes of answers: what a lender may rely on. `answers.py` makes them; whatever is not named here is not sent."""

import ast
import inspect
import sys
from enum import Enum
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from broker_bridge.domain.access import Scope
from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import DecisionType
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.imports import Format, ImportState
from broker_bridge.domain.loans import Effect
from broker_bridge.domain.phones import PhoneStatus
from lock_protocol.levels import Condition, Level, Reason, Signals


def _names(kind: type[Enum]) -> Any:
    return WithJsonSchema({"type": "string", "enum": [one.name.lower() for one in kind if one.name]})


LevelName = Annotated[str, _names(Level)]
ReasonName = Annotated[str, _names(Reason)]
ConditionName = Annotated[str, _names(Condition)]
SignalName = Annotated[str, _names(Signals)]
Gate = Annotated[str, WithJsonSchema({"type": "string", "enum": list(GateCondition)})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-23T12:00:00Z"])]
ImeiText = Annotated[
    str, Field(pattern="^[0-9]{15}$", json_schema_extra={"format": "imei"}, examples=["001017000000003"])
]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
CommandName = Annotated[str, Field(examples=["cmd_0069263f80a1c94e07d2b85f3a6e"])]
KeyName = Annotated[str, Field(examples=["key_3f9a0c51d2e47b86"])]
NextPage = Annotated[str | None, Field(description="What to hand back as `page_token`; null on the last page.")]


class MissingAnswer(TypedDict):
    """A condition of the policy that is not met yet."""

    condition: Gate
    detail: str
    earliest: Time | None
    """When it can be met by the mere passing of time; null when something has to happen first."""


class HeldAnswer(TypedDict):
    """A level that the policy does not permit yet. It follows by itself, unless a payment comes first."""

    level: LevelName
    missing: list[MissingAnswer]
    earliest: Time | None
    """When all of it can be met; null when something has to happen first."""


class DecidedAnswer(TypedDict):
    """What became of a decision: the same each time it is sent."""

    decision_id: Annotated[str, Field(examples=["2026-01-0001"])]
    imei: ImeiText
    type: Annotated[str, WithJsonSchema({"type": "string", "enum": list(DecisionType)})]
    effect: Annotated[str, WithJsonSchema({"type": "string", "enum": list(Effect)})]
    """What it did to the loan."""
    level: LevelName
    """The level that the phone has to have now."""
    wanted_level: LevelName
    """The level that the arrears ask for, whether or not it is permitted yet."""
    held: HeldAnswer | None
    """What that level waits for; null when nothing is held back."""
    command_id: CommandName | None
    """The command that carries it to the phone; null where nothing had to change."""
    repeated: bool
    """Whether the decision had been taken before."""


class ProblemDocument(TypedDict):
    """An error, as RFC 9457 has it. Match `type`; show `detail`, which says what to do."""

    type: Annotated[str, Field(pattern="^urn:paylatch:problem:[a-z-]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str


class TakenResult(DecidedAnswer):
    """The result of one decision of a list that was taken."""

    status: Literal[200]


class RefusedResult(TypedDict):
    """The result of one decision of a list that was not taken; the others are not affected."""

    status: Annotated[int, Field(ge=400, le=599)]
    problem: ProblemDocument


class ResultsAnswer(TypedDict):
    """The results of a list of decisions, in its order."""

    results: list[TakenResult | RefusedResult]


class LoanAnswer(TypedDict):
    """What is known of a loan."""

    days_overdue: int
    settled: bool
    amount_due: int
    """In minor units."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """ISO 4217; XXX while none is known."""
    wanted_level: LevelName
    """The level that the arrears ask for, whether or not it is permitted yet."""


class HoldAnswer(TypedDict):
    """A grace period or a dispute."""

    at_most: LevelName
    """What arrears may ask for meanwhile."""
    until: Time | None
    """When it ends by itself."""


class HoldsAnswer(TypedDict):
    """What freezes escalation, and what keeps a phone locked whatever was paid."""

    grace: HoldAnswer | None
    dispute: HoldAnswer | None
    lost_or_stolen: bool


class LeaseAnswer(TypedDict):
    """What the phone does by itself when nothing newer has come."""

    until: Time | None
    then: LevelName
    """The level that it takes then."""
    warn_s: int
    """How many seconds before that it warns its user."""


class DesiredAnswer(TypedDict):
    """What a phone should be: its newest signed state."""

    level: LevelName
    reason: ReasonName
    epoch: int
    version: int
    issued_at: Time | None
    lease: LeaseAnswer | None
    state_hash: Hash
    command_id: CommandName
    """The command that carries it to the phone."""


class ReportedAnswer(TypedDict):
    """What a phone says it is, under its own signature."""

    level: LevelName
    condition: ConditionName
    """How the level relates to the state that the phone holds."""
    epoch: int
    version: int
    state_hash: Hash
    signals: list[SignalName]
    """What the phone has noticed about itself."""
    at: Time | None
    """When the bridge accepted it."""


class PhoneAnswer(TypedDict):
    """A phone."""

    imei: ImeiText
    lender: str
    loan_id: str
    status: PhoneStatus
    time_zone: str | None
    """The borrower's, an IANA name; null when it is not known."""
    evidence: list[str]
    """The kinds of evidence of consent that are on file."""
    holds: HoldsAnswer
    held: HeldAnswer | None
    """What a higher level waits for; null when nothing is held back."""
    loan: LoanAnswer
    desired: DesiredAnswer
    reported: ReportedAnswer | None
    """Null until the phone has spoken."""


class MqttAnswer(TypedDict):
    """Where the phone connects to, and as whom."""

    host: str
    port: int
    tls: bool
    """Whether the broker speaks TLS there. A phone that is told so connects by nothing else."""
    ca: str | None
    """The CA certificates, PEM, that the broker's must chain to; null if the firmware's, or the system's, do."""
    username: ImeiText
    password: str
    """Shown this once."""
    topic_prefix: str


class EnrolledAnswer(PhoneAnswer):
    """A phone that has been enrolled, and what it has to be told."""

    root: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """The root envelope that the phone pins."""
    mqtt: MqttAnswer


class PhonesAnswer(TypedDict):
    """A page of phones, by IMEI."""

    phones: list[PhoneAnswer]
    next_page_token: NextPage


class EventAnswer(TypedDict):
    """Something that has happened to a phone."""

    at: Time | None
    event: str
    detail: str


class TimelineAnswer(TypedDict):
    """A page of a phone's history, the newest first."""

    events: list[EventAnswer]
    next_page_token: NextPage


class CommandAnswer(TypedDict):
    """One version of a phone's state, and where it is on its way."""

    command_id: CommandName
    imei: ImeiText
    status: Status
    pending: bool
    """Whether the phone's word is still to come."""
    level: LevelName
    reason: ReasonName
    epoch: int
    version: int
    decision_id: str | None
    """The decision that brought it about; null where none did."""
    detail: str
    """The refusal's name or the phone's reason, when it was rejected or failed."""
    attempts: int
    """How often it was published and acknowledged."""
    created_at: Time | None
    sent_at: Time | None
    finished_at: Time | None


class KeyAnswer(TypedDict):
    """An API key, which is not shown itself."""

    key_id: KeyName
    name: str
    scopes: list[Scope]
    created_at: Time | None
    last_used_at: Time | None
    """Exact to a minute."""
    revoked_at: Time | None


class NewKeyAnswer(KeyAnswer):
    """An API key that has just been made."""

    key: Annotated[str, Field(pattern="^pl_")]
    """The key. It is shown this once: only its hash is stored."""


class KeysAnswer(TypedDict):
    """A page of API keys, by id."""

    keys: list[KeyAnswer]
    next_page_token: NextPage


class PolicyVersionAnswer(TypedDict):
    """One version of a lender's policy, without its document."""

    version: int
    """0 is the bridge's own."""
    own: bool
    """Whether the lender has set it."""
    set_at: Time | None
    set_by: KeyName | None
    """The id of the key that it was set with."""


class PolicyAnswer(PolicyVersionAnswer):
    """One version of a lender's policy."""

    document: str
    """TOML."""


class PolicyVersionsAnswer(TypedDict):
    """A page of the versions of a lender's policy, the newest (which is in force) first."""

    versions: list[PolicyVersionAnswer]
    next_page_token: NextPage


class CheckedAnswer(TypedDict):
    """Whether a document could be put in force."""

    valid: bool
    name: str | None
    """The policy's; null when it is none."""
    faults: list[str]
    """What is wrong, each with its line."""


class WouldChangeAnswer(TypedDict):
    """What a policy would make of one phone."""

    imei: ImeiText
    level: LevelName
    """What it is to be now."""
    becomes: LevelName
    wanted_level: LevelName
    held: HeldAnswer | None
    changes: list[str]
    """Which parts of its state would be others: level, reason, notice, remind, lease."""


class DryRunAnswer(TypedDict):
    """A page of a dry run."""

    judged: int
    """How many phones this page has judged."""
    would_change: list[WouldChangeAnswer]
    next_page_token: NextPage


class ImportAnswer(TypedDict):
    """An import: how far it is, and what became of its rows."""

    import_id: Annotated[str, Field(examples=["imp_00qpsdhg4kj2n8m6t0v1r5c7e3"])]
    state: Annotated[str, WithJsonSchema({"type": "string", "enum": list(ImportState)})]
    format: Annotated[str, WithJsonSchema({"type": "string", "enum": list(Format)})]
    dry_run: bool
    """Whether every row was judged and nothing written."""
    idempotency_key: str
    size_bytes: int
    rows: int
    """How many the file has: known from when the import runs."""
    done: int
    applied: int
    unchanged: int
    """Taken and recorded, without changing anything."""
    held: int
    """Taken, and waiting for what the policy asks for."""
    repeated: int
    """Taken before this import."""
    refused: int
    waiting_for: str | None
    """Why it does not move on just now."""
    problem: ProblemDocument | None
    """Why the file as a whole could not be read."""
    created_at: Time | None
    started_at: Time | None
    finished_at: Time | None


class ImportsAnswer(TypedDict):
    """A page of imports, the newest first."""

    imports: list[ImportAnswer]
    next_page_token: NextPage


class LivezAnswer(TypedDict):
    """That the process runs."""

    status: Literal["ok"]


class ReadyzAnswer(TypedDict):
    """What the bridge needs, and whether it is there."""

    database: Literal["ok"]
    broker: Literal["ok", "disconnected", "standby"]
    """`standby`: another bridge on the same database has it."""


def _take_docstrings_as_descriptions() -> None:
    """Have the text below each field describe it in the document.

    Pydantic can do so itself, but reads this whole file again for each class, which was most of a bridge's start.
    """
    for node in ast.parse(inspect.getsource(sys.modules[__name__])).body:
        if not isinstance(node, ast.ClassDef):
            continue
        annotations = globals()[node.name].__annotations__
        for field, below in pairwise(node.body):
            match field, below:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    annotations[name] = Annotated[annotations[name], Field(description=inspect.cleandoc(text))]


_take_docstrings_as_descriptions()
