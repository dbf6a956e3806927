"""Pauses between tries of what fails by nobody's fault, and passes."""

from collections.abc import Iterator


def pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield pauses without end: each twice as long as the one before, up to the longest."""
    pause = first_s
    while True:
        yield pause
        pause = min(2 * pause, longest_s)
