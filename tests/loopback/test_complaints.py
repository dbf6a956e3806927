"""Phones that complain without end: their topics are right again soon, and neither broker nor log is filled."""

from dataclasses import replace
from itertools import count

import pytest

from broker_bridge.app.confirm import CLIMB_AGAIN_S
from broker_bridge.app.sent import RESEND_AFTER_S, RESTORE_AGAIN_S
from broker_bridge.app.sweep import LOOK_ROUND
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.envelope import HELLO, REPORTED, seal
from lock_protocol.levels import Condition, Level, Result
from lock_protocol.messages import StateHash
from lock_protocol.topics import PhoneTopic
from tests.bridge_rig import ACME, DEVICE
from tests.loopback.world import TOPICS, LinkedHandset, World
from tests.unit.broker_bridge.facts import overdue, payment, settled

IMEI = simulated_imei(1)
DESIRED = TOPICS.phone(IMEI, PhoneTopic.DESIRED)
FOREIGN = StateHash(b"f" * 32)
IN_TIME_S = RESTORE_AGAIN_S + LOOK_ROUND
"""By then whatever was put off has gone out."""
sequences = count(10**6)


@pytest.fixture(params=[Level.UNLOCKED, Level.LOCKED])
def phone(world: World, request: pytest.FixtureRequest) -> LinkedHandset:
    """A connected phone that has applied its newest state."""
    handset = world.enrol(IMEI)
    world.connect(IMEI)
    world.exchange()
    if request.param is Level.LOCKED:
        world.tell(overdue(90, at=1))
    world.pass_time(2)
    assert handset.level is request.param
    world.published.clear()
    world.log.entries.clear()
    return handset


def complain(world: World, phone: LinkedHandset, about: StateHash = FOREIGN, error: str = "BadSignature") -> None:
    """Have a phone say that it has refused a state, as often as it likes; it need not be true."""
    desired = world.row(IMEI).desired
    epoch, version = desired.order
    word = replace(
        phone.report,
        result=Result.REFUSED,
        detail=error,
        about_epoch=epoch,
        about_version=version,
        about_hash=about,
        sequence=next(sequences),
    )
    world.deliver_up((IMEI, PhoneTopic.REPORTED, seal(REPORTED, word, [DEVICE])))
    world.run(0.1)


def restored(world: World) -> int:
    """How often the newest state was published since this was last asked."""
    envelope = world.row(IMEI).desired.envelope
    times = world.published.count((DESIRED, envelope))
    world.published.clear()
    return times


def overwrite_unseen(world: World) -> None:
    """Put something over the state where the bridge does not see it."""
    world.retained[DESIRED] = b"forged"


@pytest.mark.parametrize("unproven", [False, True], ids=["foreign", "looks like ours"])
def test_a_phone_in_a_loop_has_its_state_published_twice_a_minute(
    world: World, phone: LinkedHandset, *, unproven: bool
) -> None:
    about = world.row(IMEI).desired.state_hash if unproven else FOREIGN
    world.disconnect(IMEI)
    for _ in range(3 * RESTORE_AGAIN_S):
        complain(world, phone, about)
        world.pass_time(1)
    assert 3 <= restored(world) <= 2 * 3 + 1
    assert 1 < len(world.log.events("warning")) <= 4


def test_a_topic_that_is_attacked_again_is_right_again_within_a_minute(world: World, phone: LinkedHandset) -> None:
    for _ in range(3):
        overwrite_unseen(world)
        complain(world, phone)
        assert restored(world) == 1
        assert world.desired_on_broker(IMEI) != b"forged"
        overwrite_unseen(world)
        complain(world, phone)
        assert restored(world) == 0
        world.pass_time(IN_TIME_S)
        assert world.desired_on_broker(IMEI) != b"forged"
        assert restored(world) == 1


def test_what_is_to_be_published_once_more_is_so_by_the_next_bridge(world: World, phone: LinkedHandset) -> None:
    complain(world, phone)
    world.run(1)
    world.kill_bridge()
    overwrite_unseen(world)
    world.start_bridge()
    complain(world, phone)
    world.published.clear()
    world.pass_time(IN_TIME_S)
    assert (world.desired_on_broker(IMEI), restored(world)) == (world.row(IMEI).desired.envelope, 1)


def test_it_is_published_once_more_although_its_lane_runs_over(world: World, phone: LinkedHandset) -> None:
    """Then all that waits is read from the database, where this is among what has gone out already."""
    complain(world, phone)
    overwrite_unseen(world)
    for _ in range(10 * IN_TIME_S):
        world.deliverer.look_again()
        world.run(0.1)
    assert world.desired_on_broker(IMEI) == world.row(IMEI).desired.envelope


def test_what_the_bridge_sees_on_the_topic_is_covered_at_once_each_time(world: World, phone: LinkedHandset) -> None:
    for number in range(20):
        complain(world, phone)
        world.intrude(IMEI, b"forged %d" % number)
        world.run(0.1)
        assert world.desired_on_broker(IMEI) == world.row(IMEI).desired.envelope
    assert world.log.events("warning") == ["foreign_state"]


