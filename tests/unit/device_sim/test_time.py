"""Leases, provisional openings, hellos: what happens to a phone when only time passes."""

from itertools import pairwise

from device_sim.phone.effects import Persist
from device_sim.phone.hello import AWAIT_STATE_S
from lock_protocol.levels import Condition, Level, Result, Signals
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import DAY, EPOCH_BEGIN, Lender, RootAuthority

HOUR = 3600


def reset(handset: Handset, *messages: bytes) -> None:
    """Factory reset, reconnect, and what the broker has retained or somebody has kept."""
    handset.factory_reset()
    handset.connect()
    for message in messages:
        handset.receive(message)


# --- leases --------------------------------------------------------------------------------------------------------


def test_a_lease_locks_when_it_ends(locked_phone: Handset, lender: Lender) -> None:
    until = lender.now + 7 * DAY
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED, lease_until=until, lease_then=Level.LOCKED))
    locked_phone.wait(until - lender.now - 1)
    assert locked_phone.shows(Level.UNLOCKED)
    locked_phone.wait(1)
    assert (locked_phone.level, locked_phone.condition) == (Level.LOCKED, Condition.LEASE_FIRED)
    assert (locked_phone.report.result, locked_phone.report.condition) == (Result.OBSERVED, Condition.LEASE_FIRED)


def test_a_lease_opens_when_the_lender_falls_silent(locked_phone: Handset, lender: Lender) -> None:
    until = lender.now + DAY
    locked_phone.receive(lender.order(IMEI, Level.LOCKED, lease_until=until, lease_then=Level.UNLOCKED))
    locked_phone.disconnect()
    locked_phone.wait(DAY)
    assert locked_phone.shows(Level.UNLOCKED)


def test_a_lease_that_fired_stays_so_through_a_reboot(locked_phone: Handset, lender: Lender) -> None:
    until = lender.now + DAY
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED, lease_until=until, lease_then=Level.LOCKED))
    locked_phone.wait(DAY)
    assert isinstance(locked_phone.effects[0], Persist)
    locked_phone.reboot()
    assert locked_phone.shows(Level.LOCKED)


def test_the_wall_clock_never_counts(locked_phone: Handset, lender: Lender) -> None:
    until = lender.now + DAY
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED, lease_until=until, lease_then=Level.LOCKED))
    before = locked_phone.phone
    locked_phone.change_wall_clock()
    assert locked_phone.phone.clock == before.clock
    assert locked_phone.shows(Level.UNLOCKED)
    assert locked_phone.report.signals == Signals.CLOCK
    locked_phone.wait(DAY)
    assert locked_phone.shows(Level.LOCKED)


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_the_checkpoint_is_never_older_than_a_minute(locked_phone: Handset) -> None:
    for _ in range(100):
        locked_phone.wait(7)
        memory = locked_phone.storage.load(IMEI)
        assert memory is not None
        assert memory.checkpoint is not None
        assert locked_phone.phone.clock.now(locked_phone.monotonic) - memory.checkpoint <= 60


def test_a_phone_switched_off_loses_the_time_it_was_off_and_a_minute_at_most(locked_phone: Handset) -> None:
    locked_phone.wait(HOUR)
    before = locked_phone.phone.clock.now(locked_phone.monotonic)
    locked_phone.cut_power()
    locked_phone.monotonic = 5.0
    locked_phone.boot()
    assert before - 60 <= locked_phone.phone.clock.now(locked_phone.monotonic) <= before


def test_a_higher_epoch_sets_the_time_back(locked_phone: Handset, lender: Lender) -> None:
    locked_phone.wait(2 * DAY)
    lender.epoch, lender.delegation_version = 2, 2
    locked_phone.receive(lender.order(IMEI, Level.LOCKED))
    locked_phone.press_check()
    assert locked_phone.said.trusted_now == lender.now
    locked_phone.reboot()
    locked_phone.connect()
    locked_phone.press_check()
    assert locked_phone.said.trusted_now == lender.now


# --- provisional openings ------------------------------------------------------------------------------------------


def test_an_old_opening_replayed_after_a_reset_gives_way(paid_phone: Handset, lender: Lender) -> None:
    opening = lender.sign(lender.newest[IMEI])
    paid_phone.receive(lender.order(IMEI, Level.LOCKED))
    reset(paid_phone, opening)
    assert (paid_phone.level, paid_phone.condition) == (Level.UNLOCKED, Condition.PROVISIONAL)
    paid_phone.wait(DAY - 1)
    assert paid_phone.shows(Level.UNLOCKED)
    paid_phone.wait(1)
    assert (paid_phone.level, paid_phone.condition) == (Level.RESTRICTED, Condition.PROVISIONAL)


