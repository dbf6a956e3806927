"""Imports: a whole file of decisions, and what became of each of its rows."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from lock_protocol.compiling import quick
from lock_protocol.messages import LenderId

ImportId = NewType("ImportId", str)
SpoolId = NewType("SpoolId", str)
"""Names the directory in which a bridge keeps files until their rows are done."""


class ImportState(StrEnum):
    """Where an import is: `receiving → queued → running → done`, or `failed` when its file cannot be read.

    From there it is `queued` again when the same file is sent again.
    """

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more, unless the file of one that has failed is sent again."""
        return self in (ImportState.DONE, ImportState.FAILED)


class Format(StrEnum):
    """How the file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


class Outcome(StrEnum):
    """What became of a row: exactly one of these, so that they add up to the rows that are done."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """Taken and recorded, but it changed nothing: covered by a payment, older than what is known, settled already."""
    HELD = "held"
    """Taken, and waits for what the policy asks for."""
    REPEATED = "repeated"
    """Had been taken before this import came to it, by whichever way."""
    REFUSED = "refused"


Counts = dict[Outcome, int]


def no_rows() -> Counts:
    """Return the counts of an import that has not begun."""
    return dict.fromkeys(Outcome, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What makes two requests with one idempotency key the same request, besides the file's bytes."""

    lender: LenderId
    idempotency_key: str
    format: Format
    dry_run: bool
    """Judge every row and write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import as it stands."""

    import_id: ImportId
    upload: Upload
    state: ImportState
    created_at: int
    """Seconds UTC, like all times here; 0 for not yet."""
    spool: SpoolId
    """Where its file lies; empty for one that came before spools had names."""
    content_hash: bytes = b""
    """SHA-256 of the file; empty while it is being received."""
    size_bytes: int = 0
    rows: int = 0
    """How many the file has: known from when the import runs."""
    counts: Counts = field(default_factory=no_rows)
    problem: str = ""
    """The problem document, as JSON text, of an import that has failed."""
    started_at: int = 0
    finished_at: int = 0

    @property
    def done(self) -> int:
        """How many rows have a result."""
        return sum(self.counts.values())


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What became of one row."""

    import_id: ImportId
    row: int
    """Its place among the file's rows, from 1; a header and empty lines do not count."""
    outcome: Outcome
    answer: str
    """As JSON text: what the same decision would have been answered in a list of `POST /v1/decisions`."""
