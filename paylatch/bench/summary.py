"""A run's figures as a person reads them."""

from collections.abc import Iterator

from paylatch.bench.result import Result


def summary_of(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what was asked and what was found."""
    unlock = result.unlock_ms
    yield "phones", f"{result.phones:,} in {result.shards} process{'es' if result.shards > 1 else ''}"
    yield "round trips", f"{result.round_trips_per_s:,.0f} /s over {result.decisions:,}"
    yield "", f"{result.superseded:,} superseded on the way"
    yield "ceiling", f"{result.ceiling_per_s:,.0f} /s ({', '.join(f'{one:,.0f}' for one in result.ceilings_per_s)})"
    yield "ratio", f"{result.ratio:.3f} in time, {result.cpu_ratio:.3f} in processor time"
    yield "processor, µs each", ", ".join(f"{name} {us:,.0f}" for name, us in result.cpu_us.items())
    yield "", f"all {sum(result.cpu_us.values()):,.0f}, at the ceiling {result.ceiling_cpu_us:,.0f}"
    yield "stages, µs each", ", ".join(f"{name.replace('_', ' ')} {us:,.0f}" for name, us in result.stages_us.items())
    yield "unlock, idle", f"{unlock.idle}, of {unlock.payments_idle}"
    yield "unlock, during locks", f"{unlock.during_locks}, of {unlock.payments_during_locks}; {unlock.locks:,} locks"
    yield "connects", f"{result.connect_per_s:,.0f} /s"
    yield "memory", f"{result.rss_per_phone_bytes:,} bytes a phone, bridge {result.bridge_rss_mb:,.0f} MB"
    yield "state", f"{result.state_bytes} bytes"
    yield "database", result.database
    yield "machine", f"{result.machine['cores']} cores, {result.machine['processor']}"
    yield "wall clock", f"{result.wall_s:.1f} s"
    yield "lost", f"{result.lost}"
