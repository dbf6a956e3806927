"""Bridges that die at every step, brokers that come back with the past, and lanes that run over."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from broker_bridge.adapters.store.outgoing import SqlOutgoing
from broker_bridge.adapters.store.tables import commands, phones
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.records import AuditEntry, Outgoing
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.envelope import REPORTED, seal
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level, Result, Signals
from lock_protocol.messages import NO_HASH, Reported
from lock_protocol.topics import PhoneTopic
from tests.bridge_rig import ACME, DEVICE
from tests.loopback.world import LANE_LIMIT, TOPICS, World
from tests.lost_answers import lose_the_answer_to_the_next_commit
from tests.unit.broker_bridge.facts import overdue, payment, settled

IMEIS = [simulated_imei(number) for number in range(6)]
PAID, LATE, GONE = IMEIS[:3]


def converge(world: World) -> None:
    """Connect whatever is not connected, and let it all happen."""
    if not world.online:
        world.connect_bridge()
    for imei in world.phones:
        world.connect(imei)
    world.exchange()
    world.pass_time(8)


def assert_converged(world: World) -> None:
    for imei, phone in world.phones.items():
        assert (imei, phone.level) == (imei, world.due_level(imei))
        assert world.newest_command(imei).status is Status.SUCCEEDED
        assert world.desired_on_broker(imei) == world.row(imei).desired.envelope


def desired_published(world: World) -> list[Imei]:
    """Whose states were published since the list was cleared, in order."""
    return [TOPICS.parse_phone(topic)[0] for topic, _ in world.published if topic.endswith(PhoneTopic.DESIRED)]


# --- a commit whose answer is lost ---------------------------------------------------------------------------------


def test_a_lock_that_was_committed_without_an_answer_reaches_its_phone_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enrol(LATE)
    world.connect(LATE)
    world.exchange()
    world.pass_time(2)
    lose_the_answer_to_the_next_commit(world.store, monkeypatch)
    with pytest.raises(StoreUnavailableError):
        world.tell(overdue(90, at=1, imei=LATE))
    world.pass_time(2)
    assert world.phones[LATE].level is Level.LOCKED
    assert world.tell(overdue(90, at=1, imei=LATE)).repeated


# --- kill -9 of the bridge -----------------------------------------------------------------------------------------


def test_a_bridge_killed_at_any_step_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A crossing is a moment before or after a commit, a publish, or a PUBACK."""
    crossing = 0
    while True:
        world = World(tmp_path / f"{crossing}.db")
        for imei in (PAID, LATE):
            world.enrol(imei)
            world.connect(imei)
        world.exchange()
        world.dies_at = world.crossings + crossing + 1
        reached = _a_day_that_may_end_early(world)
        world.dies_at = -1
        world.kill_bridge()
        world.start_bridge()
        for decision in (overdue(90, at=1, imei=PAID), overdue(90, at=1, imei=LATE), payment(at=2, imei=PAID)):
            world.tell(decision)  # a lender that got no answer sends again; one that did may as well
        converge(world)
        assert_converged(world)
        assert world.phones[LATE].level is Level.LOCKED
        world.close()
        if not reached:
            break
        crossing += 1
    assert crossing >= 20, "fewer moments than there are commits and publishes in the day"


def _a_day_that_may_end_early(world: World) -> bool:
    """Two locks and a payment; tell whether the bridge was killed on the way."""
    for decision in (overdue(90, at=1, imei=PAID), overdue(90, at=1, imei=LATE), payment(at=2, imei=PAID)):
        try:
            world.tell(decision)
        except asyncio.CancelledError:
            return True
        world.exchange()
        if not world.online:
            return True
    return world.crossings >= world.dies_at


def test_a_bridge_that_starts_anew_keeps_the_time_that_it_signed_last(world: World) -> None:
    world.enrol(PAID)
    signed = world.row(PAID).desired.state.issued_at
    world.kill_bridge()
    world.clock.skew = -(10**6)
    world.start_bridge()
    world.tell(settled(at=1, imei=PAID))
    assert world.row(PAID).desired.state.issued_at == signed


# --- kill -9 of the broker -----------------------------------------------------------------------------------------


def six_phones(world: World) -> None:
    for imei in IMEIS:
        world.enrol(imei)
        world.connect(imei)
    world.exchange()
    world.run(2)


@pytest.mark.parametrize("bridge_restarts", [False, True], ids=["same bridge", "new bridge"])
def test_a_broker_that_comes_back_with_older_states_gets_the_newer_ones_again(
    world: World, *, bridge_restarts: bool
) -> None:
    six_phones(world)
    world.tell(overdue(90, at=1, imei=PAID))
    world.exchange()
    world.run(2)
    before = dict(world.retained)
    world.tell(payment(at=2, imei=PAID))
    world.tell(overdue(90, at=2, imei=LATE))
    world.exchange()
    world.run(2)
    world.published.clear()
    if bridge_restarts:
        world.kill_bridge()
        world.start_bridge()
    world.published.clear()
    world.restart_broker(before)
    world.run(2)
    assert desired_published(world) == [PAID, LATE], "what is newer than the canary, the opening first, and no more"
    converge(world)
    assert_converged(world)


