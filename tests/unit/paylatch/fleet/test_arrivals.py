"""When things happen, by a clock that jumps."""

import asyncio
import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paylatch.fleet.arrivals import MOST_UNDER_WAY, Arrivals, keep_time
from tests.loopback.virtual_time import VirtualTimeLoop
from tests.unit.paylatch.fleet.dice import dice


def times(arrivals: Arrivals, count: int, seed: int = 0) -> list[float]:
    return list(arrivals.times(count, dice(seed)))


def begun(offsets: Sequence[float], *, takes_s: float = 0.0) -> tuple[list[float], list[float]]:
    """Keep time on a virtual clock; return when each was due and when it began, and let each take a while."""
    loop = VirtualTimeLoop()
    due, began = [], []

    async def act(due_ns: int) -> None:
        due.append(due_ns / 1e9)
        began.append(loop.time())
        await asyncio.sleep(takes_s)

    try:
        loop.run(keep_time(offsets, act, asyncio.Event()))
    finally:
        loop.close()
    return due, began


def test_without_a_ramp_they_are_evenly_spaced() -> None:
    assert times(Arrivals(rate=4), 4) == pytest.approx([0.125, 0.375, 0.625, 0.875])


@pytest.mark.parametrize(
    ("rate", "ramp_s", "duration_s", "count"),
    [(10, 0, 3, 30), (10, 2, 3, 20), (10, 4, 2, 5), (0.5, 0, 3, 1), (7, 0, 0, 0), (3, 0, 1 / 3, 1), (100, 10, 10, 500)],
)
def test_so_many_are_due_within_a_time(rate: float, ramp_s: float, duration_s: float, count: int) -> None:
    arrivals = Arrivals(rate=rate, ramp_s=ramp_s)
    assert arrivals.count(duration_s) == count
    assert all(at <= duration_s for at in times(arrivals, count))


def test_in_a_ramp_the_rate_rises_in_a_straight_line() -> None:
    arrivals = Arrivals(rate=100, ramp_s=10)
    due = times(arrivals, arrivals.count(10))
    by_second = [sum(second <= at < second + 1 for at in due) for second in range(10)]
    assert by_second == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]


def test_all_at_once_means_now() -> None:
    assert times(Arrivals(rate=math.inf, jitter=1.0), 3) == [0, 0, 0]


@given(
    rate=st.floats(0.1, 1000),
    ramp_s=st.floats(0, 60),
    jitter=st.floats(0, 1),
    count=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
def test_jitter_changes_neither_how_many_there_are_nor_their_order(
    rate: float, ramp_s: float, jitter: float, count: int, seed: int
) -> None:
    due = times(Arrivals(rate=rate, ramp_s=ramp_s, jitter=jitter), count, seed)
    even = times(Arrivals(rate=rate, ramp_s=ramp_s), count)
    assert len(due) == count
    assert due == sorted(due)
    # None leaves its own place, which ends where the next one's begins.
    assert all(before < after for before, after in pairwise([0.0, *even]))
    assert all(at >= before for at, before in zip(due[2:], even, strict=False))


def test_the_same_seed_makes_the_same_times() -> None:
    arrivals = Arrivals(rate=50, ramp_s=1, jitter=1.0)
    assert times(arrivals, 100, seed=3) == times(arrivals, 100, seed=3) != times(arrivals, 100, seed=4)


def test_what_is_due_begins_then_however_long_the_others_take() -> None:
    offsets = [0.5, 1.0, 1.5, 2.0]
    due, began = begun(offsets, takes_s=3600)
    assert due == pytest.approx(offsets)
    assert began == pytest.approx(offsets)


def test_only_so_many_are_under_way_and_the_wait_for_a_place_counts() -> None:
    due, began = begun([0.0] * (MOST_UNDER_WAY + 1), takes_s=60)
    assert (due[-1], began[-1]) == pytest.approx((0.0, 60.0))


def test_an_error_ends_all_of_it() -> None:
    async def fail(due_ns: int) -> None:
        raise RuntimeError(due_ns)

    loop = VirtualTimeLoop()
    with pytest.raises(ExceptionGroup):
        loop.run(keep_time([0.0], fail, asyncio.Event()))
    loop.close()


def test_nothing_is_begun_once_it_is_to_stop_and_what_is_under_way_is_finished() -> None:
    loop, stopping = VirtualTimeLoop(), asyncio.Event()
    begun, done = [], []

    async def act(due_ns: int) -> None:
        begun.append(due_ns / 1e9)
        await asyncio.sleep(5)
        done.append(loop.time())

    async def stop_in(seconds: float) -> None:
        await asyncio.sleep(seconds)
        stopping.set()

    async def both() -> None:
        await asyncio.gather(keep_time([1.0, 2.0, 60.0, 61.0], act, stopping), stop_in(2.5))

    try:
        start = loop.time()
        loop.run(both())
        assert [at - start for at in begun] == pytest.approx([1.0, 2.0])
        assert [at - start for at in done] == pytest.approx([6.0, 7.0])
    finally:
        loop.close()
