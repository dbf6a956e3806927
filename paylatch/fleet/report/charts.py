"""Charts as SVG that stands in the page itself. Colours are the style sheet's, for light and dark alike."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from paylatch.fleet.histogram import Histogram
from paylatch.fleet.report.axes import Axis, decades, from_zero, told_ms, written

WIDTH, HEIGHT = 920, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 28, 30, 46
_BINS_A_DECADE = 16
_LEAST_MS = 0.01
_LABEL = 34
"""What the numbers of several steps are wide, with the space between them and the next."""
_BAR = 26
_NAMES = 250
_MARKED = (50, 95, 99)
_CHARACTER = 8.0
"""What a character of a label is wide, on average, in the widest of the style sheet's fonts."""
_GAP = 10


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float | None]]
    """None where there is nothing: the line has a gap there."""
    filled: bool = False
    dots: bool = False
    """Whether it is told by dots: values that have nothing to do with the time between them."""
    scaled: bool = True
    """Whether the chart has to have room for all of it; else it is cut off where the others end."""


def line_chart(title: str, unit: str, series: Sequence[Series], marks: Sequence[float], *, log: bool = False) -> str:
    """Return values over time.

    Args:
        title: what it shows.
        unit: of the values.
        series: four at most.
        marks: seconds at which steps began; they are numbered from 1.
        log: whether equal ratios are equally high; then all values are above 0, and there is one at least.
    """
    times = [x for one in series for x, _ in one.points]
    values = [y for one in series if one.scaled for _, y in one.points if y is not None]
    x = Axis(0.0, max(times, default=1.0) or 1.0, _LEFT, WIDTH - _RIGHT)
    y = (decades if log else from_zero)(values, HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(x, y, "seconds since the first step", unit), *_marks(marks, x)]
    for number, one in enumerate(series, start=1):
        parts += _drawn(one, number, x, y)
    return _svg(title, HEIGHT, parts) + _legend(series)


def histogram_chart(title: str, number: int, histogram: Histogram) -> str:
    """Return how times are distributed, from the least to the most, on a scale of ratios.

    Args:
        title: what it shows.
        number: of its colour.
        histogram: of one time at least.
    """
    counts = _binned(histogram)
    low, high = min(counts) / _BINS_A_DECADE, (max(counts) + 1) / _BINS_A_DECADE
    x = Axis(10.0**low, 10.0**high, _LEFT, WIDTH - _RIGHT, log=True)
    y = from_zero(list(counts.values()), HEIGHT - _BOTTOM, _TOP)
    parts = _grid(x, y, "milliseconds, on a logarithmic scale", "times")
    parts += (_bar(bucket, count, number, x, y) for bucket, count in sorted(counts.items()))
    parts += _percentiles(histogram, x)
    return _svg(title, HEIGHT, parts)


def bar_chart(title: str, counts: Mapping[str, int]) -> str:
    """Return counts by name, the largest first.

    Args:
        title: what it shows.
        counts: of one name at least.
    """
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    x = from_zero([count for _, count in ordered], _NAMES, WIDTH - _RIGHT - 70)
    parts = []
    for row, (name, count) in enumerate(ordered):
        top = row * _BAR + 4
        width = max(x.at(count) - _NAMES, 1)
        parts.append(_text(_NAMES - 8, top + 14, name, anchor="end"))
        parts.append(f'<rect class="f1" x="{_NAMES}" y="{top}" width="{width:.1f}" height="{_BAR - 8}"/>')
        parts.append(_text(_NAMES + width + 6, top + 14, f"{count:,}"))
    return _svg(title, len(ordered) * _BAR + 8, parts)


# --- parts ---


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    label = escape(title, quote=True)
    drawn = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return f'<div class="scroll">{drawn}</div>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    extra = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(text)}</text>'


def _grid(x: Axis, y: Axis, x_title: str, y_title: str) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    parts = [f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{WIDTH - _RIGHT}" y2="{bottom}"/>']
    for value in y.ticks(4):
        at = y.at(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{WIDTH - _RIGHT}" y2="{at:.1f}"/>')
        parts.append(_text(_LEFT - 8, at + 4, written(value), anchor="end"))
    for value in x.ticks(10):
        at = x.at(value)
        parts.append(f'<line class="axis" x1="{at:.1f}" y1="{bottom}" x2="{at:.1f}" y2="{bottom + 5}"/>')
        parts.append(_text(at, bottom + 18, written(value), anchor="middle"))
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 8, x_title, anchor="middle", kind="title"))
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text class="title" transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    return parts