@pytest.mark.parametrize("canary", ["missing", "garbled", "unknown"])
def test_a_broker_that_lost_everything_gets_everything_the_openings_first(world: World, canary: str) -> None:
    six_phones(world)
    world.tell(overdue(90, at=1, imei=IMEIS[0]))
    world.tell(settled(at=1, imei=GONE))
    world.exchange()
    world.run(2)
    world.published.clear()
    retained = {"missing": {}, "garbled": {TOPICS.canary: b"\xc1"}, "unknown": {TOPICS.canary: b"\x92\xa5other\x01"}}
    world.restart_broker(retained[canary])
    world.run(2)
    order = desired_published(world)
    assert sorted(order) == sorted(IMEIS)
    assert order[-1] == IMEIS[0], "the one that is to be locked comes last"
    converge(world)
    assert_converged(world)


def test_a_row_that_cannot_be_read_keeps_nothing_from_the_others(world: World) -> None:
    broken, other = IMEIS[:2]
    for imei in (broken, other):
        world.enrol(imei)
    world.exchange()
    lock = world.tell(overdue(90, at=1, imei=other))
    world.loop.run(world.store.execute(update(phones).where(phones.c.imei == broken).values(status="rubbish")))
    world.run(1000)
    assert world.online
    assert world.command(lock).status is Status.TIMED_OUT
    world.restart_broker({})
    assert world.online
    world.connect(other)
    world.exchange()
    assert world.command(lock).status is Status.SUCCEEDED
    assert "row_not_usable" in world.log.events("critical")


def test_rows_that_cannot_be_read_keep_no_other_from_timing_out_and_are_told_of_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_bridge.app.sweep.MOST_AT_ONCE", 2)
    broken, other = IMEIS[:2], IMEIS[2]
    for imei in (*broken, other):
        world.enrol(imei)
    world.exchange()
    world.run(1)
    lock = world.tell(overdue(90, at=1, imei=other))
    world.loop.run(world.store.execute(update(phones).where(phones.c.imei.in_(broken)).values(status="rubbish")))
    world.run(1000)
    assert world.command(lock).status is Status.TIMED_OUT
    assert world.log.events("critical") == ["row_not_usable"] * len(broken)


def test_a_broker_that_kept_everything_gets_nothing_again(world: World) -> None:
    six_phones(world)
    for imei in IMEIS:
        world.phones[imei].press_check()
        world.collect(imei)
    world.exchange()
    world.run(2)
    world.published.clear()
    world.restart_broker(world.retained)
    world.run(3)
    assert desired_published(world) == []


def test_no_canary_is_published_before_all_that_it_promises_is_acknowledged(world: World) -> None:
    six_phones(world)
    canary = world.retained[TOPICS.canary]
    world.pubacks.clear()
    world.tell(overdue(90, at=1, imei=LATE))
    world.run(5)
    assert world.retained[TOPICS.canary] == canary
    world.pubacks.set()
    world.run(2)
    assert world.retained[TOPICS.canary] != canary


def test_a_bridge_that_dies_while_it_publishes_again_starts_over(world: World) -> None:
    six_phones(world)
    world.losing = "puback"
    world.restart_broker({})
    world.losing = "puback"
    world.run(2)
    world.kill_bridge()
    world.start_bridge()
    world.run(3)
    assert {TOPICS.phone(imei, PhoneTopic.DESIRED) for imei in IMEIS} <= set(world.retained)
    converge(world)
    assert_converged(world)


# --- more than the lanes hold --------------------------------------------------------------------------------------


def test_locks_that_do_not_fit_their_lane_go_out_later(world: World) -> None:
    many = [simulated_imei(number) for number in range(3 * LANE_LIMIT)]
    for imei in many:
        world.enrol(imei)
        world.connect(imei)
    world.pass_time(5)
    world.cut_bridge()
    for imei in many:
        world.tell(overdue(90, at=1, imei=imei))
    world.connect_bridge()
    converge(world)
    assert_converged(world)


