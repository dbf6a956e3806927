"""The database, as jobs need it. Adapters implement this; fakes in tests keep its semantics."""

from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from broker_bridge.app.records import (
    AuditEntry,
    Command,
    LenderRecord,
    Outgoing,
    PolicyVersion,
    RecordedDecision,
)
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.imports import ImportId, RowResult, SpoolId
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

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

    def require_import(self, import_id: ImportId, spool: SpoolId) -> None:
        """Do nothing, if an import is queued or running with its file in this spool; it stays so until the commit.

        Raises:
            ImportTakenAwayError: it is over, or with another bridge.
        """

    def put_row_result(self, result: RowResult) -> None:
        """Insert what became of a row of an import."""

    def audit(self, entry: AuditEntry) -> None:
        """Append to the history: of a phone that the job has named, or of none."""

    def audit_refusal(self, entry: AuditEntry) -> None:
        """Append to the history what was asked of the job that it is going to refuse: this stays when it raises.

        It is about a phone that is enrolled and that the job has named.
        """

    def key_conflicts(self, imei: Imei) -> Collection[str]:
        """Return the details of what the history has of a phone's key conflicts. The job must have named the IMEI."""

    def lender(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record.

        Raises:
            UnknownLenderError: there is no such lender.
        """

    def put_heard(self, lender: LenderId, at: int) -> None:
        """Remember when a lender last reported anything, seconds UTC."""

    def policy(self, lender: LenderId, version: int) -> PolicyVersion | None:
        """Return one version of a lender's own policy."""

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


class Commits(Protocol):
    """The database, as what commits jobs. What else is asked of it stands in `queries.py`."""

    async def commit(self, job: Job[T], *, first: bool = False) -> T:
        """Run a job and return its result once it is durable.

        Args:
            job: what is to be done.
            first: whether it goes before the jobs that wait: a payment does, so that it waits for no overdue figures.

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
