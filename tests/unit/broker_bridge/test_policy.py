"""Which state of a loan asks for which level."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.adapters.policies.profiles import profile, profile_names
from broker_bridge.domain.policy import Policy
from lock_protocol.levels import Level

DEFAULT, REPLAY = profile("default"), profile("replay")
U, N, R, X, L = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED


@pytest.mark.parametrize(
    ("policy", "days", "level"),
    [
        (DEFAULT, 0, U),
        (DEFAULT, 2, U),
        (DEFAULT, 3, N),
        (DEFAULT, 14, N),
        (DEFAULT, 15, R),
        (DEFAULT, 59, R),
        (DEFAULT, 60, X),
        (DEFAULT, 89, X),
        (DEFAULT, 90, L),
        (DEFAULT, 36_500, L),
        (REPLAY, 0, U),
        (REPLAY, 1, N),
        (REPLAY, 6, N),
        (REPLAY, 7, R),
        (REPLAY, 29, R),
        (REPLAY, 30, X),
        (REPLAY, 59, X),
        (REPLAY, 60, L),
    ],
    ids=lambda value: value.name if isinstance(value, Policy | Level) else str(value),
)
def test_each_rung_begins_on_its_day(policy: Policy, days: int, level: Level) -> None:
    assert policy.rung(days) is level


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_more_days_never_mean_a_lower_level(days: list[int]) -> None:
    levels = [DEFAULT.rung(one) for one in sorted(days)]
    assert all(low <= high for low, high in pairwise(levels))


@pytest.mark.parametrize(
    "ladder",
    [
        ((3, L), (15, N)),
        ((3, N), (15, N)),
        ((15, N), (3, L)),
        ((3, N), (3, L)),
        ((0, N),),
        ((-1, N),),
        ((3, U),),
        ((3, Level.RELEASED),),
    ],
    ids=[
        "levels fall",
        "levels stand still",
        "days fall",
        "days stand still",
        "on day 0",
        "before day 0",
        "up to unlocked",
        "up to released",
    ],
)
def test_a_ladder_that_does_not_rise_is_refused(ladder: tuple[tuple[int, Level], ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Policy(name="odd", ladder=ladder)


def test_only_the_profile_without_gates_is_for_development_only() -> None:
    assert {name for name in profile_names() if profile(name).development_only} == {"replay"}