def test_a_lane_that_runs_over_while_it_is_being_filled_is_filled_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [simulated_imei(number) for number in range(2 * LANE_LIMIT)]
    for imei in many:
        world.enrol(imei)
        world.connect(imei)
    world.pass_time(5)
    world.cut_bridge()
    claim = SqlOutgoing.claim

    async def claim_and_be_overtaken(
        states: SqlOutgoing, lane: Lane, now: int, limit: int, *, put_off: bool = False
    ) -> list[Outgoing]:
        found = list(await claim(states, lane, now, limit, put_off=put_off))
        if lane is Lane.CLOSING and late:
            world.pubacks.clear()
            for imei in late:
                await world.store.commits.commit(world.office.decide(overdue(90, at=1, imei=imei)))
            late.clear()
        return found

    late = list(many)
    monkeypatch.setattr(SqlOutgoing, "claim", claim_and_be_overtaken)
    world.deliverer.outbox.overflowed.add(Lane.CLOSING)
    world.connect_bridge()
    assert late == []
    world.pubacks.set()
    world.exchange()
    world.pass_time(6)
    assert {phone.level for phone in world.phones.values()} == {Level.LOCKED}


def test_a_paid_phone_opens_as_soon_as_the_broker_takes_its_state_again(world: World) -> None:
    """The broker refused it long enough for it to be set aside; then its rights are mended, and the phone asks."""
    locked(world, PAID)
    topic = TOPICS.phone(PAID, PhoneTopic.DESIRED)
    world.denied.add(topic)
    world.tell(payment(at=2, imei=PAID))
    world.run(20)
    assert world.phones[PAID].level is Level.LOCKED
    world.denied.clear()
    world.phones[PAID].press_check()
    world.collect(PAID)
    world.pass_time(2)
    assert world.phones[PAID].level is Level.UNLOCKED


@pytest.mark.parametrize("skew", [7_200, -86_400])
def test_a_paid_phone_opens_although_the_clock_was_wrong_when_it_was_paid_for_or_is_wrong_now(
    world: World, skew: int
) -> None:
    locked(world, PAID)
    world.clock.skew = max(skew, 0)
    world.cut_bridge()
    world.tell(payment(at=2, imei=PAID))
    world.kill_bridge()
    world.clock.skew = min(skew, 0)
    world.start_bridge()
    world.pass_time(10)
    assert world.phones[PAID].level is Level.UNLOCKED


@pytest.mark.parametrize("column", ["level", "said_level"])
def test_a_level_that_is_none_keeps_nothing_from_the_others(world: World, column: str) -> None:
    broken, other = IMEIS[:2]
    for imei in (broken, other):
        world.enrol(imei)
    world.exchange()
    lock = world.tell(overdue(90, at=1, imei=other))
    world.loop.run(world.store.execute(update(phones).where(phones.c.imei == broken).values({column: 5})))
    world.restart_broker({})
    assert world.online
    world.connect(other)
    world.exchange()
    assert world.command(lock).status is Status.SUCCEEDED


def test_a_lane_that_is_none_keeps_nothing_from_the_others_nor_its_own_phone_from_its_state(world: World) -> None:
    broken, other = IMEIS[:2]
    for imei in (broken, other):
        world.enrol(imei)
        world.connect(imei)
    world.exchange()
    world.cut_bridge()
    for imei in (broken, other):
        world.tell(overdue(90, at=1, imei=imei))
    world.loop.run(world.store.execute(update(commands).where(commands.c.imei == broken).values(lane=5)))
    world.connect_bridge()
    assert world.online
    world.exchange()
    assert [world.phones[imei].level for imei in (broken, other)] == [Level.LOCKED] * 2
    assert world.newest_command(other).status is Status.SUCCEEDED


def test_a_phone_that_refuses_and_fails_in_turns_and_in_ever_other_words_fills_no_history(world: World) -> None:
    locked(world, LATE)
    world.tell(overdue(91, at=2, imei=LATE))
    world.run(2)
    row = world.row(LATE)
    before = len(history(world, LATE))
    for number in range(50):
        could_not = number % 2
        word = Reported(
            lender=row.lender,
            imei=LATE,
            epoch=row.desired.order[0],
            version=row.desired.order[1] - 1,
            state_hash=NO_HASH,
            effective_level=Level.UNLOCKED,
            condition=Condition.APPLIED,
            result=Result.FAILED if could_not else Result.REFUSED,
            about_epoch=row.desired.order[0],
            about_version=row.desired.order[1],
            about_hash=row.desired.state_hash,
            detail=f"reason {number}",
            applied_at=1,
            boot_count=1,
            sequence=1000 + number,
            signals=Signals(0),
        )
        world.put(TOPICS.phone(LATE, PhoneTopic.REPORTED), seal(REPORTED, word, [DEVICE]), retain=False)
        world.run(0.05)
    assert len(history(world, LATE)) <= before + len({Status.REJECTED, Status.FAILED})


def history(world: World, imei: Imei) -> Sequence[AuditEntry]:
    return world.loop.run(world.store.phones.history(ACME, imei, "", 1000)).items


def locked(world: World, imei: Imei) -> None:
    """Have a connected phone locked."""
    world.enrol(imei)
    world.connect(imei)
    world.exchange()
    world.run(2)
    world.tell(overdue(90, at=1, imei=imei))
    world.exchange()
    world.run(2)
    world.exchange()
    assert world.phones[imei].level is Level.LOCKED
