"""One phone and the bridge, joined without a network: what they say to each other, whatever goes wrong between."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from broker_bridge.app.hear import ANSWER_STANDS_S, LONGEST_PAUSE_S, MAX_OF_ONE_PHONE, MOST_TRIES
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.app.sweep import LOOK_EVERYWHERE, LOOK_ROUND
from broker_bridge.domain.commands import Status
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import PhoneStatus
from device_sim.identities import simulated_imei
from device_sim.phone.hello import CLOSED_EVERY_S
from lock_protocol.acceptance.floor import MAX_VERSION_JUMP
from lock_protocol.envelope import HELLO, REPORTED, seal
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Condition, Level, Result, Signals
from lock_protocol.schema import MAX_INTEGER
from lock_protocol.topics import PhoneTopic
from tests.bridge_rig import DEVICE
from tests.loopback.world import SLICE_S, TOPICS, InlineStore, LinkedHandset, World
from tests.unit.broker_bridge.facts import overdue, payment, settled

IMEI = simulated_imei(1)
OPEN = (Level.UNLOCKED, Condition.APPLIED)
LOCKED = (Level.LOCKED, Condition.APPLIED)


@pytest.fixture
def phone(world: World) -> LinkedHandset:
    """A phone that is enrolled, connected and open."""
    handset = world.enrol(IMEI)
    world.connect(IMEI)
    world.exchange()
    assert handset.shown == OPEN
    return handset


def test_an_enrolled_phone_opens_on_its_first_connection_and_proves_it(world: World, phone: LinkedHandset) -> None:
    row = world.row(IMEI)
    assert (row.status, row.reported_level) == (PhoneStatus.ACTIVE, Level.UNLOCKED)
    assert world.newest_command(IMEI).status is Status.SUCCEEDED
    assert phone.phone.memory.confirmed


def test_a_phone_in_arrears_locks_and_only_its_report_makes_that_succeed(world: World, phone: LinkedHandset) -> None:
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    assert world.command(lock).status is Status.SENT
    world.exchange()
    assert phone.shown == LOCKED
    assert world.command(lock).status is Status.SUCCEEDED


def test_a_payment_opens_it(world: World, phone: LinkedHandset) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    cure = world.tell(payment(at=2))
    world.exchange()
    assert phone.shown == OPEN
    assert (world.command(cure).status, world.command(cure).lane) == (Status.SUCCEEDED, Lane.OPENING)


def test_a_settled_loan_releases_it_for_good(world: World, phone: LinkedHandset) -> None:
    world.tell(settled(at=1))
    world.exchange()
    assert phone.level is Level.RELEASED
    assert world.row(IMEI).status is PhoneStatus.RELEASED


def test_a_phone_that_is_off_when_its_payment_comes_opens_when_it_connects(world: World, phone: LinkedHandset) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    world.disconnect(IMEI)
    world.tell(payment(at=2))
    world.exchange()
    assert phone.shown == LOCKED
    world.connect(IMEI)
    world.exchange()
    assert phone.shown == OPEN


def test_an_overdue_older_than_the_payment_never_locks(world: World, phone: LinkedHandset) -> None:
    world.tell(payment(at=10))
    late = world.tell(overdue(90, at=9))
    world.exchange()
    assert (late.effect, late.command_id) == ("covered", None)
    assert [apply.level for apply in phone.applied if apply.level > Level.UNLOCKED][1:] == []


# --- pubacks -------------------------------------------------------------------------------------------------------


def test_a_report_before_its_puback_succeeds_at_once_and_stays_succeeded(world: World, phone: LinkedHandset) -> None:
    world.pubacks.clear()
    lock = world.tell(overdue(90, at=1))
    world.exchange()
    assert phone.shown == LOCKED
    assert world.command(lock).status is Status.SUCCEEDED
    world.pubacks.set()
    world.pass_time(1)
    assert (world.command(lock).status, world.command(lock).attempts) == (Status.SUCCEEDED, 1)


@pytest.mark.usefixtures("phone")
def test_a_puback_is_written_with_the_phones_word(world: World) -> None:
    lock = world.tell(overdue(90, at=1))
    world.exchange()
    command, row = world.command(lock), world.row(IMEI)
    assert (command.status, command.attempts, command.sent_at) == (Status.SUCCEEDED, 1, world.clock.now())
    assert row.publish_number > 0
    world.pass_time(1)
    assert (world.command(lock), world.row(IMEI)) == (command, row)


@pytest.mark.usefixtures("phone")
def test_a_puback_whose_phone_says_nothing_is_written_by_itself(world: World) -> None:
    world.disconnect(IMEI)
    lock = world.tell(overdue(90, at=1))
    world.pass_time(1)
    assert (world.command(lock).status, world.command(lock).attempts) == (Status.SENT, 1)


@pytest.mark.parametrize("lost", ["publish", "puback"])
def test_a_message_lost_with_its_connection_goes_out_again_on_the_next(
    world: World, phone: LinkedHandset, lost: str
) -> None:
    world.losing = lost
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    assert not world.online
    assert world.command(lock).status is Status.QUEUED
    world.connect_bridge()
    world.exchange()
    assert phone.shown == LOCKED
    assert (world.command(lock).status, world.row(IMEI).desired.state.version) == (Status.SUCCEEDED, 2)


def test_a_decision_taken_while_the_broker_is_away_goes_out_when_it_is_back(world: World, phone: LinkedHandset) -> None:
    world.cut_bridge()
    world.tell(overdue(90, at=1))
    world.connect_bridge()
    world.exchange()
    assert phone.shown == LOCKED


def test_an_opening_that_stays_unproven_is_repeated_after_5_30_and_300_seconds(
    world: World, phone: LinkedHandset
) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    world.disconnect(IMEI)
    world.published.clear()
    world.tell(payment(at=2))
    began = world.clock.now()
    topic = TOPICS.phone(IMEI, PhoneTopic.DESIRED)
    repeated = []
    for _ in range(400):
        world.run(1)
        repeated += [world.clock.now() - began for one, _ in world.published if one == topic]
        world.published.clear()
    waits = [later - earlier for earlier, later in pairwise(repeated)]
    assert waits == pytest.approx([5, 30, 300], abs=1), "the bridge looks once a second"
    assert phone.shown == LOCKED


def test_a_lock_is_not_repeated(world: World, phone: LinkedHandset) -> None:
    world.disconnect(IMEI)
    world.tell(overdue(90, at=1))
    world.run(1)
    world.published.clear()
    world.run(400)
    assert [topic for topic, _ in world.published if "/phones/" in topic] == []
    assert phone.shown == OPEN


def test_a_payment_whose_lock_was_not_reported_yet_is_an_opening_all_the_same(
    world: World, phone: LinkedHandset
) -> None:
    world.tell(overdue(90, at=1))
    world.run(1)
    for message in world.down:
        world.deliver_down(message)
    world.down.clear()
    world.up.clear()  # the report is lost: as far as the bridge knows, the phone may still be open
    assert phone.shown == LOCKED
    world.clock.skew = -3600
    cure = world.tell(payment(at=2))
    assert world.command(cure).lane is Lane.OPENING
    world.exchange()
    assert phone.shown == OPEN


# --- lost, repeated, reordered -------------------------------------------------------------------------------------


def test_states_that_arrive_in_reverse_order_end_at_the_newest(world: World, phone: LinkedHandset) -> None:
    for day in range(1, 6):
        world.tell(overdue(60 + day, at=day))
        world.run(1)
    world.down.reverse()
    world.exchange()
    assert phone.phone.memory.floor is not None
    assert (phone.shown, phone.phone.memory.floor.version) == (LOCKED, 6)
    assert world.newest_command(IMEI).status is Status.SUCCEEDED


def test_a_state_that_arrives_twice_is_reported_twice_and_succeeds_once(world: World, phone: LinkedHandset) -> None:
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    world.down *= 2
    world.exchange()
    assert phone.shown == LOCKED
    assert world.command(lock).status is Status.SUCCEEDED


def test_a_state_that_never_arrives_is_repaired_by_the_next_hello(world: World, phone: LinkedHandset) -> None:
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    world.down.clear()
    phone.press_check()
    world.collect(IMEI)
    world.exchange()
    assert phone.shown == LOCKED
    assert world.command(lock).status is Status.SUCCEEDED


def test_a_report_that_never_arrives_is_repaired_by_the_next_hello(world: World, phone: LinkedHandset) -> None:
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    for message in world.down:
        world.deliver_down(message)
    world.down.clear()
    world.up.clear()
    phone.press_check()
    world.collect(IMEI)
    world.exchange()
    assert world.command(lock).status is Status.SUCCEEDED


def test_reports_that_arrive_late_or_twice_are_refused_by_their_sequence(world: World, phone: LinkedHandset) -> None:
    for day in (1, 2):
        world.tell(overdue(60 + day, at=day))
        world.run(1)
        for message in world.down:
            world.deliver_down(message)
        world.down.clear()
    old, new = world.up
    world.up = [new, old, new]
    world.exchange()
    assert world.listener.refusals["StaleSequence"] == 2
    assert world.newest_command(IMEI).status is Status.SUCCEEDED
    assert phone.shown == LOCKED


def test_an_answer_that_never_arrives_is_asked_for_again(world: World) -> None:
    handset = world.enrol(IMEI)
    world.connect(IMEI)
    world.run(1)
    while world.up:
        up, world.up = world.up, []
        for message in up:
            world.deliver_up(message)
        world.run(1)
        world.down = [one for one in world.down if one[1] is not PhoneTopic.FRESH]
    assert not handset.phone.memory.confirmed
    world.pass_time(20)
    assert handset.phone.memory.confirmed


# --- time ----------------------------------------------------------------------------------------------------------


def test_with_a_clock_behind_locks_are_refused_and_nothing_is_recorded(world: World, phone: LinkedHandset) -> None:
    world.clock.skew = -3600
    with pytest.raises(ClockSuspectError, match="behind"):
        world.tell(overdue(90, at=1))
    assert world.row(IMEI).loan.days_overdue == 0
    world.clock.skew = 0
    assert not world.tell(overdue(90, at=1)).repeated
    world.exchange()
    assert phone.shown == LOCKED


@pytest.mark.parametrize("skew", [-3600, 10**7], ids=["behind", "ahead"])
def test_with_a_wrong_clock_payers_do_not_wait(world: World, phone: LinkedHandset, skew: int) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    signed = world.row(IMEI).desired.state.issued_at
    world.clock.skew = skew
    world.tell(payment(at=2))
    world.exchange()
    assert phone.shown == OPEN
    assert 0 <= world.row(IMEI).desired.state.issued_at - signed < 60


def test_a_wrong_clock_and_a_phone_that_claims_too_much_do_not_end_the_connection(
    world: World, phone: LinkedHandset
) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    ahead = world.office.lender.state(IMEI, Level.LOCKED, version=50)
    world.clock.skew = -3600
    world.down.append((IMEI, PhoneTopic.DESIRED, world.office.lender.sign(ahead)))
    world.exchange()
    assert phone.phone.memory.floor is not None
    assert phone.phone.memory.floor.version == 50
    assert world.online
    world.clock.skew = 0
    phone.press_check()
    world.collect(IMEI)
    world.exchange()
    assert world.row(IMEI).desired.state.version == 51


def test_a_clock_that_jumps_ahead_does_not_take_phones_with_it(world: World, phone: LinkedHandset) -> None:
    world.clock.skew = 400 * 86_400
    phone.press_check()
    world.collect(IMEI)
    world.exchange()
    world.clock.skew = 0
    assert abs(phone.phone.clock.now(phone.monotonic) - world.clock.now()) < 5
    world.tell(overdue(90, at=1))
    world.exchange()
    assert phone.shown == LOCKED


# --- intruders, and keys that are not where they should be ---------------------------------------------------------


def test_a_foreign_state_on_the_topic_is_covered_at_once(world: World, phone: LinkedHandset) -> None:
    ours = world.desired_on_broker(IMEI)
    world.intrude(IMEI, b"anything")
    world.exchange()
    assert world.desired_on_broker(IMEI) == ours
    assert "foreign_state" in world.log.events("warning")
    assert phone.shown == OPEN


def test_a_foreign_state_that_nobody_saw_arrive_is_covered_when_the_phone_refuses_it(
    world: World, phone: LinkedHandset
) -> None:
    ours = world.desired_on_broker(IMEI)
    world.cut_bridge()
    world.disconnect(IMEI)
    world.intrude(IMEI, b"anything")
    world.connect_bridge()
    world.connect(IMEI)
    world.exchange()
    assert world.desired_on_broker(IMEI) == ours
    assert phone.shown == OPEN


def test_a_second_state_of_one_version_is_counted_as_what_the_phone_says_that_it_is(
    world: World, phone: LinkedHandset
) -> None:
    lender, desired = world.office.lender, world.row(IMEI).desired
    world.intrude(IMEI, lender.sign(lender.state(IMEI, Level.LOCKED, version=desired.state.version)))
    world.exchange()
    assert phone.shown == OPEN
    assert world.listener.phone_refusals == {"Equivocation": 1}


def test_names_that_a_phone_makes_up_are_counted_as_one(world: World, phone: LinkedHandset) -> None:
    last = phone.reports[-1]
    for number in range(20):
        word = replace(last, result=Result.REFUSED, detail=f"Name{number}", sequence=last.sequence + 1 + number)
        world.deliver_up((IMEI, PhoneTopic.REPORTED, seal(REPORTED, word, [DEVICE])))
        world.exchange()
    assert list(world.listener.phone_refusals.values()) == [20]


def test_a_report_that_is_refused_says_nothing_about_what_its_phone_refuses(world: World, phone: LinkedHandset) -> None:
    last = phone.reports[-1]
    word = replace(last, result=Result.REFUSED, detail="Equivocation", sequence=last.sequence + 1)
    world.deliver_up((IMEI, PhoneTopic.REPORTED, seal(REPORTED, word, [SigningKey.from_seed(b"clone".ljust(32))])))
    world.exchange()
    assert world.listener.refusals == {"UnknownKey": 1}
    assert not world.listener.phone_refusals


def test_an_emptied_topic_is_filled_again(world: World, phone: LinkedHandset) -> None:
    ours = world.desired_on_broker(IMEI)
    world.intrude(IMEI, b"")
    world.exchange()
    assert world.desired_on_broker(IMEI) == ours
    assert phone.shown == OPEN


def test_the_bridges_own_state_put_there_by_somebody_else_needs_no_answer(world: World, phone: LinkedHandset) -> None:
    world.pass_time(1)
    world.published.clear()
    world.intrude(IMEI, world.row(IMEI).desired.envelope)
    world.run(1)
    assert [topic for topic, _ in world.published] == [TOPICS.phone(IMEI, PhoneTopic.DESIRED)]
    assert phone.shown == OPEN


def test_a_reset_phone_that_finds_an_old_unlock_locks_as_soon_as_the_bridge_answers(
    world: World, phone: LinkedHandset
) -> None:
    old_unlock = world.desired_on_broker(IMEI)
    world.tell(overdue(90, at=1))
    world.exchange()
    world.cut_bridge()
    world.factory_reset(IMEI)
    world.intrude(IMEI, old_unlock)
    world.connect(IMEI)
    world.exchange()
    assert phone.shown == (Level.UNLOCKED, Condition.PROVISIONAL)
    world.connect_bridge()
    world.pass_time(20)
    assert phone.shown == LOCKED
    assert world.newest_command(IMEI).status is Status.SUCCEEDED


def test_a_released_phone_that_is_reset_is_released_again(world: World, phone: LinkedHandset) -> None:
    world.tell(settled(at=1))
    world.exchange()
    world.factory_reset(IMEI)
    world.connect(IMEI)
    world.pass_time(20)
    assert phone.level is Level.RELEASED


def test_a_phone_that_claims_a_version_nobody_gave_gets_one_above_it_and_somebody_is_told(
    world: World, phone: LinkedHandset
) -> None:
    stolen = world.office.lender.sign(world.office.lender.state(IMEI, Level.LOCKED, version=50))
    world.pass_time(1)
    world.cut_bridge()
    world.disconnect(IMEI)
    world.intrude(IMEI, stolen)
    world.connect_bridge()
    world.connect(IMEI)
    world.exchange()
    assert "version_above_ours" in world.log.events("critical")
    assert phone.shown == OPEN
    assert world.row(IMEI).desired.state.version == 51


@pytest.mark.parametrize(("theirs", "decided"), [(Level.UNLOCKED, LOCKED), (Level.LOCKED, OPEN)])
def test_a_phone_that_holds_another_state_under_the_same_version_gets_one_above_it_and_somebody_is_told(
    world: World, phone: LinkedHandset, theirs: Level, decided: tuple[Level, Condition]
) -> None:
    """A key is stolen, or the database is an older one: whatever has this version, the phone refuses."""
    if decided == OPEN:
        world.tell(overdue(90, at=1))
        world.exchange()
    version = world.row(IMEI).desired.state.version + 1
    stolen = world.office.lender.sign(world.office.lender.state(IMEI, theirs, version=version))
    world.pass_time(1)
    world.cut_bridge()
    world.intrude(IMEI, stolen)
    world.exchange()
    world.tell(payment(at=2) if decided == OPEN else overdue(90, at=2))
    assert world.row(IMEI).desired.state.version == version
    world.connect_bridge()
    world.exchange()
    assert "version_not_ours" in world.log.events("critical")
    assert phone.shown == decided
    assert world.row(IMEI).desired.state.version == version + 1


@pytest.mark.parametrize("claimed", [MAX_INTEGER, MAX_INTEGER - 1, MAX_INTEGER - MAX_VERSION_JUMP])
def test_a_phone_that_claims_the_last_versions_leaves_enough_to_lock_and_open_it(
    world: World, phone: LinkedHandset, claimed: int
) -> None:
    desired = world.row(IMEI).desired
    forged = replace(
        phone.said, epoch=desired.state.epoch, version=claimed, state_hash=desired.state_hash, sequence=10**6
    )
    world.deliver_up((IMEI, PhoneTopic.HELLO, seal(HELLO, forged, [DEVICE])))
    world.exchange()
    assert "version_above_ours" in world.log.events("critical")
    assert "message_failed" not in world.log.events("critical")
    for decision in (overdue(90, at=1), payment(at=2), settled(at=3)):
        assert world.tell(decision).command_id is not None


def test_a_refused_opening_is_signed_anew_after_a_pause_that_grows_and_somebody_is_told(
    world: World, phone: LinkedHandset, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tell(overdue(90, at=1))
    world.exchange()
    lender = world.office.lender
    monkeypatch.setattr(lender, "_signers", lambda _: [lender.lock_key])
    world.tell(payment(at=2))
    world.exchange()
    assert phone.shown == LOCKED
    assert _next_try(world) == (4, 5)
    world.pass_time(7)
    assert _next_try(world) == (5, 30)
    world.pass_time(32)
    assert _next_try(world) == (6, 300)
    assert world.log.events("critical") == ["opening_refused"], "once a minute"
    monkeypatch.undo()
    world.pass_time(302)
    world.pass_time(302)
    assert phone.shown == OPEN
    assert world.row(IMEI).refused_openings == 0
    backlog = world.loop.run(world.store.backlog.read())
    assert [oldest.due_since for oldest in backlog.commands.values()] == [None] * len(Lane)


def _next_try(world: World) -> tuple[int, int]:
    """The version that is to go out next, and how many seconds after it was signed."""
    command = world.newest_command(IMEI)
    return command.version, command.due_at - command.created_at


def test_a_publish_that_the_broker_refuses_is_tried_again_and_holds_up_nobody(
    world: World, phone: LinkedHandset
) -> None:
    other = simulated_imei(2)
    world.enrol(other)
    topic = TOPICS.phone(IMEI, PhoneTopic.DESIRED)
    world.denied.add(topic)
    world.tell(overdue(90, at=1))
    world.tell(overdue(90, at=1, imei=other))
    world.run(0.5)
    assert world.newest_command(other).status is Status.SENT
    assert world.newest_command(IMEI).status is Status.QUEUED
    world.denied.clear()
    world.pass_time(20)
    assert phone.shown == LOCKED


def test_a_command_whose_phone_stays_silent_is_shown_as_timed_out_and_still_succeeds(
    world: World, phone: LinkedHandset
) -> None:
    world.disconnect(IMEI)
    lock = world.tell(overdue(90, at=1))
    world.run(1000)
    assert world.command(lock).status is Status.TIMED_OUT
    world.connect(IMEI)
    world.exchange()
    assert world.command(lock).status is Status.SUCCEEDED
    assert phone.shown == LOCKED


def test_a_store_that_is_away_for_a_while_loses_no_acknowledgement(world: World, phone: LinkedHandset) -> None:
    world.pubacks.clear()
    lock = world.tell(overdue(90, at=1))
    world.run(1)
    world.store.commits.available = False
    world.pubacks.set()
    world.run(2)
    assert world.command(lock).status is Status.QUEUED
    world.store.commits.available = True
    world.run(2)
    assert world.command(lock).status is Status.SENT
    world.exchange()
    assert phone.shown == LOCKED


def test_what_a_phone_says_while_the_store_is_away_counts_when_it_is_back(world: World, phone: LinkedHandset) -> None:
    """It says once that it has locked, and nothing more for a quarter of an hour."""
    lock = world.tell(overdue(90, at=1))
    world.store.commits.available = False
    world.exchange()
    assert phone.shown == LOCKED
    world.run(60)
    assert world.command(lock).status is Status.QUEUED
    world.store.commits.available = True
    world.run(LONGEST_PAUSE_S + 1)
    assert world.command(lock).status is Status.SUCCEEDED


def test_what_the_store_does_not_take_for_a_quarter_of_an_hour_is_dropped(world: World, phone: LinkedHandset) -> None:
    lock = world.tell(overdue(90, at=1))
    world.store.commits.available = False
    world.exchange()
    world.run(MOST_TRIES * LONGEST_PAUSE_S)
    assert world.log.events("warning").count("message_dropped") == 1
    world.store.commits.available = True
    world.run(5)
    assert world.command(lock).status is Status.SENT
    world.pass_time(CLOSED_EVERY_S + 5)
    assert (phone.shown, world.command(lock).status) == (LOCKED, Status.SUCCEEDED)


def test_an_opening_that_another_bridge_has_committed_goes_out_all_the_same(world: World, phone: LinkedHandset) -> None:
    """It has no connection: this bridge has taken its client id."""
    world.tell(overdue(90, at=1))
    world.exchange()
    assert phone.shown == LOCKED
    other = InlineStore(f"sqlite:///{world.database}")
    world.loop.run(other.commits.commit(world.office.decide(payment(at=2))))
    other.close()
    world.run(LOOK_ROUND + 1)
    world.exchange()
    assert phone.shown == OPEN


def test_a_lock_that_another_bridge_has_committed_goes_out_within_a_minute(world: World, phone: LinkedHandset) -> None:
    """It has no connection, as in the test above, and has none for longer than any phone should wait for its lock."""
    world.run(1)
    other = InlineStore(f"sqlite:///{world.database}")
    world.loop.run(other.commits.commit(world.office.decide(overdue(90, at=1))))
    other.close()
    world.run(LOOK_EVERYWHERE + 1)
    world.exchange()
    assert phone.shown == LOCKED


def test_a_phone_in_a_loop_does_not_make_others_wait_nor_fill_the_log(world: World, phone: LinkedHandset) -> None:
    other = world.enrol(simulated_imei(2))
    for _ in range(5 * MAX_OF_ONE_PHONE):
        world.deliver_up((IMEI, PhoneTopic.HELLO, phone.hello))
        world.deliver_up((IMEI, PhoneTopic.REPORTED, b"rubbish"))
    world.connect(other.imei)
    world.exchange()
    assert other.shown == OPEN
    assert other.phone.memory.confirmed
    assert world.listener.refusals["Flood"] == 8 * MAX_OF_ONE_PHONE
    assert world.log.events("warning").count("message_refused") <= 4
    phone.press_check()
    world.collect(IMEI)
    world.exchange()
    assert phone.phone.dialogue.nonce is None, "a phone that has calmed down is answered again"


def freshes(world: World) -> int:
    """How many hellos of the phone have been answered."""
    return [topic for topic, _ in world.published].count(TOPICS.phone(IMEI, PhoneTopic.FRESH))


def test_a_hello_that_was_repeated_before_its_answer_went_out_is_answered_once(
    world: World, phone: LinkedHandset
) -> None:
    phone.press_check()
    phone.wait(15)  # the bridge is busy, and hears neither
    world.collect(IMEI)
    assert [topic for _, topic, _ in world.up] == [PhoneTopic.HELLO] * 2
    answered = freshes(world)
    world.exchange()
    assert freshes(world) == answered + 1
    assert phone.phone.dialogue.nonce is None
    assert {report.detail for report in phone.reports} == {""}


def test_a_repeated_hello_is_answered_again_when_the_answer_was_lost(world: World, phone: LinkedHandset) -> None:
    phone.press_check()
    world.collect(IMEI)
    (hello,), world.up = world.up, []
    world.deliver_up(hello)
    world.run(1)
    world.down.clear()
    world.pass_time(15)
    assert phone.phone.dialogue.nonce is None


def test_what_a_repeated_hello_says_counts_although_it_needs_no_answer(world: World, phone: LinkedHandset) -> None:
    phone.press_check()
    phone.raise_signals(Signals.SIM)
    phone.wait(15)
    world.collect(IMEI)
    world.up = [one for one in world.up if one[1] is PhoneTopic.HELLO]  # the report is lost
    world.exchange()
    assert world.row(IMEI).signals == Signals.SIM
    assert world.row(IMEI).sequence == phone.said.sequence


@pytest.mark.parametrize("catches_up", [True, False])
def test_a_bridge_that_is_behind_answers_a_hello_once_and_again_when_it_has_caught_up_or_after_a_minute(
    world: World, phone: LinkedHandset, monkeypatch: pytest.MonkeyPatch, *, catches_up: bool
) -> None:
    behind, caught_up, commit_each = simulated_imei(2), asyncio.Event(), world.store.commits.commit_each

    async def commit_late(jobs: Sequence[Any]) -> Sequence[Any]:
        if jobs[0].imei == behind:
            await caught_up.wait()
        return await commit_each(jobs)

    monkeypatch.setattr(world.store.commits, "commit_each", commit_late)
    world.deliver_up((behind, PhoneTopic.REPORTED, b"what takes long to judge"))
    world.run(SLICE_S)
    answered = freshes(world)
    phone.press_check()
    for _ in range(2):
        world.collect(IMEI)
        world.deliver_up(world.up.pop())
        world.run(SLICE_S)
        world.down.clear()  # the answer is lost
        phone.wait(15)
    assert freshes(world) == answered + 1
    if catches_up:
        caught_up.set()
    world.run(SLICE_S if catches_up else ANSWER_STANDS_S)
    phone.wait(30)
    world.collect(IMEI)
    world.deliver_up(world.up.pop())
    world.exchange()
    assert freshes(world) == answered + 2
    assert phone.phone.dialogue.nonce is None
    caught_up.set()
