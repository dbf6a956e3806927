"""What the use cases need from the world. Adapters implement these; fakes in tests keep their semantics."""

from collections.abc import AsyncIterable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from broker_bridge.domain.access import ApiKey, KeyId
from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.imports import Counts, Format, Import, ImportId, ImportState, Outcome, RowResult
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.compiling import compile_replace, quick
from lock_protocol.imei import Imei
from lock_protocol.messages import Delegation, DesiredState, Fresh, LenderId, Root

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class StoreUnavailableError(Exception):
    """The database did not say that it has committed. The same job may be tried again.

    All of the job happened or nothing of it: nothing, unless the connection ended between the commit and the answer.
    Jobs are made so that a second time changes nothing; what the first one queued is found when the lanes are filled.
    """


class UnstorableError(Exception):
    """A value that the database cannot hold: a number too large, a text too long or with a NUL in it. Not done."""


class OverloadedError(Exception):
    """More work is waiting than the bridge promises to hold. Nothing happened; try again later."""


class BrokerUnavailableError(Exception):
    """There is no connection to the broker, or it ended before the PUBACK. The message may have arrived."""


class PublishRefusedError(Exception):
    """The broker answered a publish with a failure."""


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
    """Whether it has to go out even when the same state is in flight: something else may have overwritten that one."""


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


