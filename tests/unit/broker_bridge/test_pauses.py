"""Pauses between tries grow, and are never longer than the longest."""

from itertools import islice

from broker_bridge.app.pauses import pauses


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    assert list(islice(pauses(1, 60), 8)) == [1, 2, 4, 8, 16, 32, 60, 60]
