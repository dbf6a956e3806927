"""A run's outcome as a person reads it on a terminal."""

from collections.abc import Iterator

from paylatch.fleet.result import Result, statistics_of

_SHOWN_FINDINGS = 10
_SHOWN = (
    "decisions",
    "decisions_per_s",
    "transitions",
    "connects_per_s",
    "reconnected_s",
    "right_again_s",
    "confirmed_again_s",
    "rss_per_phone_bytes",
    "lost",
)


_SHOWN_IF_ANY = ("skipped", "overtaken")


def summary_of(result: Result) -> Iterator[str]:
    """Yield the lines."""
    yield f"{result.scenario}: {result.figures['phones']:.0f} phones, {result.figures['wall_s']:.1f} s"
    for name in _SHOWN:
        if name in result.figures:
            yield f"  {name:<20} {result.figures[name]:,.10g}"
    for name in _SHOWN_IF_ANY:
        if result.figures[name]:
            yield f"  {name:<20} {result.figures[name]:,.10g}"
    for name, histogram in result.trends.items():
        known = statistics_of(histogram)
        values = ", ".join(f"{key} {known[key]:,.1f}" for key in ("p50", "p95", "p99", "max"))
        yield f"  {name:<20} {values}  ({known['count']:,.0f})"
    for kind in ("refusals", "failed", "pushed_back"):
        if counts := getattr(result, kind):
            yield f"  {kind:<20} {', '.join(f'{count} {name}' for name, count in counts.items())}"
    yield from _verdict(result)


def _verdict(result: Result) -> Iterator[str]:
    for judged in result.thresholds:
        measured = "not measured" if judged.value is None else f"{judged.value:,.10g}"
        yield f"{'ok  ' if judged.reached else 'FAIL'} {judged.threshold}  ({measured})"
    if result.stopped_by is not None:
        yield f"FAIL stopped: {result.stopped_by}"
    for finding in result.findings[:_SHOWN_FINDINGS]:
        yield f"FAIL {finding}"
    if len(result.findings) > _SHOWN_FINDINGS:
        yield f"FAIL {len(result.findings) - _SHOWN_FINDINGS} more phones are not right"
    if not result.findings:
        yield "ok   every phone is as the decisions require, and has told the bridge so"
