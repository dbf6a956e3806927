"""What a person sees of the demo: rich where there is a terminal, plain lines elsewhere, or next to nothing.

What happens goes to standard error, what was found to standard output.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from paylatch.demo.audit import Row
from paylatch.demo.result import Result, Violation
from paylatch.demo.summary import LEVELS, summary_of
from paylatch.steps import Announcer, PlainSteps, QuietSteps, RichSteps

_SHOWN_VIOLATIONS = 20
_TITLE = "Paylatch demo"


class View(Announcer, Protocol):
    """Shows one run. A context manager: leaving it gives the terminal back."""

    def __enter__(self) -> Self:
        """Take the terminal."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""

    def month(self, name: str, rows: Sequence[Row], violations: Sequence[Violation]) -> None:
        """Show a month's audit."""

    def violation(self, violation: Violation) -> None:
        """Show a violation that no audit has found."""

    def summary(self, result: Result) -> None:
        """Show what the run has shown."""


class QuietView(QuietSteps):
    """Shows violations, and nothing else."""

    def month(self, name: str, rows: Sequence[Row], violations: Sequence[Violation]) -> None:  # noqa: ARG002
        """Show only what is wrong."""
        for violation in violations[:_SHOWN_VIOLATIONS]:
            self.violation(violation)
        if len(violations) > _SHOWN_VIOLATIONS:
            self._say(f"violation: {len(violations) - _SHOWN_VIOLATIONS} more in {name}")

    def violation(self, violation: Violation) -> None:
        """Show it."""
        self._say(f"violation: {violation}")

    def summary(self, result: Result) -> None:
        """Say nothing; the violations have been shown."""

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class PlainView(PlainSteps, QuietView):
    """Shows one line for each thing that happens."""

    def month(self, name: str, rows: Sequence[Row], violations: Sequence[Violation]) -> None:
        """Show how many phones are at which level."""
        self.step(f"{name}: {_levels(rows)}; {len(violations)} violations")
        super().month(name, rows, violations)

    def summary(self, result: Result) -> None:
        """Show all figures, one a line."""
        self.figures(_TITLE, summary_of(result), good=not result.violations)


class RichView(RichSteps, QuietView):
    """Shows the present step under a list of the months, on a terminal."""

    def month(self, name: str, rows: Sequence[Row], violations: Sequence[Violation]) -> None:
        """Show how many phones are at which level."""
        mark = "[red]✗[/red]" if violations else "[green]✓[/green]"
        self.note(f"{mark} [bold]{name}[/bold]  {_levels(rows)}")
        super().month(name, rows, violations)

    def summary(self, result: Result) -> None:
        """Show all figures in a table."""
        self.figures(_TITLE, summary_of(result), good=not result.violations)


def choose_view(*, quiet: bool) -> View:
    """Return the view for where the output goes."""
    if quiet:
        return QuietView()
    return RichView() if sys.stderr.isatty() and sys.stdout.isatty() else PlainView()


def _levels(rows: Sequence[Row]) -> str:
    counts = Counter(row.applied for row in rows)
    return ", ".join(f"{counts[level]} {level}" for level in LEVELS if counts[level])
