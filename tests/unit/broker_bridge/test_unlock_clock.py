"""What the unlock clock times, and what it does not."""

from dataclasses import replace

import pytest

from broker_bridge.adapters.metrics import unlock_clock
from broker_bridge.adapters.metrics.unlock_clock import UnlockClock
from broker_bridge.app.records import Command
from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId
from device_sim.identities import simulated_imei
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import LenderId
from tests.bridge_rig import SetClock

OPENING = Command(
    command_id=CommandId("cmd_1"),
    lender=LenderId("acme-mobile"),
    imei=simulated_imei(0),
    epoch=1,
    version=3,
    level=Level.UNLOCKED,
    reason=Reason.PAID,
    lane=Lane.OPENING,
    status=Status.QUEUED,
    decision_id=DecisionId("p1"),
    detail="",
    created_at=SetClock().wall,
)
PROVEN = replace(OPENING, status=Status.SUCCEEDED)


class Timed:
    """An unlock clock, the time, and what was observed."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.observed: list[float] = []
        self.unlocks = UnlockClock(self.clock, self.observed.append)

    def after(self, seconds: float, *moved: Command) -> None:
        self.clock.ticks += seconds
        self.unlocks.follow(moved)


def test_an_opening_is_timed_from_its_commit_to_its_proof() -> None:
    timed = Timed()
    timed.after(0, OPENING)
    assert timed.unlocks.running == 1
    timed.after(0.25, replace(OPENING, status=Status.SENT))
    timed.after(0.5, PROVEN)
    assert timed.observed == [0.75]
    assert timed.unlocks.running == 0


def test_a_second_payment_does_not_start_over() -> None:
    timed = Timed()
    timed.after(0, OPENING)
    again = replace(OPENING, command_id=CommandId("cmd_2"), version=4)
    timed.after(1, replace(OPENING, status=Status.SUPERSEDED), again)
    timed.after(1, replace(again, status=Status.SUCCEEDED))
    assert timed.observed == [2]


def test_an_opening_that_was_refused_and_signed_anew_is_timed_from_its_decision() -> None:
    timed = Timed()
    timed.after(0, OPENING)
    anew = replace(OPENING, command_id=CommandId("cmd_2"), version=4, decision_id=None)
    timed.after(5, replace(OPENING, status=Status.REJECTED), anew)
    timed.after(1, replace(anew, status=Status.SUCCEEDED))
    assert timed.observed == [6]


def test_a_lock_that_overtakes_an_opening_ends_it_untimed() -> None:
    timed = Timed()
    timed.after(0, OPENING)
    timed.after(1, replace(OPENING, lane=Lane.CLOSING, level=Level.LOCKED))
    assert (timed.observed, timed.unlocks.running) == ([], 0)


@pytest.mark.parametrize("lane", [Lane.KEEPING, Lane.CLOSING])
def test_what_opens_nothing_is_not_timed(lane: Lane) -> None:
    timed = Timed()
    timed.after(0, replace(OPENING, lane=lane))
    timed.after(1, replace(PROVEN, lane=lane))
    assert timed.observed == []


def test_what_no_decision_opened_is_not_timed() -> None:
    timed = Timed()
    timed.after(0, replace(OPENING, decision_id=None))
    timed.after(1, replace(PROVEN, decision_id=None))
    assert timed.observed == []


def test_an_opening_from_before_a_restart_is_timed_in_whole_seconds() -> None:
    timed = Timed()
    timed.clock.wall += 90
    timed.after(0.5, PROVEN)
    assert timed.observed == [90]


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    timed = Timed()
    timed.clock.wall -= 90
    timed.after(0, PROVEN)
    assert timed.observed == [0]


def test_only_so_many_are_timed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlock_clock, "MAX_RUNNING", 2)
    timed = Timed()
    timed.after(0, *(replace(OPENING, imei=simulated_imei(number)) for number in range(3)))
    assert timed.unlocks.running == 2
    timed.after(0.5, *(replace(PROVEN, imei=simulated_imei(number)) for number in range(3)))
    assert timed.observed == [0, 0.5, 0.5], "of the oldest, only whole seconds are known"


def test_what_another_bridge_may_have_heard_proven_does_not_run_on() -> None:
    timed = Timed()
    timed.after(0, OPENING)
    timed.unlocks.forget()
    assert timed.unlocks.running == 0
    timed.after(3600, OPENING)
    timed.after(0.5, PROVEN)
    assert timed.observed == [0.5]
