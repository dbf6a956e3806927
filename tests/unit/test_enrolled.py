"""The arithmetic of comparing many enrolled phones with few."""

from itertools import pairwise

import pytest

from benchmarks.enrolled import connected_of


@pytest.mark.parametrize(("phones", "connected"), [(10, 10), (1_000_000, 10_000), (10, 3), (7, 1)])
def test_those_that_connect_are_spread_over_all_that_are_enrolled(phones: int, connected: int) -> None:
    chosen = connected_of(phones, connected)
    gaps = {after - before for before, after in pairwise([*chosen, phones])}
    assert (len(chosen), chosen[0]) == (connected, 0)
    assert max(gaps) - min(gaps) <= 1
