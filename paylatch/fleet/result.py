"""What a run has shown: the figures of its JSON and CSV files, its report and its thresholds."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import IO, Any

from paylatch.fleet.audit import Finding
from paylatch.fleet.histogram import Histogram
from paylatch.fleet.metrics import PERCENTILES
from paylatch.fleet.tally import Mark, Sample
from paylatch.fleet.thresholds import Threshold

SHOWN_FINDINGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A threshold, and what was measured."""

    threshold: Threshold
    value: float | None
    """None for nothing measured."""

    @property
    def reached(self) -> bool:
        """Whether it was within the limit."""
        return self.threshold.is_reached(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run."""

    scenario: str
    about: str
    began: datetime
    parameters: Mapping[str, Any]
    environment: Mapping[str, Any]
    figures: Mapping[str, float]
    """By the names of `metrics.FIGURES`; without those that were not measured."""
    trends: Mapping[str, Histogram]
    """By the names of `metrics.TRENDS`; without those of which nothing was measured."""
    refusals: Mapping[str, int]
    """Messages that phones have refused, by the refusal's name."""
    failed: Mapping[str, int]
    """Decisions that were not taken, by name."""
    pushed_back: Mapping[str, int]
    """Answers that told to come again later, by name."""
    thresholds: Sequence[Judged]
    samples: Sequence[Sample]
    marks: Sequence[Mark]
    findings: Sequence[Finding]
    stopped_by: str | None = None
    """Why it did not come to its end; what was measured until then counts."""
    interrupted: bool = False
    """Whether whoever runs it has wanted it to end there."""

    @property
    def is_right(self) -> bool:
        """Whether it came to its end, and every phone was as it has to be."""
        return not self.findings and self.stopped_by is None

    @property
    def is_fast(self) -> bool:
        """Whether all thresholds were reached."""
        return all(one.reached for one in self.thresholds)

    def to_json(self) -> dict[str, Any]:
        """Return it as what a JSON file holds."""
        return {
            "scenario": self.scenario,
            "about": self.about,
            "began": self.began.isoformat(),
            "stopped_by": self.stopped_by,
            "parameters": dict(self.parameters),
            "environment": dict(self.environment),
            "figures": dict(self.figures),
            "trends": {name: statistics_of(histogram) for name, histogram in self.trends.items()},
            "refusals": dict(self.refusals),
            "failed": dict(self.failed),
            "pushed_back": dict(self.pushed_back),
            "thresholds": [
                {"threshold": str(one.threshold), "value": one.value, "reached": one.reached} for one in self.thresholds
            ],
            "steps": [asdict(mark) for mark in self.marks],
            "samples": [asdict(sample) for sample in self.samples],
            "findings": [asdict(finding) for finding in self.findings[:SHOWN_FINDINGS]],
        }

    def write_csv(self, file: IO[str]) -> None:
        """Write what was there from moment to moment, one line for each."""
        names = [field.name for field in fields(Sample)]
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for sample in self.samples:
            values = (getattr(sample, name) for name in names)
            writer.writerow([f"{value:.3f}" if isinstance(value, float) else value for value in values])


def statistics_of(histogram: Histogram) -> dict[str, float]:
    """Return what is known of a trend, by the names of `metrics.STATISTICS`. It has one time at least."""
    percentiles = {name: histogram.percentile(percent) for name, percent in PERCENTILES.items()}
    known = {
        "count": histogram.count,
        "min": histogram.percentile(0),
        "mean": histogram.mean,
        **percentiles,
        "max": histogram.percentile(100),
    }
    return {name: round(value, 3) for name, value in known.items()}


def judge(
    thresholds: Sequence[Threshold], figures: Mapping[str, float], trends: Mapping[str, Histogram]
) -> list[Judged]:
    """Return each threshold with what was measured."""
    measured = dict(figures)
    for name, histogram in trends.items():
        measured |= {f"{name}.{statistic}": value for statistic, value in statistics_of(histogram).items()}
    return [Judged(threshold=one, value=measured.get(one.metric)) for one in thresholds]