def _marks(marks: Sequence[float], x: Axis) -> Iterator[str]:
    """Yield where steps begin, numbered; those that stand too close for a number each share one: `2-4`."""
    groups: list[tuple[float, list[int]]] = []
    for number, at_s in enumerate(marks, start=1):
        at = x.at(min(at_s, x.high))
        yield f'<line class="mark" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{HEIGHT - _BOTTOM}"/>'
        if groups and at < groups[-1][0] + _LABEL:
            groups[-1][1].append(number)
        else:
            groups.append((at, [number]))
    for at, (first, *others) in groups:
        label = f"{first}-{others[-1]}" if others else f"{first}"
        yield _text(at, _TOP - 8, label, anchor="middle", kind="mark")


def _drawn(series: Series, number: int, x: Axis, y: Axis) -> Iterator[str]:
    for run in _runs(series.points):
        pixels = [(x.at(at), y.at(min(value, y.high))) for at, value in run]
        if series.dots:
            yield from (f'<circle class="f{number}" cx="{left:.1f}" cy="{top:.1f}" r="2.2"/>' for left, top in pixels)
            continue
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in pixels)
        if series.filled:
            first, last, bottom = pixels[0][0], pixels[-1][0], y.at(0)
            yield f'<polygon class="area f{number}" points="{first:.1f},{bottom:.1f} {path} {last:.1f},{bottom:.1f}"/>'
        yield f'<polyline class="line s{number}" points="{path}"/>'


def _runs(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches of points between gaps."""
    run: list[tuple[float, float]] = []
    for at, value in points:
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _legend(series: Sequence[Series]) -> str:
    items = (f'<span><i class="b{n}"></i>{escape(one.name)}</span>' for n, one in enumerate(series, start=1))
    return f'<p class="legend">{"".join(items)}</p>'


def _binned(histogram: Histogram) -> Counter[int]:
    """Return how many times there are in each of the bins of equal ratio, which are numbered by their exponents."""
    counts: Counter[int] = Counter()
    for start, end, count in histogram.buckets():
        counts[math.floor(math.log10(max((start + end) / 2, _LEAST_MS)) * _BINS_A_DECADE)] += count
    return counts


def _bar(bucket: int, count: int, number: int, x: Axis, y: Axis) -> str:
    start, end = (10 ** ((bucket + n) / _BINS_A_DECADE) for n in (0, 1))
    left, right, top, bottom = x.at(start), x.at(end), y.at(count), y.at(0)
    told = f"{written(start)} to {written(end)} ms: {count:,}"
    return (
        f'<rect class="f{number}" x="{left:.1f}" y="{top:.1f}" width="{max(right - left - 1, 1):.1f}" '
        f'height="{bottom - top:.1f}"><title>{told}</title></rect>'
    )


def _percentiles(histogram: Histogram, x: Axis) -> Iterator[str]:
    """Yield the lines of the percentiles, and their labels beside one another above them."""
    values = {percent: histogram.percentile(percent) for percent in _MARKED}
    labels = [f"p{percent} {told_ms(value)}" for percent, value in values.items()]
    places = [x.at(min(max(value, x.low), x.high)) for value in values.values()]
    for at, middle, label in zip(places, _apart(places, labels), labels, strict=True):
        yield f'<line class="percentile" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{HEIGHT - _BOTTOM}"/>'
        yield _text(middle, _TOP - 10, label, anchor="middle", kind="percentile")


def _apart(places: Sequence[float], labels: Sequence[str]) -> list[float]:
    """Return where labels stand that are wanted at these places, so that none stands on another or out of the chart."""
    halves = [len(label) * _CHARACTER / 2 for label in labels]
    middles: list[float] = []
    for place, half in zip(places, halves, strict=True):
        free = middles[-1] + halves[len(middles) - 1] + _GAP if middles else 0.0
        middles.append(max(place, free + half))
    limit = float(WIDTH)
    for number in reversed(range(len(middles))):
        middles[number] = min(middles[number], limit - halves[number])
        limit = middles[number] - halves[number] - _GAP
    return middles
