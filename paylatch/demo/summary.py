"""A run's figures as a person reads them."""

from collections.abc import Iterator

from paylatch.demo.result import Result

LEVELS = ("unlocked", "notice", "reminder", "restricted", "locked", "released", "none")
"""In the order in which they are shown."""


def summary_of(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what was asked and what was found."""
    yield "phones", f"{result.phones}, {result.decisions} decisions"
    yield "locked for arrears", f"{result.locked}"
    yield "opened by payment", f"{result.unlocked_by_payment}, in {result.unlock_ms}"
    yield (
        "paid while offline",
        f"{result.opened_after_offline_payment} opened, {result.reconnect_open_ms} after their reconnect",
    )
    yield "released", f"{result.released}"
    yield "factory resets", f"{result.resets}, {result.relocked_after_reset} locked again"
    yield "hostile messages", f"{result.hostile_sent}, {sum(result.hostile_refused.values())} refused by phones"
    yield "", ", ".join(f"{count} {name}" for name, count in result.hostile_refused.items())
    yield "phones they changed", f"{result.hostile_applied}"
    yield "broker killed", f"{result.broker_restarts} times"
    yield "wall clock", f"{result.wall_s:.1f} s"
    yield "violations", f"{len(result.violations)}"
