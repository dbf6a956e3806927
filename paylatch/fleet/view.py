"""What a person sees of a run while it goes on: a table that changes on a terminal, plain lines elsewhere.

All of it goes to standard error; what was found goes to standard output, by the command.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from paylatch.fleet.tally import Sample
from paylatch.steps import Announcer, PlainSteps, QuietSteps

_PLAIN_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is shown at one moment."""

    sample: Sample
    phones: int
    decisions_per_s: float
    transitions_per_s: float


class View(Announcer, AbstractContextManager["View"], Protocol):
    """Shows one run. Leaving it gives the terminal back."""

    def moment(self, moment: Moment) -> None:
        """Show how it goes."""


class QuietView(QuietSteps):
    """Shows nothing."""

    def moment(self, moment: Moment) -> None:
        """Say nothing."""


class PlainView(PlainSteps):
    """Shows a line for each step, and one every other second on how it goes."""

    def __init__(self) -> None:
        super().__init__()
        self._told = time.monotonic()

    def moment(self, moment: Moment) -> None:
        """Show it if the last one is a while ago."""
        if time.monotonic() - self._told >= _PLAIN_EVERY_S:
            self._told = time.monotonic()
            self.step("  " + ", ".join(f"{label} {value}" for label, value in _cells(moment)))


class RichView(QuietView):
    """Shows the figures in place, under a list of the steps, on a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        """Show it under the steps before."""
        self._console.print(f"[dim]{time.monotonic() - self._start:6.1f} s[/dim]  {escape(text)}", highlight=False)

    def moment(self, moment: Moment) -> None:
        """Show it in place of the one before."""
        table = Table.grid(padding=(0, 2))
        labels, values = zip(*_cells(moment), strict=True)
        table.add_row(*(f"[dim]{label}[/dim]" for label in labels))
        table.add_row(*(f"[bold]{value}[/bold]" for value in values))
        self._live.update(table)


def choose_view(*, quiet: bool) -> View:
    """Return the view for where the output goes."""
    if quiet:
        return QuietView()
    return RichView() if sys.stderr.isatty() else PlainView()


def _cells(moment: Moment) -> Iterator[tuple[str, str]]:
    sample = moment.sample
    yield "connected", f"{sample.connected}/{moment.phones}"
    yield "decisions/s", f"{moment.decisions_per_s:.0f}"
    yield "transitions/s", f"{moment.transitions_per_s:.0f}"
    yield "unlock p50", _ms(sample.unlock_p50_ms)
    yield "p99", _ms(sample.unlock_p99_ms)
    yield "refusals", f"{sample.refusals}"
    yield "pushed back", f"{sample.pushed_back}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
