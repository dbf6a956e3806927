"""What a run has measured so far."""

import time
from collections import Counter
from dataclasses import dataclass, field

from paylatch.fleet.histogram import Histogram
from paylatch.fleet.metrics import TRENDS

MOST_SAMPLES = 1200
"""Of a run of any length: a longer one is looked at in longer steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment of a run."""

    at_s: float
    """Since the run began."""
    connected: int
    due: int
    """Decisions that had to be sent so far."""
    decisions: int
    """Taken so far."""
    transitions: int
    """Seen so far."""
    refusals: int
    """Messages refused by phones so far."""
    pushed_back: int
    unlock_p50_ms: float | None
    """Of the openings since the sample before."""
    unlock_p99_ms: float | None
    rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A step's beginning."""

    at_s: float
    text: str


@dataclass(slots=True)
class Tally:
    """Counts as a run goes on. What it counts was observed, never planned."""

    trends: dict[str, Histogram] = field(default_factory=lambda: {name: Histogram() for name in TRENDS})
    due: int = 0
    decisions: int = 0
    in_files: int = 0
    """Taken of files that are being worked off; counted among `decisions` in the end."""
    failed: Counter[str] = field(default_factory=Counter)
    """Decisions that were not taken, by the name of the problem."""
    pushed_back: Counter[str] = field(default_factory=Counter)
    """Answers that told to come again later, by name."""
    drawn: int = 0
    """Arrivals of steps that repeat: each asks for another phone."""
    skipped: int = 0
    """Those of them for which there was none."""
    overtaken: int = 0
    """Changes that were measured although nobody has seen them: they took longer."""
    transitions: int = 0
    resets: int = 0
    cuts: int = 0
    outages: int = 0
    first_connected_s: float = 0.0
    """How long all phones took to connect at first."""
    reconnected_s: list[float] = field(default_factory=list)
    right_again_s: list[float] = field(default_factory=list)
    confirmed_again_s: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    wall_s: float = 0.0
    """How long it took; known in the end."""
    _began: float = field(default_factory=time.monotonic)
    _every: int = 1
    _since: int = 0
    _recent: Histogram = field(default_factory=Histogram)
    """Openings since the last sample."""

    @property
    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def begin(self) -> None:
        """Count time from now on."""
        self._began = time.monotonic()

    def end(self) -> None:
        """Note how long it took."""
        self.wall_s = self.now_s

    def measure(self, trend: str, ns: int) -> None:
        """Count a time in nanoseconds."""
        self.trends[trend].add(ns)
        if trend == "unlock_ms":
            self._recent.add(ns)

    def overtake(self, trend: str, ns: int) -> None:
        """Count a change that nobody has seen and that is not waited for any more, by what it took at least."""
        self.overtaken += 1
        self.measure(trend, ns)

    def mark(self, text: str) -> None:
        """Note what begins now."""
        self.marks.append(Mark(at_s=self.now_s, text=text))

    def sample(self, *, connected: int, refusals: int, rss_bytes: int) -> Sample:
        """Note what there is now, and return it."""
        recent = self._recent
        one = Sample(
            at_s=self.now_s,
            connected=connected,
            due=self.due,
            decisions=self.decisions + self.in_files,
            transitions=self.transitions,
            refusals=refusals,
            pushed_back=self.pushed_back.total(),
            unlock_p50_ms=recent.percentile(50) if recent.count else None,
            unlock_p99_ms=recent.percentile(99) if recent.count else None,
            rss_bytes=rss_bytes,
        )
        self._since += 1
        if self._since >= self._every:
            self._keep(one)
        return one

    def sample_last(self, *, connected: int, refusals: int, rss_bytes: int) -> None:
        """Note what there is in the end, whenever the moment before it was."""
        self._since = self._every
        self.sample(connected=connected, refusals=refusals, rss_bytes=rss_bytes)

    def _keep(self, one: Sample) -> None:
        self._since, self._recent = 0, Histogram()
        self.samples.append(one)
        if len(self.samples) > MOST_SAMPLES:
            # Counts run on, so leaving out every other moment loses detail and nothing else.
            self.samples = self.samples[::2]
            self._every *= 2