def test_a_row_of_old_openings_gets_one_window_together(locked_phone: Handset, lender: Lender) -> None:
    openings = [lender.order(IMEI, Level.UNLOCKED) for _ in range(4)]
    locked_phone.receive(lender.order(IMEI, Level.LOCKED))
    reset(locked_phone)
    for opening in openings:
        locked_phone.receive(opening)
        locked_phone.wait(DAY / 2)
    assert locked_phone.shows(Level.RESTRICTED)


def test_an_old_opening_of_a_higher_epoch_gets_no_longer_window(locked_phone: Handset, lender: Lender) -> None:
    lender.now = EPOCH_BEGIN + 50 * DAY
    first = lender.order(IMEI, Level.UNLOCKED)
    lender.now, lender.epoch, lender.delegation_version = EPOCH_BEGIN + DAY, 2, 2
    second = lender.order(IMEI, Level.UNLOCKED)
    reset(locked_phone, first, second)
    locked_phone.wait(DAY + 1)
    assert locked_phone.shows(Level.RESTRICTED)


def test_a_time_set_back_leaves_an_unconfirmed_opening_what_was_left_of_its_time(
    fresh_phone: Handset, lender: Lender
) -> None:
    lender.now = EPOCH_BEGIN + 200 * DAY
    fresh_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    fresh_phone.wait(DAY / 4)
    lender.now, lender.epoch, lender.delegation_version = EPOCH_BEGIN + DAY, 2, 2
    fresh_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    fresh_phone.wait(DAY * 3 / 4 - 1)
    assert fresh_phone.shows(Level.UNLOCKED)
    fresh_phone.wait(1)
    assert fresh_phone.shows(Level.RESTRICTED)


def test_a_time_set_back_gives_no_time_again_that_was_over(fresh_phone: Handset, lender: Lender) -> None:
    fresh_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    fresh_phone.wait(2 * DAY)
    lender.now, lender.epoch, lender.delegation_version = EPOCH_BEGIN + DAY, 2, 2
    fresh_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    assert fresh_phone.shows(Level.RESTRICTED)


def test_an_unconfirmed_opening_does_not_survive_a_reboot(paid_phone: Handset, lender: Lender) -> None:
    opening = lender.sign(lender.newest[IMEI])
    reset(paid_phone, opening)
    paid_phone.reboot()
    assert paid_phone.shows(Level.RESTRICTED)
    paid_phone.connect()
    paid_phone.receive(opening)
    assert paid_phone.shows(Level.RESTRICTED)
    paid_phone.receive_fresh(lender.answer(paid_phone.hello))
    assert (paid_phone.level, paid_phone.condition) == (Level.UNLOCKED, Condition.APPLIED)
    assert paid_phone.report.condition is Condition.APPLIED
    paid_phone.reboot()
    assert paid_phone.shows(Level.UNLOCKED)


def test_a_retained_lock_does_not_use_up_the_payers_window(locked_phone: Handset, lender: Lender) -> None:
    reset(locked_phone, lender.sign(lender.newest[IMEI]))
    locked_phone.wait(2 * DAY)
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    assert locked_phone.shows(Level.UNLOCKED)


def test_a_phone_with_a_hardware_floor_refuses_the_old_opening(authority: RootAuthority, lender: Lender) -> None:
    handset = Handset(authority, hardware_floor=True)
    handset.boot()
    handset.connect()
    opening = lender.order(IMEI, Level.UNLOCKED)
    lock = lender.order(IMEI, Level.LOCKED)
    handset.receive(lock)
    handset.receive_fresh(lender.answer(handset.hello))
    reset(handset, opening)
    assert (handset.refusals(), handset.level) == (["Rollback"], Level.RESTRICTED)
    handset.receive(lock)
    assert (handset.level, handset.condition) == (Level.LOCKED, Condition.APPLIED)
    handset.receive(lender.order(IMEI, Level.UNLOCKED))
    assert handset.shows(Level.UNLOCKED)
    handset.receive_fresh(lender.answer(handset.hello))
    handset.wait(2 * DAY)
    assert handset.shows(Level.UNLOCKED)


def test_a_reset_gives_an_ended_lease_no_second_life_although_hardware_keeps_the_floor(
    authority: RootAuthority, lender: Lender
) -> None:
    handset = Handset(authority, hardware_floor=True)
    handset.boot()
    handset.connect()
    until = lender.now + 30 * DAY
    month = lender.order(IMEI, Level.UNLOCKED, lease_until=until, lease_then=Level.LOCKED)
    handset.receive(month)
    handset.receive_fresh(lender.answer(handset.hello))
    handset.wait(30 * DAY)
    assert handset.shows(Level.LOCKED)
    reset(handset, month)
    assert (handset.level, handset.condition) == (Level.UNLOCKED, Condition.PROVISIONAL)
    handset.wait(DAY)
    assert handset.shows(Level.RESTRICTED)
    handset.receive_fresh(lender.answer(handset.hello, now=until))
    assert handset.shows(Level.LOCKED)


