"""The report: what it has to hold, that it opens without a network, and that its charts are drawn where they belong."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from device_sim.identities import simulated_imei
from paylatch.fleet.audit import Finding
from paylatch.fleet.histogram import Histogram
from paylatch.fleet.metrics import TRENDS
from paylatch.fleet.report.axes import Axis, decades, from_zero, told_ms, written
from paylatch.fleet.report.charts import HEIGHT, WIDTH, Series, histogram_chart, line_chart
from paylatch.fleet.report.page import page
from paylatch.fleet.result import Judged, Result
from paylatch.fleet.summary import summary_of
from paylatch.fleet.tally import Mark, Sample
from paylatch.fleet.thresholds import threshold_of
from paylatch.machine import machine


def histogram_of(*ms: float) -> Histogram:
    histogram = Histogram()
    for one in ms:
        histogram.add(round(one * 1_000_000))
    return histogram


def sample(at_s: float) -> Sample:
    counts = round(at_s * 10)
    return Sample(
        at_s=at_s,
        connected=40,
        due=counts + 1,
        decisions=counts,
        transitions=counts,
        refusals=0,
        pushed_back=0,
        unlock_p50_ms=5.0 if at_s > 1 else None,
        unlock_p99_ms=50.0 if at_s > 1 else None,
        rss_bytes=50_000_000,
    )


FINDING = Finding(imei=simulated_imei(7), required="unlocked", shows="locked", reported="none", lost=True)
RESULT = Result(
    scenario="payday <&>",
    about="Locks & payments",
    began=datetime(2026, 11, 25, 18, 0, tzinfo=UTC),
    parameters={"phones": 40, "rate": 20.0, "network": {"connects_per_s": 1000.0}},
    environment=machine(),
    figures={
        "phones": 40,
        "decisions": 30,
        "lost": 0,
        "skipped": 0,
        "overtaken": 0,
        "wall_s": 3.0,
        "decisions_per_s": 10.0,
    },
    trends={"unlock_ms": histogram_of(*range(1, 101)), "answer_ms": histogram_of(3.0)},
    refusals={"WrongNonce": 3, "Rollback": 12},
    failed={},
    pushed_back={"503 busy": 4},
    thresholds=[
        Judged(threshold=threshold_of("unlock_ms.p99<250"), value=99.0),
        Judged(threshold=threshold_of("lock_ms.p50<3"), value=None),
    ],
    samples=[sample(at / 2) for at in range(7)],
    marks=[Mark(at_s=0.0, text="half of the book <falls> behind"), Mark(at_s=2.0, text="settle")],
    findings=[],
)


class Page(HTMLParser):
    """What a page refers to, its text, and whether its tags are closed in order."""

    _VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name in ("src", "href", "srcset", "action", "xlink:href")]
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_opens_without_a_network_and_runs_nothing() -> None:
    text = page(RESULT)
    shown = Page(text)
    assert shown.links == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(shown.tags)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\son[a-z]+=", text, re.IGNORECASE)


def test_it_holds_what_was_asked_and_what_was_found() -> None:
    text = Page(page(RESULT)).text
    expected = [
        *("payday <&>", "Locks & payments", "2026-11-25", "half of the book <falls> behind"),
        *("unlock_ms.p99 < 250", "reached", "lock_ms.p50 < 3", "nothing", "not reached"),
        *("p50 50", "p95 95", "p99 9", "WrongNonce", "Rollback", "503 busy"),
        *("network.connects_per_s", "1000", "cores", "python", "seconds since the first step", "per second", "MiB"),
    ]
    assert [one for one in expected if one not in text] == []


def test_it_looks_right_in_light_and_dark() -> None:
    text = page(RESULT)
    assert "prefers-color-scheme: dark" in text
    # Colours are the style sheet's alone, or one of the two would be unreadable.
    assert not re.search(r'(fill|stroke|color|style)="', text.partition("</style>")[2])


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"thresholds": RESULT.thresholds[:1]}, "✓ Every phone was right, and every threshold reached"),
        ({}, "✗ Every phone was right, but 1 of 2 thresholds were not reached"),
        ({"findings": [FINDING] * 21}, "✗ Phones that were not as the decisions require: 21"),
        ({"findings": [replace(FINDING, lost=False)]}, "✗ Every phone was right, but the bridge had not the word of 1"),
        ({"stopped_by": "it <stopped>"}, "✗ It did not come to its end; every phone was right in the end"),
    ],
)
def test_its_verdict_is_the_exit_codes(changes: dict[str, object], verdict: str) -> None:
    text = Page(page(replace(RESULT, **changes))).text  # type: ignore[arg-type]  # fields of Result
    assert verdict in text
    assert ("it <stopped>" in text) is ("stopped_by" in changes)
    assert (FINDING.imei in text) is ("findings" in changes)


def test_a_run_of_which_nothing_was_measured_can_be_told() -> None:
    nothing = replace(RESULT, trends={}, samples=[], marks=[], refusals={}, pushed_back={}, thresholds=[])
    assert "None." in Page(page(nothing)).text


def test_a_rate_that_was_not_measured_is_no_tile() -> None:
    without = {name: value for name, value in RESULT.figures.items() if name != "decisions_per_s"}
    assert "decisions a second" not in page(replace(RESULT, figures=without))
    assert "decisions a second" in page(RESULT)


def test_arrivals_without_a_phone_and_changes_that_nobody_saw_are_shown_where_there_are_any() -> None:
    found = replace(RESULT, figures={**RESULT.figures, "skipped": 7, "overtaken": 3})
    told = ["arrivals without a phone", "changes unseen when the next began"]
    assert [one in page(found) for one in told] == [True, True]
    assert [one in page(RESULT) for one in told] == [False, False]
    lines = [line.split()[:2] for line in summary_of(found)]
    assert [["skipped", "7"] in lines, ["overtaken", "3"] in lines] == [True, True]
    assert not any("skipped" in line or "overtaken" in line for line in summary_of(RESULT))


@pytest.mark.parametrize("trend", TRENDS)
def test_every_trend_has_a_chart(trend: str) -> None:
    assert f"({trend})" in Page(page(replace(RESULT, trends={trend: histogram_of(1.0)}))).text


@pytest.mark.parametrize(
    "chart",
    [
        line_chart("t", "u", [Series("a", [(0, 1.0), (1, None), (2, 3.0), (3, 4.0)], filled=True)], [0.0, 1.0, 9.0]),
        line_chart("t", "u", [Series("a", [(0, 0.2), (5, 90_000.0)], dots=True)], [], log=True),
        line_chart("t", "u", [Series("a", [(0, 0.0), (1, 0.0)])], [0.0]),
        line_chart("t", "u", [Series("a", [(0, 1.0), (1, 2.0)]), Series("b", [(0, 9e9)], scaled=False)], []),
        histogram_chart("t", 1, histogram_of(20_000, 20_001, 22_000)),
        histogram_chart("t", 1, histogram_of(0, 0)),
        histogram_chart("t", 1, histogram_of(5.0)),
    ],
)
def test_everything_is_drawn_inside_of_its_chart(chart: str) -> None:
    svg = ET.fromstring(chart.partition("<p class")[0])  # noqa: S314 - made here
    for shape in svg.iter():
        across = [float(shape.get(name, 0)) for name in ("x", "x1", "x2", "cx")]
        down = [float(shape.get(name, 0)) for name in ("y", "y1", "y2", "cy")]
        for pair in shape.get("points", "").split():
            left, top = map(float, pair.split(","))
            across.append(left)
            down.append(top)
        assert all(0 <= one <= WIDTH for one in across)
        assert all(0 <= one <= HEIGHT for one in down)


def test_labels_of_percentiles_do_not_stand_on_one_another() -> None:
    svg = ET.fromstring(histogram_chart("t", 1, histogram_of(*range(20_000, 20_100))))  # noqa: S314 - made here
    labels = [one for one in svg.iter("text") if one.get("class") == "percentile"]
    ends = [(float(one.get("x", 0)), len(one.text or "") * 7) for one in labels]
    assert len(ends) == 3
    for (before, width), (after, next_width) in pairwise(ends):
        assert after - before >= (width + next_width) / 2


def test_ticks_are_round_numbers_within_the_axis() -> None:
    assert from_zero([87.0], 0, 100).ticks(4) == [0, 25, 50, 75, 100]
    assert Axis(0, 53.8, 0, 100).ticks(10) == [0, 10, 20, 30, 40, 50]
    assert Axis(3.0, 700.0, 0, 100, log=True).ticks(0) == pytest.approx([5, 10, 20, 50, 100, 200, 500])
    assert Axis(320.0, 750.0, 0, 100, log=True).ticks(0) == [400, 500, 600, 700]
    assert (decades([3.0, 700.0], 0, 1).low, decades([3.0, 700.0], 0, 1).high) == (1.0, 1000.0)


def test_numbers_are_written_as_people_read_them() -> None:
    assert [written(one) for one in (0, 0.123, 5, 12.34, 999.9, 12345.6)] == [
        "0",
        "0.12",
        "5",
        "12.3",
        "1,000",
        "12,346",
    ]
    assert [told_ms(one) for one in (3.21, 9_999, 22_904.8)] == ["3.21 ms", "9,999 ms", "22.9 s"]


def test_steps_that_begin_together_share_a_number() -> None:
    counted = Series("counted", [(0.0, 1.0), (10.0, 2.0)])
    svg = ET.fromstring(line_chart("t", "u", [counted], [0.0, 0.0, 0.1, 5.0, 10.0]).partition("<p class")[0])  # noqa: S314 - made here
    assert [one.text for one in svg.iter("text") if one.get("class") == "mark"] == ["1-3", "4", "5"]
    assert len([one for one in svg.iter("line") if one.get("class") == "mark"]) == 5
