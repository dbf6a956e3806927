"""What a run of the benchmark has found, as the JSON file has it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from paylatch.latency import Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockMs:
    """From the lender's request to the open phone, in milliseconds."""

    idle: Latency
    """One after the other, on a bridge that has nothing else to do."""
    during_locks: Latency
    """While locks are queued."""
    payments_idle: int
    payments_during_locks: int
    """How many were measured."""
    locks: int
    """How many were queued meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The figures of one run. The fields are the keys of the JSON file; docs/benchmarks.md says what each means."""

    phones: int
    decisions: int
    round_trips_per_s: float
    ceiling_per_s: float
    ratio: float
    stages_us: Mapping[str, float]
    unlock_ms: UnlockMs
    connect_per_s: float
    rss_per_phone_bytes: int
    bridge_rss_mb: float
    lost: int

    superseded: int
    seconds: float
    cpu_us: Mapping[str, float]
    ceiling_cpu_us: float
    cpu_ratio: float
    ceilings_per_s: tuple[float, ...]
    state_bytes: int
    rss_per_phone_after_bytes: int
    shards: int
    database: str
    machine: Mapping[str, Any]
    wall_s: float
    faults: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as what a JSON file holds."""
        return asdict(self)
