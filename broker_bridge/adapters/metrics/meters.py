"""What has to be told as it happens: durations and outcomes."""

from collections import Counter as Tally
from collections.abc import Sequence
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from broker_bridge.adapters.metrics.unlock_clock import UnlockClock
from broker_bridge.app.ports.metrics import Commit, Way
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import Decision

UNLOCK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
COMMIT_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
JOBS_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Meters:
    """Counters and histograms, in a registry of their own. No label holds a lender or a phone: there are too many."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        """Register everything."""
        unlock = _histogram(
            registry,
            "paylatch_unlock_seconds",
            "From the acceptance of an opening decision to the phone's proven report.",
            UNLOCK_BUCKETS,
        )
        self.unlock_clock = UnlockClock(clock, unlock.observe)
        self._decisions = Counter(
            "paylatch_decisions", "Decisions by way, type and effect.", ("way", "type", "effect"), registry=registry
        )
        self._counted = cache(self._decisions.labels)  # looking a counter up takes several times as long as counting
        self._commands = Counter(
            "paylatch_commands", "Commands by the status that they have come to.", ("status",), registry=registry
        )
        for status in Status:
            self._commands.labels(status.value)
        self._requests = Counter(
            "paylatch_http_requests",
            "HTTP requests by method, route template and status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request = _histogram(
            registry,
            "paylatch_http_request_seconds",
            "From a request's headers to the end of its answer.",
            REQUEST_BUCKETS,
            ("method", "route"),
        )
        self._commit = _histogram(
            registry, "paylatch_commit_seconds", "How long a commit took, its jobs included.", COMMIT_BUCKETS
        )
        self._asked = _histogram(
            registry, "paylatch_database_seconds", "How long a question or a small write took.", COMMIT_BUCKETS
        )
        self._jobs = _histogram(registry, "paylatch_commit_jobs", "How many jobs shared a commit.", JOBS_BUCKETS)
        self._failures = Counter(
            "paylatch_commit_failures", "Commits that the database did not take.", registry=registry
        )

    def decided(self, way: Way, decision: Decision, effect: str) -> None:
        """Count a decision by what it did: its effect, or `REPEATED`, or `REFUSED`."""
        self._counted(way, decision.type, effect).inc()

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request that has been answered, and time it."""
        self._requests.labels(method, route, str(status)).inc()
        self._request.labels(method, route).observe(duration_s)

    def asked(self, duration_s: float) -> None:
        """Time a question to the database, or a small write."""
        self._asked.observe(duration_s)

    def committed(self, commit: Commit) -> None:
        """Take note of a commit."""
        if commit.failed:
            self._failures.inc()
            return
        self._commit.observe(commit.duration_s)
        self._jobs.observe(commit.jobs)
        for status, count in Tally(command.status for command in commit.moved).items():
            self._commands.labels(status.value).inc(count)
        self.unlock_clock.follow(commit.moved)


def _histogram(
    registry: CollectorRegistry, name: str, documentation: str, buckets: Sequence[float], labels: Sequence[str] = ()
) -> Histogram:
    return Histogram(name, documentation, labels, buckets=buckets, registry=registry)
