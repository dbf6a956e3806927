"""Scales of charts: where a value is drawn, and which values are written at the edge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NICE = (1, 2, 2.5, 5, 10)
_LOG_NICE = (1, 2, 5)
_MOST_DECADES_WITH_STEPS = 4
_FEWEST_TICKS = 3
_THOUSAND = 1000
_LONG_MS = 10_000
_WHOLE = 100
"""From here on nobody wants to read more digits."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to pixels.

    Args:
        low: the value at `start`.
        high: the value at `end`, above `low`.
        start: in pixels.
        end: in pixels; an axis that points upwards ends above where it starts.
        log: whether equal ratios are equal lengths; then `low` is above 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value is."""
        low, high, value = (
            (math.log(one) for one in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self, about: int) -> list[float]:
        """Return about so many round values on the axis."""
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high, about)


def from_zero(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis from 0 that has room for all of these values, and ends at a round one."""
    most = max(values, default=0.0) or 1.0
    step = _step(most / 4)
    return Axis(0.0, math.ceil(most / step - 1e-9) * step, start, end)


def decades(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis of ratios, from one power of ten to another, that has room for all of these values above 0."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return Axis(10.0**low, 10.0 ** max(high, low + 1), start, end, log=True)


def told_ms(value: float) -> str:
    """Return milliseconds with their unit; long times in seconds."""
    return f"{written(value)} ms" if value < _LONG_MS else f"{written(value / _THOUSAND)} s"


def written(value: float) -> str:
    """Return a number as it is written at an axis or in a table."""
    if value and abs(value) < 1:
        return f"{value:.2g}"
    if abs(value) >= _WHOLE:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ticks(low: float, high: float, about: int) -> list[float]:
    step = _step((high - low) / max(about, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _step(least: float) -> float:
    """Return the least round number that is not below this."""
    magnitude = 10.0 ** math.floor(math.log10(least))
    return next(nice * magnitude for nice in _NICE if nice * magnitude >= least * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))

    def within(steps: Sequence[int]) -> list[float]:
        values = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
        return [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]

    ticks = within(_LOG_NICE if last - first <= _MOST_DECADES_WITH_STEPS else (1,))
    return ticks if len(ticks) >= _FEWEST_TICKS else within(range(1, 10))
