"""Which change is an opening, seen from what the phone said last."""

import pytest

from broker_bridge.domain.lanes import Lane, lane_of
from lock_protocol.levels import Level

LEVELS = list(Level)
U, N, R, X, L, GONE = LEVELS
OPENING, KEEPING, CLOSING = Lane


@pytest.mark.parametrize("reported", [None, U, N, R, X, L])
def test_a_release_is_an_opening_until_the_phone_has_proven_it(reported: Level | None) -> None:
    assert lane_of(GONE, reported) is OPENING


@pytest.mark.parametrize(("level", "lane"), [(U, OPENING), (N, OPENING), (R, CLOSING), (X, CLOSING), (L, CLOSING)])
def test_of_a_phone_that_has_said_nothing_open_levels_are_openings(level: Level, lane: Lane) -> None:
    assert lane_of(level, None) is lane


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_that_the_phone_is_at_is_kept(level: Level) -> None:
    assert lane_of(level, level) is KEEPING


@pytest.mark.parametrize(("level", "reported"), [(low, high) for low in LEVELS for high in LEVELS if low < high < GONE])
def test_downwards_is_an_opening_and_upwards_a_closing(level: Level, reported: Level) -> None:
    assert lane_of(level, reported) is OPENING
    assert lane_of(reported, level) is CLOSING


def test_openings_come_first_and_closings_last() -> None:
    assert sorted(Lane) == [OPENING, KEEPING, CLOSING]
