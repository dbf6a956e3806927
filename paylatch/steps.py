"""What long commands show while they work: the present step, and a table of figures in the end.

What happens goes to standard error, what was found to standard output. Rich where both are a terminal, plain elsewhere.
"""

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.table import Table

Figures = Iterable[tuple[str, str]]
"""What was asked or found, each with its name."""


class Announcer(Protocol):
    """Shows what is being done, and nothing else."""

    def step(self, text: str) -> None:
        """Show what is being done from now on."""


class Steps(Announcer, Protocol):
    """Shows one run. A context manager: leaving it gives the terminal back."""

    def __enter__(self) -> Self:
        """Take the terminal."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""

    def moved(self, text: str) -> None:
        """Show how far the present step is, where that costs no line."""

    def note(self, text: str) -> None:
        """Show something that stays; it may be marked up as Rich has it."""

    def figures(self, title: str, figures: Figures, *, good: bool) -> None:
        """Show a table of what was found."""


class QuietSteps:
    """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was taken."""

    def step(self, text: str) -> None:
        """Say nothing."""


class PlainSteps(QuietSteps):
    """A line for each step, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def step(self, text: str) -> None:
        """Show it with the seconds since the start."""
        sys.stderr.write(f"{time.monotonic() - self._start:6.1f} s  {text}\n")
        sys.stderr.flush()

    def moved(self, text: str) -> None:
        """Say nothing: each line is there for good."""

    def note(self, text: str) -> None:
        """Say nothing: whoever reads plain lines has each step already."""

    def figures(self, title: str, figures: Figures, *, good: bool) -> None:  # noqa: ARG002 - for terminals
        """Show all figures, one a line."""
        for label, text in figures:
            sys.stdout.write(f"{label:<20} {text}\n")
        sys.stdout.flush()


class RichSteps:
    """The present step under what stays, on a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = self._console.status("starting")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def step(self, text: str) -> None:
        """Show it in place of the step before."""
        self._status.update(text)

    def moved(self, text: str) -> None:
        """Show it in place of the step before."""
        self._status.update(text)

    def note(self, text: str) -> None:
        """Show it above."""
        self._console.print(text)

    def figures(self, title: str, figures: Figures, *, good: bool) -> None:
        """Show all figures in a table, green or red."""
        self._status.stop()
        table = Table(title=title, show_header=False, border_style="green" if good else "red")
        for label, text in figures:
            table.add_row(label, text)
        Console().print(table)


def choose_steps() -> Steps:
    """Return what fits where the output goes."""
    return RichSteps() if sys.stderr.isatty() and sys.stdout.isatty() else PlainSteps()