# --- hellos --------------------------------------------------------------------------------------------------------


def gaps(handset: Handset, seconds: float) -> list[float]:
    """Return the seconds between the hellos that a phone says while time passes."""
    times, until, said = [handset.monotonic], handset.monotonic + seconds, len(handset.hellos)
    while handset.wake_at <= until:
        handset.wait(handset.wake_at - handset.monotonic)
        if len(handset.hellos) > said:
            said = len(handset.hellos)
            times.append(handset.monotonic)
    return [later - sooner for sooner, later in pairwise(times)]


def test_an_unanswered_hello_is_repeated_ever_more_patiently(fresh_phone: Handset) -> None:
    waits = gaps(fresh_phone, HOUR)
    for wait, least in zip(waits, [10, 20, 40, 80, 160, 300, 300, 300], strict=False):
        assert least <= wait <= least * 1.5


def test_repeats_ask_the_same_question(fresh_phone: Handset, lender: Lender) -> None:
    lender.order(IMEI, Level.LOCKED)
    fresh_phone.receive(lender.sign(lender.newest[IMEI]))
    late = lender.answer(fresh_phone.hello)
    fresh_phone.wait(HOUR)
    fresh_phone.receive_fresh(late)
    assert fresh_phone.refusals() == []
    assert fresh_phone.phone.memory.confirmed


def test_a_closed_phone_asks_every_quarter_of_an_hour_and_an_open_one_every_six(
    locked_phone: Handset, lender: Lender
) -> None:
    assert 0.9 * HOUR / 4 <= gaps(locked_phone, HOUR / 4)[0] <= HOUR / 4
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    locked_phone.receive_fresh(lender.answer(locked_phone.hello))
    assert 0.9 * 6 * HOUR <= gaps(locked_phone, 6 * HOUR)[0] <= 6 * HOUR


def test_a_phone_that_becomes_closed_asks_sooner(paid_phone: Handset, lender: Lender) -> None:
    paid_phone.press_check()
    paid_phone.receive_fresh(lender.answer(paid_phone.hello))
    paid_phone.receive(lender.order(IMEI, Level.REMINDER))
    assert gaps(paid_phone, HOUR / 4)[0] <= HOUR / 4


def test_a_phone_asks_on_every_connect_and_when_its_user_wants_to_know(locked_phone: Handset) -> None:
    asked = len(locked_phone.hellos)
    nonce = locked_phone.said.nonce
    locked_phone.press_check()
    assert len(locked_phone.hellos) == asked + 1
    assert locked_phone.said.nonce != nonce
    locked_phone.disconnect()
    locked_phone.press_check()
    locked_phone.wait(DAY)
    assert len(locked_phone.hellos) == asked + 1
    locked_phone.connect()
    locked_phone.wait(AWAIT_STATE_S)
    assert len(locked_phone.hellos) == asked + 2


def test_a_first_hello_tells_of_the_state_that_the_broker_had_kept(locked_phone: Handset, lender: Lender) -> None:
    said, reported = len(locked_phone.hellos), len(locked_phone.reports)
    locked_phone.disconnect()
    opening = lender.order(IMEI, Level.UNLOCKED)
    locked_phone.connect()
    assert len(locked_phone.hellos) == said
    locked_phone.receive(opening)
    assert locked_phone.shows(Level.UNLOCKED)
    assert (len(locked_phone.hellos), len(locked_phone.reports)) == (said + 1, reported)
    assert (locked_phone.said.version, locked_phone.said.effective_level) == (2, Level.UNLOCKED)
    locked_phone.receive(opening)
    assert len(locked_phone.reports) == reported + 1, "what comes after the hello is reported"


def test_a_first_hello_waits_a_second_for_a_state_and_no_longer(locked_phone: Handset) -> None:
    locked_phone.disconnect()
    locked_phone.connect()
    assert gaps(locked_phone, AWAIT_STATE_S) == [AWAIT_STATE_S]


def test_a_first_hello_follows_a_refusal_at_once_and_hides_none(locked_phone: Handset) -> None:
    said, reported = len(locked_phone.hellos), len(locked_phone.reports)
    locked_phone.disconnect()
    locked_phone.connect()
    locked_phone.receive(b"noise")
    assert [report.detail for report in locked_phone.reports[reported:]] == ["Malformed"]
    assert len(locked_phone.hellos) == said + 1


def test_signals_are_reported_once_and_kept(locked_phone: Handset) -> None:
    before = len(locked_phone.reports)
    locked_phone.raise_signals(Signals.SIM)
    locked_phone.raise_signals(Signals.SIM)
    assert [report.signals for report in locked_phone.reports[before:]] == [Signals.SIM]
    locked_phone.reboot()
    locked_phone.connect()
    locked_phone.wait(AWAIT_STATE_S)
    assert locked_phone.said.signals == Signals.SIM
