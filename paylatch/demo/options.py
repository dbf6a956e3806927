"""What a person may choose about the demo."""

from dataclasses import dataclass
from pathlib import Path


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class DemoUsageError(DemoError):
    """The demo cannot begin with these options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One run of the demo."""

    phones: int
    """How many accounts of the histories, from the first; each has one phone."""
    months: int
    """How many of their months, from the first."""
    histories: Path
    seed: int = 0
    """Chooses resets and outages, and nothing else."""
    database: str | None = None
    """The bridge's: as for `paylatch.local.database.database_of`; None for a SQLite file among the run's files."""
    keep: Path | None = None
    """Where all files of the run are kept; None for a temporary directory."""
