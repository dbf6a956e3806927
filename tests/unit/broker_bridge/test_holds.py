"""Grace periods and disputes by themselves: which of two counts, and what one that is repeated may change."""

import pytest

from broker_bridge.domain.holds import Hold, Holds
from lock_protocol.levels import Level


def hold(since: int, *, until: int = 100, cap: Level = Level.NOTICE) -> Hold:
    return Hold(since=since, until=until, cap=cap)


@pytest.mark.parametrize(("now", "cap"), [(99, Level.NOTICE), (100, Level.RESTRICTED)])
def test_a_dispute_that_is_opened_again_raises_its_cap_only_when_the_first_one_is_over(now: int, cap: Level) -> None:
    first = Holds().open_dispute(hold(1), 10)
    assert first is not None
    again = first.open_dispute(hold(2, until=200, cap=Level.RESTRICTED), now)
    assert again is not None
    assert again.dispute == hold(2, until=200, cap=cap)


def test_a_dispute_that_was_closed_at_its_own_moment_or_later_is_not_opened_by_what_comes_late() -> None:
    closed, was_open = Holds().close_dispute(5)
    assert not was_open
    assert closed.open_dispute(hold(5), 10) is None
    assert closed.open_dispute(hold(6), 10) is not None


def test_an_older_end_of_a_dispute_that_comes_late_ends_nothing_newer() -> None:
    closed, _ = Holds().close_dispute(5)
    late, was_open = closed.close_dispute(3)
    assert not was_open
    assert late.open_dispute(hold(4), 10) is None


def test_of_two_grace_periods_of_one_moment_the_longer_one_counts_whichever_came_first() -> None:
    short, long = hold(1, until=100), hold(1, until=200)
    granted = Holds().grant_grace(long)
    assert granted is not None
    assert granted.grant_grace(short) is None
    lengthened = Holds(grace=short).grant_grace(long)
    assert lengthened is not None
    assert lengthened.grace == long
