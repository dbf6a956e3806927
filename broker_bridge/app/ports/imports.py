"""What imports need: their records in the database, and files that wait until their rows are done."""

from collections.abc import AsyncIterable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker_bridge.app.records import Page
from broker_bridge.domain.imports import Counts, Format, Import, ImportId, ImportState, Outcome, RowResult, SpoolId
from lock_protocol.compiling import quick
from lock_protocol.messages import LenderId


class Imports(Protocol):
    """The imports in the database. All methods raise `StoreUnavailableError` when it does not answer."""

    async def begin(self, new: Import, most: int) -> Import:
        """Record an import that is being received, and return it; or return the one that has its idempotency key.

        Raises:
            TooManyImportsError: the lender has `most` that are not finished.
        """

    async def received(self, import_id: ImportId, content_hash: bytes, size_bytes: int) -> Import:
        """Queue an import whose file is safe on disk."""

    async def requeue(self, import_id: ImportId, spool: SpoolId, most: int) -> bool:
        """Queue an import that has failed, with its file in this spool; return whether it still had failed.

        Raises:
            TooManyImportsError: the lender has `most` that are not finished.
        """

    async def forget(self, import_id: ImportId) -> bool:
        """Remove an import whose file never came whole; return whether it was there, and is not queued."""

    async def alive(self, spool: SpoolId, gone_s: int) -> None:
        """Note that the bridge of a spool is there; forget spools whose bridges are gone.

        A bridge is gone that has not said for `gone_s` seconds that it is there, by the database's clock: those of two
        bridges may be far apart.
        """

    async def receiving(self, spool: SpoolId, gone_s: int) -> Collection[ImportId]:
        """Return which of a bridge's imports are being received, or were when their bridge ended.

        Its own are those in its spool, those in spools whose bridges are gone, and those in none.
        """

    async def waiting(self, lenders: Collection[LenderId], spool: SpoolId, gone_s: int) -> Sequence[Import]:
        """Return, of each lender not among `lenders`, the oldest of a bridge's own imports that is not done."""

    async def unfinished(self, spool: SpoolId, gone_s: int) -> Collection[ImportId]:
        """Return which of a bridge's own imports are queued or running."""

    async def start(self, one: Import, rows: int, at: int) -> None:
        """Say that an import runs, and how many rows its file has.

        Raises:
            ImportTakenAwayError: nothing was changed; so do `add` and `finish`.
        """

    async def add(self, one: Import, refused: Sequence[RowResult], counts: Counts) -> None:
        """Record results that no job has recorded, and what has become of all rows so far, in one commit."""

    async def finish(self, one: Import, state: ImportState, at: int, counts: Counts, problem: str = "") -> None:
        """Record how an import ended and what has become of its rows, in one commit."""

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


class ImportTakenAwayError(Exception):
    """The import is over, or its file is with another bridge now: whoever was at it was taken for gone.

    Nothing happened, and there is nothing more to do.
    """


@quick
@dataclass(frozen=True, slots=True)
class FileRow:
    """One row as it stands in the file: a JSON value, or why it is none."""

    number: int
    value: object
    error: Exception | None = None


class UnreadableFileError(Exception):
    """A file that cannot be read as a whole, so that none of its rows may be applied; says where and why."""


class SpoolUnavailableError(Exception):
    """A file cannot be read just now, which passes: the process has no descriptor left, or the disk does not answer."""


class FileTooLargeError(Exception):
    """A file of more bytes than an import may have."""


class UploadCutError(Exception):
    """The upload ended early, or took too long. Nothing of it is kept."""


class SpoolFullError(Exception):
    """The disk takes no more. Nothing of the upload is kept; try again later."""


class Spool(Protocol):
    """Where uploaded files wait until their rows are done. Each of several bridges on one database has its own."""

    @property
    def spool_id(self) -> SpoolId:
        """Its name, which goes where its files go."""

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
            SpoolUnavailableError: not just now.
        """

    def files(self) -> Collection[ImportId]:
        """Return of which imports there are files."""

    def discard(self, import_id: ImportId) -> None:
        """Remove a file, if it is there."""
