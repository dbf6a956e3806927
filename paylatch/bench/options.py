"""What a person may choose about the benchmark."""

from dataclasses import dataclass
from pathlib import Path


class BenchError(Exception):
    """The benchmark cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of the benchmark."""

    phones: int
    """How many are enrolled and connected."""
    decisions: int
    """How many are imported for the measured round trips; each causes one."""
    shards: int = 1
    """Over how many processes the phones are spread."""
    database: str | None = None
    """The bridge's: as for `paylatch.local.database.database_of`; None for a SQLite file among the run's files."""
    keep: Path | None = None
    """Where all files of the run are kept; None for a temporary directory."""
