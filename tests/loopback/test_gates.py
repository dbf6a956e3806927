"""Each gate of a policy: the lock does not come, and then comes by itself; and it never comes once the payment has."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker_bridge.app.decide import Decided
from broker_bridge.domain.decisions import DecisionType
from broker_bridge.domain.gates import GateCondition
from lock_protocol.levels import Level
from tests.loopback.desk import DAY, HOUR, Desk, policy_text

U, N, R, X, L = Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED


@dataclass(frozen=True)
class Gate:
    """One condition: a policy that has it, what brings about the decision, and what meets it in the end."""

    condition: GateCondition
    document: str
    waits_at: Level
    """The level that the phone shows until then."""
    almost: Callable[[Desk], None]
    """Leads up to the last moment at which the lock must not come."""
    meet: Callable[[Desk], None]
    """Meets the condition."""
    before: Callable[[Desk], object] = lambda _: None
    """What has to be so before the overdue figure comes."""
    timed: bool = True
    """Whether the mere passing of time meets it, so that the answer can say when."""


def nothing(_: Desk) -> None:
    """Already there."""


def come_back(desk: Desk) -> None:
    desk.reconnect()


def until(seconds: int) -> Callable[[Desk], None]:
    return lambda desk: desk.pass_time(seconds)


def grant(desk: Desk) -> Decided:
    return desk.tell(DecisionType.GRACE_GRANTED, until=desk.clock.wall + 5 * DAY)


def dispute(desk: Desk) -> Decided:
    return desk.tell(DecisionType.DISPUTE_OPENED, until=desk.clock.wall + 5 * DAY)


def at_noon(desk: Desk) -> None:
    """Go on to the next noon, UTC."""
    desk.pass_time((12 * HOUR - desk.clock.wall) % DAY)


def at_night(desk: Desk) -> None:
    desk.pass_time((23 * HOUR - desk.clock.wall) % DAY)


GATES = [
    Gate(
        condition=GateCondition.NOTICE_REACHED,
        document=policy_text("", "[gates]\nnotice_reached_hours = 0"),
        before=Desk.cut,
        waits_at=U,
        almost=until(40 * DAY),
        meet=come_back,
        timed=False,
    ),
    Gate(
        condition=GateCondition.NOTICE_PERIOD,
        document=policy_text("", "[gates]\nnotice_reached_hours = 72"),
        waits_at=R,
        almost=until(71 * HOUR),
        meet=until(2 * HOUR),
    ),
    Gate(
        condition=GateCondition.CURE_PERIOD,
        document=policy_text("", "[gates]\nnotice_reached_hours = 0\ncure_days = 21"),
        waits_at=R,
        almost=until(21 * DAY - HOUR),
        meet=until(2 * HOUR),
    ),
    Gate(
        condition=GateCondition.FINAL_NOTICE,
        document=policy_text("", "[gates]\nnotice_reached_hours = 0\ncure_days = 21\nfinal_notice_hours = 168"),
        waits_at=R,
        almost=until(28 * DAY - HOUR),
        meet=until(2 * HOUR),
    ),
    Gate(
        condition=GateCondition.QUIET_HOURS,
        document=policy_text("", '[gates]\nquiet_hours = ["21:00", "08:00"]'),
        before=at_night,
        waits_at=R,
        almost=until(8 * HOUR),
        meet=until(2 * HOUR),
    ),
    Gate(
        condition=GateCondition.CONSENT,
        document=policy_text("", '[gates]\nconsent = ["contract", "device_lock"]'),
        waits_at=R,
        almost=until(40 * DAY),
        meet=lambda desk: desk.enrol(evidence={"device_lock": "clause 7 of contract 1"}),
        timed=False,
    ),
    Gate(
        condition=GateCondition.GRACE,
        document=policy_text(),
        before=grant,
        waits_at=U,
        almost=until(5 * DAY - HOUR),
        meet=until(2 * HOUR),
    ),
    Gate(
        condition=GateCondition.DISPUTE,
        document=policy_text(),
        before=dispute,
        waits_at=U,
        almost=until(5 * DAY - HOUR),
        meet=until(2 * HOUR),
    ),
]


@pytest.fixture(params=GATES, ids=[str(gate.condition) for gate in GATES])
def gate(request: pytest.FixtureRequest) -> Gate:
    chosen: Gate = request.param
    return chosen


@pytest.fixture
def desk(gate: Gate, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "paylatch.db", gate.document)
    made.enrol()
    at_noon(made)
    gate.before(made)
    yield made
    made.close()


def test_the_lock_does_not_come_and_then_comes_by_itself(desk: Desk, gate: Gate) -> None:
    desk.overdue(95)
    assert desk.level is gate.waits_at
    gate.almost(desk)
    assert (desk.level, desk.missing) == (gate.waits_at, {gate.condition})
    gate.meet(desk)
    assert (desk.level, desk.missing) == (L, set())


def test_the_lock_never_comes_when_the_payment_comes_first(desk: Desk, gate: Gate) -> None:
    desk.overdue(95)
    gate.almost(desk)
    desk.pay()
    gate.meet(desk)
    desk.pass_time(60 * DAY)
    if not desk.online:
        desk.reconnect()
    assert desk.level is U
    assert L not in {one.level for one in desk.phone.applied}


def test_the_answer_names_what_is_wanted_and_what_is_missing(desk: Desk, gate: Gate) -> None:
    decided = desk.overdue(95)
    # What is answered at once, before the phone has said that it shows the notice, is that this is missing.
    first = gate.condition
    if first in (GateCondition.NOTICE_PERIOD, GateCondition.CURE_PERIOD):
        first = GateCondition.NOTICE_REACHED
    assert (decided.wanted, decided.effect) == (L, "applied")
    assert first in {one.condition for one in decided.held}
    assert all(one.detail for one in decided.held)


def test_what_time_alone_can_meet_says_when(desk: Desk, gate: Gate) -> None:
    desk.overdue(95)
    waits = next(one for one in desk.judgement.missing if one.condition is gate.condition)
    assert (waits.earliest is not None) == gate.timed
    assert waits.earliest is None or waits.earliest > desk.clock.wall


def test_a_bridge_that_was_away_makes_up_for_it(desk: Desk, gate: Gate) -> None:
    desk.overdue(95)
    gate.almost(desk)
    desk.restart()
    gate.meet(desk)
    assert desk.level is L


def test_what_was_let_through_needs_no_gate_again(desk: Desk, gate: Gate) -> None:
    desk.overdue(95)
    gate.almost(desk)
    gate.meet(desk)
    at_night(desk)
    desk.overdue(96)
    assert desk.level is L