def test_an_opening_is_held_back_by_no_complaint(world: World, phone: LinkedHandset) -> None:
    world.tell(overdue(90, at=2))
    world.exchange()
    for _ in range(5):
        complain(world, phone)
    world.tell(payment(at=3))
    world.run(0.1)
    assert world.newest_command(IMEI).lane is Lane.OPENING
    assert restored(world) == 1
    overwrite_unseen(world)
    complain(world, phone)
    assert restored(world) == 1
    world.pass_time(1)
    assert phone.level is Level.UNLOCKED


def test_an_opening_is_repeated_on_time_whatever_its_phone_complains_of(world: World, phone: LinkedHandset) -> None:
    world.tell(overdue(90, at=2))
    world.exchange()
    world.disconnect(IMEI)
    world.tell(payment(at=3))
    world.run(1)
    complain(world, phone)
    world.run(1)
    assert world.newest_command(IMEI).due_at - world.clock.now() <= 30
    for _ in range(20):
        complain(world, phone)
    assert restored(world) <= 5
    world.pass_time(IN_TIME_S)
    assert restored(world) >= 1


def test_a_state_that_replaces_one_that_was_put_off_leaves_nothing_due(world: World, phone: LinkedHandset) -> None:
    complain(world, phone)
    put_off = world.newest_command(IMEI)
    assert put_off.due_at > world.clock.now()
    world.tell(settled(at=2))
    replaced = world.loop.run(world.store.commands.one(ACME, put_off.command_id))
    assert replaced == replace(put_off, due_at=0)


def say(world: World, phone: LinkedHandset, level: Level) -> None:
    """Have a phone say hello, with its newest state applied and at a level that need not be true."""
    desired = world.row(IMEI).desired
    epoch, version = desired.order
    said = replace(
        phone.said,
        sequence=next(sequences),
        epoch=epoch,
        version=version,
        state_hash=desired.state_hash,
        effective_level=level,
        condition=Condition.APPLIED,
    )
    world.deliver_up((IMEI, PhoneTopic.HELLO, seal(HELLO, said, [DEVICE])))
    world.run(0.1)


def pay(world: World) -> None:
    """Have a locked phone paid for while it is away: it waits for an opening."""
    world.tell(overdue(90, at=2))
    world.exchange()
    world.disconnect(IMEI)
    world.tell(payment(at=3))
    world.run(0.1)


def refuse(world: World, phone: LinkedHandset) -> None:
    """Have a phone refuse its newest state as it may only refuse a proven one."""
    complain(world, phone, world.row(IMEI).desired.state_hash, "NoticeNotAllowed")


def test_an_opening_that_its_phone_refuses_and_asks_for_in_turns_is_signed_anew_only_after_its_pause(
    world: World, phone: LinkedHandset
) -> None:
    pay(world)
    version = world.row(IMEI).desired.order[1]
    for _ in range(20):
        refuse(world, phone)
        world.deliver_up((IMEI, PhoneTopic.HELLO, seal(HELLO, replace(phone.said, sequence=next(sequences)), [DEVICE])))
        world.run(0.1)
    assert world.row(IMEI).desired.order[1] == version + 1
    world.run(RESEND_AFTER_S[0])
    refuse(world, phone)
    assert world.row(IMEI).desired.order[1] == version + 2


def test_an_opening_that_its_phone_proves_and_refuses_in_turns_is_signed_anew_every_five_minutes(
    world: World, phone: LinkedHandset
) -> None:
    pay(world)
    version = world.row(IMEI).desired.order[1]
    for _ in range(20):
        say(world, phone, Level.UNLOCKED)
        say(world, phone, Level.LOCKED)
        refuse(world, phone)
    assert world.row(IMEI).desired.order[1] == version
    restored(world)
    world.run(RESEND_AFTER_S[-1])
    assert restored(world) >= 1
    refuse(world, phone)
    assert world.row(IMEI).desired.order[1] == version + 1


def test_the_pauses_begin_anew_once_an_opening_has_been_proven(world: World, phone: LinkedHandset) -> None:
    pay(world)
    refuse(world, phone)
    assert world.row(IMEI).refused_openings == 1
    say(world, phone, Level.UNLOCKED)
    assert world.row(IMEI).refused_openings == 0


def test_what_a_phone_refuses_and_is_no_state_has_no_state_published(world: World, phone: LinkedHandset) -> None:
    for error in ("BadRoot", "RootNotNext", "WrongNonce"):
        complain(world, phone, error=error)
    assert restored(world) == 0
    assert "refused_no_state" in world.log.events("info")


def claim(world: World, phone: LinkedHandset, version: int) -> None:
    """Have a phone say that it holds a state of this version that nobody gave it, in its newest state's epoch."""
    epoch = world.row(IMEI).desired.order[0]
    said = replace(phone.said, sequence=next(sequences), epoch=epoch, version=version, state_hash=FOREIGN)
    world.deliver_up((IMEI, PhoneTopic.HELLO, seal(HELLO, said, [DEVICE])))
    world.run(0.1)