class Transaction(Protocol):
    """One job's view of the database inside a commit that it may share with others.

    Rows of the job's phones are locked. What a job has written is visible to it and to later jobs of the same commit;
    when it raises, its own writes are dropped and the other jobs' stay.
    """

    def phone(self, imei: Imei) -> Phone | None:
        """Return a phone's row, of any lender. The job must have named the IMEI."""

    def put_phone(self, phone: Phone) -> None:
        """Insert or replace a phone's row."""

    def decision(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a decision. The job must have named it."""

    def put_decision(self, decision: RecordedDecision) -> None:
        """Insert the record of a decision."""

    def command(self, command_id: CommandId) -> Command | None:
        """Return a command."""

    def put_command(self, command: Command) -> None:
        """Insert or replace a command."""

    def put_row_result(self, result: RowResult) -> None:
        """Insert what became of a row of an import."""

    def audit(self, entry: AuditEntry) -> None:
        """Append to the history."""

    def lender(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record.

        Raises:
            UnknownLenderError: there is no such lender.
        """

    def put_heard(self, lender: LenderId, at: int) -> None:
        """Remember when a lender last reported anything, seconds UTC."""

    def put_policy(self, policy: PolicyVersion) -> None:
        """Put the next version of a lender's policy in force."""

    def judge_all_again(self, lender: LenderId, at: int) -> None:
        """Have each of a lender's phones judged again from `at` (seconds UTC) on, page by page.

        It only notes that down: nobody's commit waits for a million rows.
        """

    def last_signed_at(self) -> int:
        """Return the newest time that was ever signed with; 0 for none."""

    def put_last_signed_at(self, at: int) -> None:
        """Remember the newest time that was signed with."""

    def publish_after_commit(self, state: Outgoing) -> None:
        """Hand a state to the publisher as soon as, and only if, the commit has succeeded."""


class Job(Protocol[T_co]):
    """A unit of work that is committed as a whole, together with others."""

    @property
    def imeis(self) -> Collection[Imei]:
        """The phones whose rows it needs."""

    @property
    def decisions(self) -> Collection[tuple[LenderId, DecisionId]]:
        """The decisions whose records it needs."""

    def run(self, tx: Transaction) -> T_co:
        """Do it. What it raises is the submitter's answer."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and the token of the next part, if there is one."""

    items: Sequence[T]
    next_token: str | None


class Store(Protocol):
    """The database: the truth."""

    async def commit(self, job: Job[T]) -> T:
        """Run a job and return its result once it is durable.

        Raises:
            StoreUnavailableError: it is not known to have happened.
            OverloadedError: nothing happened.
            Exception: what the job raised; nothing of it happened.
        """

    async def commit_each(self, jobs: Sequence[Job[T]]) -> list[T | Exception]:
        """Run jobs in their order; return the result of each, or its error, once all that succeeded is durable.

        Raises:
            OverloadedError: nothing happened.
        """

    async def phone(self, lender: LenderId, imei: Imei) -> Phone | None:
        """Return a lender's phone."""

    async def phones(self, lender: LenderId, after: str, limit: int) -> Page[Phone]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""

    async def command(self, lender: LenderId, command_id: CommandId) -> Command | None:
        """Return a lender's command."""

    async def newest_command(self, lender: LenderId, imei: Imei, decision_id: DecisionId) -> Command | None:
        """Return the newest command that stands for a decision: it may have been held, or signed again."""

    async def lenders(self) -> Sequence[LenderSummary]:
        """Return every lender."""

    async def lenders_with_phones(self) -> Sequence[LenderId]:
        """Return the lenders that have enrolled a phone."""

    async def working_key(self, key_hash: bytes) -> ApiKey | None:
        """Return the API key that has this SHA-256, unless it is revoked."""

    async def keys_of(self, lender: LenderId, after: str, limit: int) -> Page[ApiKey]:
        """Return a lender's API keys by id, from the one behind `after` on; revoked ones too."""

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key.

        Raises:
            UnknownLenderError: nobody has added its lender.
        """

    async def revoke_key(
        self, lender: LenderId, key_id: KeyId, at: int, *, even_last_admin: bool = False
    ) -> ApiKey | None:
        """Revoke an API key and return it as it is now; one that is revoked stays as it was. None: there is none such.

        Raises:
            LastAdminKeyError: nobody of this lender could make or revoke keys any more.
        """

    async def put_look_at(self, imei: Imei, at: int) -> None:
        """Have a phone whose row cannot be read judged again later, so that it does not hold up the others."""

    async def put_last_uses(self, uses: Mapping[KeyId, int]) -> None:
        """Remember when (seconds UTC) API keys were last used."""

    async def lender(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record.

        Raises:
            UnknownLenderError: there is no such lender.
        """

    async def policies(self, lender: LenderId) -> Sequence[PolicyVersion]:
        """Return all versions of a lender's own policy, the newest first, without their documents."""

    async def policy(self, lender: LenderId, version: int | None = None) -> PolicyVersion | None:
        """Return one version of a lender's own policy; without a number, the newest."""

    async def decision(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a lender's decision."""

    async def history(self, lender: LenderId, imei: Imei, after: str, limit: int) -> Page[AuditEntry]:
        """Return what has happened to a lender's phone, the newest first, from the entry behind `after` on."""

    async def sweeps(self, now: int) -> Sequence[Sweep]:
        """Return the sweeps that are under way at `now` (seconds UTC)."""

    async def imeis_after(self, lender: LenderId, after: str, limit: int) -> Sequence[Imei]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""

    async def swept(self, sweep: Sweep, upto: Imei | None) -> None:
        """Note how far a sweep is (None: it is over), unless a new one has begun meanwhile."""

    async def to_judge(self, now: int, limit: int) -> Sequence[Imei]:
        """Return phones that are to be judged again at `now` (seconds UTC), the longest waiting first."""

    async def credentials(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
        """Return phones with their password hashes by IMEI, from the one behind `after` on."""

    async def claim(self, lane: Lane, now: int, limit: int, *, put_off: bool = False) -> Sequence[Outgoing]:
        """Return states of this lane whose newest command is due, the longest waiting first.

        With `put_off`, only those that fell due later than they were made: to be published again, or after a refusal.
        """

    async def sent_before(self, at: int, limit: int) -> Sequence[Imei]:
        """Return phones whose newest command was sent before `at` and is still `sent`."""

    async def published_after(
        self, number: int, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Outgoing]:
        """Return states published with a number above `number` or with none, by IMEI, of open or of closed levels."""

    async def signed_under_older(
        self, delegation: Delegation, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Imei]:
        """Return, by IMEI, phones of open or of closed levels whose state an older delegation covers."""

    async def newest_delegation(self, lender: LenderId) -> tuple[int, int]:
        """Return the highest epoch and the highest delegation version that a state of this lender was signed under."""

    async def newest_publish_number(self) -> int:
        """Return the highest number that any publish was acknowledged with."""

    async def store_canary(self, token: str, number: int) -> None:
        """Remember a canary before it is published."""

    async def canary_number(self, token: str) -> int | None:
        """Return the publish number of a canary that this database has stored."""

    async def finished_commands(
        self, statuses: Collection[Status], *, since: int, before: int, limit: int
    ) -> Sequence[tuple[int, CommandId]]:
        """Return when they ended, and the ids, of commands that have one of these statuses and are no phone's newest.

        The oldest first, from those that ended at `since` (above 0) on, up to `before` and without it.
        """

    async def forget_commands(self, commands: Collection[CommandId]) -> int:
        """Delete those of these commands that are no phone's newest; return how many they were."""

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            StoreUnavailableError: it does not.
        """


class Imports(Protocol):
    """The imports in the database. All methods raise `StoreUnavailableError` when it does not answer."""

    async def begin(self, new: Import, most: int) -> Import:
        """Record an import that is being received, and return it; or return the one that has its idempotency key.

        Raises:
            TooManyImportsError: the lender has `most` that are not finished.
        """

    async def received(self, import_id: ImportId, content_hash: bytes, size_bytes: int) -> Import:
        """Queue an import whose file is safe on disk."""

    async def forget(self, import_id: ImportId) -> None:
        """Remove an import whose file never came whole."""

    async def receiving(self) -> Collection[ImportId]:
        """Return which imports are being received, or were when their bridge ended."""

    async def waiting(self, lenders: Collection[LenderId]) -> Sequence[Import]:
        """Return, of each lender that is not among `lenders`, the oldest import that is queued or running."""

    async def unfinished(self) -> Collection[ImportId]:
        """Return which imports are queued or running."""

    async def start(self, import_id: ImportId, rows: int, at: int) -> None:
        """Say that an import runs, and how many rows its file has."""

    async def add(self, import_id: ImportId, refused: Sequence[RowResult], counts: Counts) -> None:
        """Record results that no job has recorded, and what has become of all rows so far, in one commit."""

    async def finish(self, import_id: ImportId, state: ImportState, at: int, problem: str = "") -> None:
        """Record how an import ended."""

    async def counted(self, import_id: ImportId) -> Counts:
        """Return what has become of an import's rows, counted from the results themselves."""

    async def outcomes(self, import_id: ImportId, first: int, last: int) -> Mapping[int, Outcome]:
        """Return what has become of the rows of a stretch that have a result."""

    async def one(self, lender: LenderId, import_id: ImportId) -> Import | None:
        """Return a lender's import."""

    async def all_of(self, lender: LenderId, before: str, limit: int) -> Page[Import]:
        """Return a lender's imports, the newest first, from the one behind `before` on."""

    async def results(
        self, import_id: ImportId, after: int, limit: int, outcome: Outcome | None = None
    ) -> Sequence[RowResult]:
        """Return results behind row `after`, in the file's order; of one outcome, if one is named."""

    async def forget_finished(self, before: int, limit: int) -> int:
        """Remove imports that were finished before that time; at most `limit` results at once.

        Returns:
            How many results and imports were removed; 0 when nothing is left to remove.
        """


class TooManyImportsError(Exception):
    """The lender has as many unfinished imports as it may have. Nothing happened; try again later."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row as it stands in the file: a JSON value, or why it is none."""

    number: int
    value: object
    error: Exception | None = None


class UnreadableFileError(Exception):
    """A file that cannot be read as a whole, so that none of its rows may be applied; says where and why."""


class FileTooLargeError(Exception):
    """A file of more bytes than an import may have."""


class UploadCutError(Exception):
    """The upload ended early, or took too long. Nothing of it is kept."""


class SpoolFullError(Exception):
    """The disk takes no more. Nothing of the upload is kept; try again later."""


class Spool(Protocol):
    """Where uploaded files wait until their rows are done."""

    async def receive(self, import_id: ImportId, chunks: AsyncIterable[bytes]) -> tuple[bytes, int]:
        """Write a file and return its SHA-256 and its size, once it would survive a loss of power.

        Raises:
            FileTooLargeError, UploadCutError, SpoolFullError: nothing of it is left.
        """

    async def digest(self, chunks: AsyncIterable[bytes]) -> bytes:
        """Return the SHA-256 of an upload that is not kept.

        Raises:
            FileTooLargeError, UploadCutError: it is too large, or did not come whole.
        """

    def rows(self, import_id: ImportId, kind: Format) -> Iterator[FileRow]:
        """Yield a file's rows, one at a time. Blocks, so it is for a thread.

        Raises:
            UnreadableFileError: the file, or the rest of it, cannot be read.
        """

    def discard(self, import_id: ImportId) -> None:
        """Remove a file, if it is there."""

    def keep_only(self, import_ids: Collection[ImportId]) -> None:
        """Remove all other files."""


class Broker(Protocol):
    """A live connection to the broker."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK.

        Raises:
            BrokerUnavailableError: the connection ended first; the message may have arrived.
            PublishRefusedError: the broker refused it.
        """


OnPublished = Callable[[PublishRefusedError | BrokerUnavailableError | None], None]
"""Told once what became of a publish: None at its PUBACK. Must not raise."""


class PhonesLine(Broker, Protocol):
    """The live connection by which phones are reached."""

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        """Publish like `publish`, without anybody who waits. `on_published` may be called before this returns."""


@dataclass(frozen=True, slots=True)
class PublishedRoot:
    """A root, and the envelope that phones get."""

    root: Root
    envelope: bytes


class Signer(Protocol):
    """The online keys."""

    def delegation(self, lender: LenderId) -> Delegation:
        """Return the lender's newest delegation.

        Raises:
            UnknownLenderError: there is none.
        """

    def delegations(self) -> Sequence[Delegation]:
        """Return the newest delegation of every lender."""

    def sign_state(self, state: DesiredState) -> bytes:
        """Return the envelope of a state, signed by the keys that its operations need."""

    def sign_fresh(self, fresh: Fresh) -> bytes:
        """Return the envelope of a fresh."""


class UnknownLenderError(Exception):
    """The bridge holds no keys or no delegation for this lender."""


class Clock(Protocol):
    """Time, as the bridge may use it."""

    def now(self) -> int:
        """Return the wall clock, whole seconds UTC."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""


class Log(Protocol):
    """Structured log: an event and its fields (structlog's bound logger fits)."""

    def info(self, event: str, **fields: Any) -> object:
        """Something worth knowing happened."""

    def warning(self, event: str, **fields: Any) -> object:
        """Something went wrong that mends itself."""

    def critical(self, event: str, **fields: Any) -> object:
        """Somebody has to look now."""
