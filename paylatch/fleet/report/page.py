"""The report's page: what was asked, whether it was reached, and what was measured."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from paylatch.fleet.metrics import FIGURES, STATISTICS, TRENDS
from paylatch.fleet.report.axes import told_ms, written
from paylatch.fleet.report.charts import Series, bar_chart, histogram_chart, line_chart
from paylatch.fleet.result import Result, statistics_of
from paylatch.fleet.tally import Sample

_TITLES: Mapping[str, str] = {
    "unlock_ms": "Openings",
    "lock_ms": "Locks and other restrictions",
    "back_ms": "Phones that were away",
    "reset_ms": "Factory resets",
    "answer_ms": "The bridge's answers",
    "late_ms": "The generator's own lateness",
}
_COLOURS = {"unlock_ms": 3, "lock_ms": 2, "back_ms": 4, "reset_ms": 4, "answer_ms": 1, "late_ms": 1}
_MIB = 1024 * 1024
_SHOWN_FINDINGS = 20


def page(result: Result) -> str:
    """Return the report as one HTML page that needs nothing else."""
    style = (files("paylatch.fleet.report") / "style.css").read_text(encoding="utf-8")
    title = escape(f"{result.scenario}, {result.began:%Y-%m-%d %H:%M} UTC")
    body = "\n".join(part for section in _SECTIONS for part in section(result))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


# --- at the top ---


def _heading(result: Result) -> Iterator[str]:
    yield f"<h1>{escape(result.scenario)}</h1>"
    yield f"<p>{escape(result.about)}</p>"
    yield f'<p class="faint">Began {result.began:%Y-%m-%d %H:%M:%S} UTC</p>'
    kind, text = _verdict(result)
    told = f"<p>It was stopped: {escape(result.stopped_by)}</p>" if result.stopped_by else ""
    yield f'<div class="verdict {kind}">{text}{told}</div>'


def _verdict(result: Result) -> tuple[str, str]:
    missed = sum(not one.reached for one in result.thresholds)
    if lost := sum(finding.lost for finding in result.findings):
        return "bad", f"✗ Phones that were not as the decisions require: {lost}"
    if result.findings:
        return "bad", f"✗ Every phone was right, but the bridge had not the word of {len(result.findings)}"
    if result.stopped_by:
        return "bad", "✗ It did not come to its end; every phone was right in the end"
    if missed:
        return "bad", f"✗ Every phone was right, but {missed} of {len(result.thresholds)} thresholds were not reached"
    return "good", "✓ Every phone was right, and every threshold reached"


def _tiles(result: Result) -> Iterator[str]:
    figures = result.figures
    tiles = [
        ("phones", written(figures["phones"])),
        ("decisions", written(figures["decisions"])),
    ]
    if "decisions_per_s" in figures:
        tiles.append(("decisions a second", written(figures["decisions_per_s"])))
    for trend, label in (("unlock_ms", "to open"), ("lock_ms", "to lock"), ("reset_ms", "back after a reset")):
        if trend in result.trends:
            known = statistics_of(result.trends[trend])
            tiles.append((f"{label} (p99); half of them within {told_ms(known['p50'])}", told_ms(known["p99"])))
    if "right_again_s" in figures:
        tiles.append(("until all were right again after the broker's death", f"{written(figures['right_again_s'])} s"))
    tiles.append(("phones lost", written(figures["lost"])))
    for name, label in (("skipped", "arrivals without a phone"), ("overtaken", "changes unseen when the next began")):
        if figures[name]:
            tiles.append((label, written(figures[name])))
    yield '<div class="tiles">'
    yield from (f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for label, value in tiles)
    yield "</div>"


def _thresholds(result: Result) -> Iterator[str]:
    if not result.thresholds:
        return
    rows = [
        (
            escape(str(one.threshold)),
            "nothing" if one.value is None else written(one.value),
            '<span class="good">✓ reached</span>' if one.reached else '<span class="bad">✗ not reached</span>',
        )
        for one in result.thresholds
    ]
    yield "<h2>Thresholds</h2>"
    yield _table(("threshold", "measured", "outcome"), rows, numbers={1})


# --- charts ---


def _latencies(result: Result) -> Iterator[str]:
    if not result.trends:
        return
    rows = []
    for name, histogram in result.trends.items():
        known = statistics_of(histogram)
        rows.append(
            (
                f'<abbr title="{escape(TRENDS[name], quote=True)}">{name}</abbr>',
                *(written(known[one]) for one in STATISTICS),
            )
        )
    yield "<h2>How long things took, in milliseconds</h2>"
    yield _table(("", *STATISTICS), rows, numbers=set(range(1, len(STATISTICS) + 1)))
    for name, histogram in result.trends.items():
        yield f"<h3>{_TITLES[name]} ({name})</h3>"
        yield f'<p class="faint">{escape(TRENDS[name])}</p>'
        yield histogram_chart(_TITLES[name], _COLOURS[name], histogram)


def _course(result: Result) -> Iterator[str]:
    samples, marks = result.samples, [mark.at_s for mark in result.marks]
    if len(samples) < len(("a line has", "two ends")):
        return
    yield "<h2>The course of it</h2>"
    yield _steps(result)
    yield "<h3>Throughput</h3>"
    rates = [
        Series("decisions due (cut off where the others end)", _rate(samples, "due"), scaled=False),
        Series("decisions taken", _rate(samples, "decisions")),
        Series("changes of level", _rate(samples, "transitions")),
    ]
    yield line_chart("Throughput", "per second", rates, marks)
    if any(sample.unlock_p50_ms is not None for sample in samples):
        yield "<h3>Openings, moment by moment</h3>"
        yield line_chart("Openings over time", "milliseconds", _openings(samples), marks, log=True)
    yield "<h3>Connections</h3>"
    connected = [(sample.at_s, float(sample.connected)) for sample in samples]
    yield line_chart("Connections", "phones", [Series("connected phones", connected, filled=True)], marks)
    yield "<h3>Memory of the phones' processes</h3>"
    memory = [(sample.at_s, sample.rss_bytes / _MIB) for sample in samples]
    yield line_chart("Memory", "MiB", [Series("resident", memory, filled=True)], marks)


def _steps(result: Result) -> str:
    rows = [(f"{number}", f"{mark.at_s:.1f} s", escape(mark.text)) for number, mark in enumerate(result.marks, start=1)]
    return _table(("", "began at", "step"), rows, numbers={1})


def _rate(samples: Sequence[Sample], what: str) -> list[tuple[float, float | None]]:
    """Return how many there were a second between each two moments."""
    return [
        (after.at_s, (getattr(after, what) - getattr(before, what)) / max(after.at_s - before.at_s, 1e-9))
        for before, after in itertools.pairwise(samples)
    ]


def _openings(samples: Sequence[Sample]) -> list[Series]:
    return [
        Series("p50", [(sample.at_s, sample.unlock_p50_ms) for sample in samples], dots=True),
        Series("p99", [(sample.at_s, sample.unlock_p99_ms) for sample in samples], dots=True),
    ]


def _refusals(result: Result) -> Iterator[str]:
    kinds = (
        ("Messages that phones refused, by name", result.refusals),
        ("Decisions that were not taken, by name", result.failed),
        ("Answers that told to come again later, by name", result.pushed_back),
    )
    yield "<h2>Refusals</h2>"
    for title, counts in kinds:
        yield f"<h3>{title}</h3>"
        yield bar_chart(title, counts) if counts else '<p class="faint">None.</p>'


# --- at the end ---


def _findings(result: Result) -> Iterator[str]:
    if not result.findings:
        return
    rows = [
        tuple(map(escape, (one.imei, one.required, one.shows, one.reported)))
        for one in result.findings[:_SHOWN_FINDINGS]
    ]
    yield f"<h2>Phones that were not right: {len(result.findings)}</h2>"
    yield _table(("IMEI", "has to be", "shows", "has told the bridge"), rows, numbers=set())
    if len(result.findings) > _SHOWN_FINDINGS:
        yield '<p class="faint">These are the first; the JSON file names more of them.</p>'


def _figures(result: Result) -> Iterator[str]:
    rows = [(name, written(value), escape(FIGURES[name])) for name, value in result.figures.items()]
    yield "<h2>All figures</h2>"
    yield _table(("figure", "value", "what it is"), rows, numbers={1})


def _circumstances(result: Result) -> Iterator[str]:
    yield "<h2>Parameters</h2>"
    yield _table(("parameter", "value"), _pairs(result.parameters), numbers=set())
    yield "<h2>Environment</h2>"
    yield _table(("", "value"), _pairs(result.environment), numbers=set())


def _pairs(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{escape(name)}.{inner}", told) for inner, told in _pairs(value))
        else:
            yield escape(name), escape(f"{value:g}" if isinstance(value, float) else str(value))


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: set[int]) -> str:
    """Return a table of cells that are HTML already; `numbers` are the columns that hold numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (' class="number"' if column in numbers else "" for column in range(len(cells)))
        return (
            "<tr>"
            + "".join(f"<{tag}{extra}>{cell}</{tag}>" for cell, extra in zip(cells, marked, strict=True))
            + "</tr>"
        )

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table><thead>{line(heading, "th")}</thead><tbody>{body}</tbody></table></div>'


_SECTIONS = (_heading, _tiles, _thresholds, _findings, _latencies, _course, _refusals, _figures, _circumstances)
