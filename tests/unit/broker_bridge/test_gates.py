"""Gates by themselves: from when a final notice counts, and when all that is missing can be met."""

from zoneinfo import ZoneInfo

import pytest

from broker_bridge.domain.episode import Episode
from broker_bridge.domain.gates import GateCondition, Missing, earliest_of, missing
from broker_bridge.domain.policy import DAY_S, Gates

BEGUN = 1_000_000
UTC = ZoneInfo("UTC")


def waits(earliest: int | None) -> Missing:
    return Missing(condition=GateCondition.GRACE, detail="", earliest=earliest)


@pytest.mark.parametrize("reminder_at", [BEGUN + 10, BEGUN + 100, BEGUN + 200])
def test_a_final_notice_stands_its_time_after_the_cure_period_and_after_it_was_shown(reminder_at: int) -> None:
    gates = Gates(cure_s=100, final_notice_s=50)
    episode = Episode(arrears_since=BEGUN, reminder_at=reminder_at)
    met_at = max(reminder_at, BEGUN + 100) + 50
    assert [one.earliest for one in missing(gates, episode, frozenset(), UTC, met_at - 1)] == [met_at]
    assert missing(gates, episode, frozenset(), UTC, met_at) == ()


@pytest.mark.parametrize(
    ("cure_s", "told"),
    [(3600, "1 hour"), (36 * 3600, "36 hours"), (DAY_S, "1 day"), (21 * DAY_S, "21 days")],
)
def test_how_long_the_borrower_has_is_told_in_whole_days_where_it_can_be(cure_s: int, told: str) -> None:
    (one,) = missing(Gates(cure_s=cure_s), Episode(arrears_since=BEGUN), frozenset(), UTC, BEGUN)
    assert one.detail == f"the borrower has {told} to pay"


def test_all_is_met_with_the_last_of_it_and_never_by_time_alone_where_something_has_to_happen() -> None:
    assert earliest_of([waits(10), waits(30), waits(20)]) == 30
    assert earliest_of([waits(10), waits(None)]) is None
    assert earliest_of([]) is None
