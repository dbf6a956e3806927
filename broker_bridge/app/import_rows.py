"""One row of an import: from what stands in the file to the job of its decision, and to what is told of it."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from broker_bridge.app.decide import Decided
from broker_bridge.app.ports.imports import FileRow, UnreadableFileError
from broker_bridge.app.ports.store import Job, Transaction
from broker_bridge.domain.decisions import Decision, DecisionId
from broker_bridge.domain.imports import Import, ImportId, Outcome, RowResult
from lock_protocol.compiling import quick
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId

_ECHO = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """How decisions are read, made and answered: as by the routes for single ones, whose words these are."""

    read: Callable[[object, LenderId], Decision]
    decide: Callable[[Decision], Job[Decided]]
    dry_run: Callable[[Decision], Job[Decided]]
    """The same, signing nothing."""
    answer: Callable[[Decided], dict[str, Any]]
    refusal: Callable[[Exception], dict[str, Any]]
    """Status and problem of an error that decisions are answered with."""
    refusals: tuple[type[Exception], ...]
    unreadable: Callable[[UnreadableFileError], dict[str, Any]]
    """The problem document of a file that cannot be read."""
    count: Callable[[Decision, Outcome], object]
    """Is told of each decision that was taken or refused, for the metrics."""

    def decision(self, row: FileRow, lender: LenderId) -> Decision:
        """Return the decision that a row stands for; what is wrong with it is one of `refusals`."""
        if row.error is not None:
            raise row.error
        return self.read(row.value, lender)


class JudgedError(Exception):
    """Ends the job of a dry run, so that nothing of it is written."""

    def __init__(self, result: RowResult) -> None:
        super().__init__("a dry run writes nothing")
        self.result = result


@quick
@dataclass(frozen=True, slots=True)
class ImportedDecision:
    """The job of one row: a decision, and the row's result with it."""

    job: Job[Decided]
    desk: Desk
    one: Import
    row: int

    @property
    def imeis(self) -> Collection[Imei]:
        """The decision's phone."""
        return self.job.imeis

    @property
    def decisions(self) -> Collection[tuple[LenderId, DecisionId]]:
        """The decision's record."""
        return self.job.decisions

    def run(self, tx: Transaction) -> Outcome:
        """Take the decision and record what it did.

        Raises:
            ImportTakenAwayError: the import is over, or with another bridge, which may have told its lender so.
        """
        tx.require_import(self.one.import_id, self.one.spool)
        answer = self.desk.answer(self.job.run(tx))
        outcome = _outcome_of(answer)
        result = _result(self.one.import_id, self.row, outcome, {"status": 200, **answer})
        if self.one.upload.dry_run:
            raise JudgedError(result)
        tx.put_row_result(result)
        return outcome


def _outcome_of(answer: dict[str, Any]) -> Outcome:
    if answer["repeated"]:
        return Outcome.REPEATED
    if answer.get("held"):
        return Outcome.HELD
    return Outcome.APPLIED if answer["effect"] in ("applied", "resent") else Outcome.UNCHANGED


def _result(import_id: ImportId, row: int, outcome: Outcome, answer: dict[str, Any]) -> RowResult:
    return RowResult(import_id=import_id, row=row, outcome=outcome, answer=json.dumps(answer))


def refused(desk: Desk, import_id: ImportId, row: FileRow, error: Exception) -> RowResult:
    """Return the result of a row whose decision was not taken."""
    return _result(import_id, row.number, Outcome.REFUSED, {**desk.refusal(error), **_echo(row.value)})


def _echo(value: object) -> dict[str, str]:
    """Return what the row names itself by, so that its refusal can be told from others."""
    if not isinstance(value, dict):
        return {}
    names = {name: value.get(name) for name in ("decision_id", "imei")}
    return {name: text for name, text in names.items() if isinstance(text, str) and len(text) <= _ECHO}
