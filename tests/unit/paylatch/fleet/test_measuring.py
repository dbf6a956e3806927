"""Percentiles, and the thresholds over them."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paylatch.fleet.histogram import Histogram
from paylatch.fleet.metrics import FIGURES, STATISTICS, TRENDS
from paylatch.fleet.result import judge, statistics_of
from paylatch.fleet.run import busy_rate
from paylatch.fleet.tally import MOST_SAMPLES, Tally
from paylatch.fleet.thresholds import Threshold, threshold_of

MS = 1_000_000


def histogram_of(*ms: float) -> Histogram:
    histogram = Histogram()
    for one in ms:
        histogram.add(round(one * MS))
    return histogram


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    histogram = histogram_of(*(n / 10 for n in range(1, 101)))
    found = [histogram.percentile(percent) for percent in (0, 1, 50, 90, 99, 99.1, 100)]
    assert found == pytest.approx([0.1, 0.1, 5.0, 9.0, 9.9, 10.0, 10.0], rel=0.005)
    assert histogram.mean == pytest.approx(5.05)


@given(st.lists(st.integers(0, 10**13), min_size=1), st.floats(0, 100))
def test_a_percentile_is_half_a_percent_off_at_most(times_ns: list[int], percent: float) -> None:
    histogram = Histogram()
    for one in times_ns:
        histogram.add(one)
    ordered = sorted(one // 1000 for one in times_ns)
    exact_ms = ordered[max(math.ceil(len(ordered) * percent / 100 - 1e-9), 1) - 1] / 1000
    assert histogram.percentile(percent) == pytest.approx(exact_ms, rel=0.005)
    assert sum(count for _, _, count in histogram.buckets()) == histogram.count == len(times_ns)


@given(st.integers(0, 10**13))
def test_a_time_is_in_the_bucket_that_holds_it(ns: int) -> None:
    ((start, end, _),) = histogram_of(ns / MS).buckets()
    us = round(ns / MS * MS) // 1000
    assert start * 1000 - 1e-6 <= us < end * 1000 + 1e-6


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="of nothing"):
        Histogram().percentile(50)


@pytest.mark.parametrize(
    ("text", "below", "at", "above"),
    [
        ("unlock_ms.p99<250", True, False, False),
        ("unlock_ms.p99 <= 250", True, True, False),
        ("decisions>250", False, False, True),
        ("decisions >=250", False, True, True),
        ("lost == 250", False, True, False),
    ],
)
def test_a_threshold_compares_as_it_is_written(text: str, below: bool, at: bool, above: bool) -> None:  # noqa: FBT001
    threshold = threshold_of(text)
    assert [threshold.is_reached(value) for value in (249.9, 250.0, 250.1)] == [below, at, above]


def test_a_threshold_over_what_was_not_measured_is_not_reached() -> None:
    trends = {"unlock_ms": histogram_of(3.0)}
    thresholds = [threshold_of(text) for text in ("unlock_ms.p99<5", "lock_ms.p99<5", "right_again_s<5", "lost==0")]
    judged = judge(thresholds, {"lost": 0.0}, trends)
    assert [(one.value, one.reached) for one in judged] == [(3.0, True), (None, False), (None, False), (0.0, True)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("unlock_ms.p99", "is no threshold"),
        ("unlock_ms.p99<fast", "is no threshold"),
        ("unlock_ms.p99!=3", "is no threshold"),
        ("unlock_ms<3", "needs one of its statistics"),
        ("unlock_ms.p98<3", "needs one of its statistics"),
        ("unlocks.p99<3", "is not measured"),
        ("lost.p99<3", "is not measured"),
    ],
)
def test_what_is_no_threshold_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        threshold_of(text)


@pytest.mark.parametrize("metric", [*FIGURES, *(f"{trend}.{one}" for trend in TRENDS for one in STATISTICS)])
def test_whatever_is_measured_can_have_a_threshold(metric: str) -> None:
    assert threshold_of(f"{metric}<1.5") == Threshold(metric, "<", 1.5)


def test_all_statistics_of_a_trend_are_told() -> None:
    assert tuple(statistics_of(histogram_of(1.0))) == STATISTICS


def test_a_long_run_is_looked_at_in_longer_steps() -> None:
    tally = Tally()
    for number in range(10 * MOST_SAMPLES):
        tally.decisions = number
        tally.measure("unlock_ms", MS)
        tally.sample(connected=1, refusals=0, rss_bytes=0)
    assert MOST_SAMPLES / 2 <= len(tally.samples) <= MOST_SAMPLES
    decisions = [sample.decisions for sample in tally.samples]
    assert decisions == sorted(decisions)
    assert len({after - before for before, after in pairwise(decisions)}) == 1
    assert all(sample.unlock_p50_ms == 1.0 for sample in tally.samples)


def sampled(*decisions: int) -> Tally:
    """A run that was looked at every second."""
    tally = Tally()
    for number, count in enumerate(decisions):
        tally.decisions = count
        taken = tally.sample(connected=1, refusals=0, rss_bytes=0)
        tally.samples[-1] = replace(taken, at_s=float(number))
    return tally


def test_a_rate_counts_the_time_in_which_everything_stood_still_but_none_before_and_after() -> None:
    assert busy_rate(sampled(0, 0, 40, 40, 40, 80, 80, 80).samples, "decisions") == 20
    assert busy_rate(sampled(5, 5).samples, "decisions") is None
    assert busy_rate([], "decisions") is None


def test_the_end_is_in_the_samples_however_long_their_steps_are() -> None:
    tally = sampled(*range(MOST_SAMPLES + 2))
    tally.decisions = 5 * MOST_SAMPLES
    tally.sample_last(connected=1, refusals=0, rss_bytes=0)
    assert tally.samples[-1].decisions == 5 * MOST_SAMPLES