def test_a_phone_that_claims_ever_higher_versions_has_one_signed_every_five_minutes(
    world: World, phone: LinkedHandset
) -> None:
    world.disconnect(IMEI)
    claim(world, phone, 1000)
    assert world.row(IMEI).desired.order[1] == 1001, "a database that was restored is repaired at once"
    for version in range(2000, 20_000, 1000):
        claim(world, phone, version)
    assert world.row(IMEI).desired.order[1] == 1001
    world.run(CLIMB_AGAIN_S)
    claim(world, phone, 19_000)
    assert world.row(IMEI).desired.order[1] == 19_001
    claim(world, phone, 20_000)
    assert world.row(IMEI).desired.order[1] == 19_001


def test_a_phone_that_claims_another_state_of_each_version_has_one_signed_every_five_minutes(
    world: World, phone: LinkedHandset
) -> None:
    world.disconnect(IMEI)
    first = world.row(IMEI).desired.order[1]
    for _ in range(10):
        claim(world, phone, world.row(IMEI).desired.order[1])
    assert world.row(IMEI).desired.order[1] == first + 1
    world.run(CLIMB_AGAIN_S)
    claim(world, phone, first + 1)
    assert world.row(IMEI).desired.order[1] == first + 2


def test_a_decision_goes_above_what_its_phone_claims_at_once(world: World, phone: LinkedHandset) -> None:
    world.disconnect(IMEI)
    for version in (1000, 2000):
        claim(world, phone, version)
    world.tell(payment(at=2) if phone.level is Level.LOCKED else overdue(90, at=2))
    world.run(0.1)
    assert world.row(IMEI).desired.order[1] == 2001
    assert restored(world) == 1


def test_a_clock_that_was_ahead_keeps_no_opening_from_going_above_what_its_phone_claims(
    world: World, phone: LinkedHandset
) -> None:
    world.disconnect(IMEI)
    world.tell(overdue(90, at=2))
    world.tell(payment(at=3))
    world.clock.skew = 1000
    claim(world, phone, 1000)
    world.clock.skew = 0
    claim(world, phone, 2000)
    assert world.row(IMEI).desired.order[1] == 2001


def test_no_phone_fills_the_log_with_what_it_claims(world: World, phone: LinkedHandset) -> None:
    """Whoever has its key says a version, an epoch and refusals, each time others."""
    world.disconnect(IMEI)
    for number in range(1, 30):
        for epoch, version in ((1, 1000 * number), (1 + number, 1)):
            said = replace(phone.said, sequence=next(sequences), epoch=epoch, version=version)
            world.deliver_up((IMEI, PhoneTopic.HELLO, seal(HELLO, said, [DEVICE])))
            world.run(0.1)
        for error in ("NoticeNotAllowed", "DelegationExpired", f"word {number}"):
            complain(world, phone, world.row(IMEI).desired.state_hash, error)
    told = world.log.events("warning") + world.log.events("critical")
    assert {"version_above_ours", "epoch_above_ours", "foreign_state"} < set(told)
    assert len(told) == len(set(told))
    assert world.listener.judge.signs_of_another == {"version_above_ours": 29, "epoch_above_ours": 29}


def test_no_phone_fills_the_memory_with_names_of_refusals(world: World, phone: LinkedHandset) -> None:
    for error in ("word 1", "word 2", "BadSignature"):
        complain(world, phone, error=error)
    assert world.listener.phone_refusals == {"MadeUp": 2, "BadSignature": 1}


def test_what_a_phone_refuses_as_it_is_released_already_is_not_signed_anew(world: World, phone: LinkedHandset) -> None:
    world.disconnect(IMEI)
    world.tell(settled(at=2))
    world.run(1)
    released = world.row(IMEI).desired
    complain(world, phone, released.state_hash, "AlreadyReleased")
    world.pass_time(2 * RESEND_AFTER_S[-1])
    assert world.row(IMEI).desired.order == released.order
    assert world.log.events("critical") == []
    assert "state_refused" in world.log.events("warning")


def test_no_phone_fills_the_log_while_the_database_is_away(world: World, phone: LinkedHandset) -> None:
    world.store.commits.available = False
    for _ in range(10):
        complain(world, phone)
    assert world.log.events("warning").count("message_delayed") == 1


def test_no_phone_fills_the_log_while_the_broker_refuses_its_state(world: World, phone: LinkedHandset) -> None:
    world.denied.add(DESIRED)
    world.factory_reset(IMEI)
    del world.retained[DESIRED]
    world.connect(IMEI)
    world.pass_time(20)
    for _ in range(20):
        world.deliver_up((IMEI, PhoneTopic.HELLO, phone.hello))
        world.run(0.1)
    assert sorted(world.log.events("warning")) == ["message_dropped", "publish_refused", "publish_set_aside"]
