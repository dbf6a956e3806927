"""How long phones take to open, and how that is told.

One clock measures: whoever pays and the phones read the machine's CLOCK_MONOTONIC, which all its processes share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from device_sim.fleet.control_messages import TransitionDump
from lock_protocol.levels import Level

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of a set of measurements, in milliseconds; None where nothing was measured."""

    p50: float | None
    p99: float | None
    max: float | None

    def __str__(self) -> str:
        if self.p50 is None:
            return "no measured time"
        return f"{self.p50:.1f} ms (p50), {self.p99:.1f} ms (p99), {self.max:.1f} ms (max)"

    @classmethod
    def of(cls, measured_ns: Sequence[int]) -> "Latency":
        """Return the nearest-rank percentiles of measurements in nanoseconds."""
        ordered = sorted(measured_ns)
        return cls(p50=_percentile(ordered, 50), p99=_percentile(ordered, 99), max=_percentile(ordered, 100))


def opened_at(changes: Sequence[TransitionDump], since: int) -> int | None:
    """Return when the phone came to be unlocked after `since`, if it did."""
    return next((change.at_ns for change in changes if change.at_ns >= since and change.level is Level.UNLOCKED), None)


def _percentile(ordered: Sequence[int], percent: int) -> float | None:
    if not ordered:
        return None
    rank = math.ceil(len(ordered) * percent / 100)
    return round(ordered[rank - 1] / _NS_PER_MS, 3)
