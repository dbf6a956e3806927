"""What a phone does with states and answers."""

from dataclasses import replace

import pytest

from device_sim.identities import simulated_imei
from device_sim.phone.effects import Happening
from lock_protocol.codec import decode
from lock_protocol.envelope import DELEGATION, DESIRED, read_envelope, seal
from lock_protocol.levels import Condition, Level, Result, Signals
from lock_protocol.messages import NO_HASH, Delegation, DesiredState, Notice
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import DAY, EPOCH_BEGIN, YEAR, Lender, RootAuthority, key


def test_a_phone_without_a_state_takes_the_provisional_level_at_once(fresh_phone: Handset) -> None:
    assert (fresh_phone.level, fresh_phone.condition) == (Level.RESTRICTED, Condition.PROVISIONAL)


def test_a_lock_is_applied_although_nothing_confirms_it(fresh_phone: Handset, lender: Lender) -> None:
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    assert (fresh_phone.level, fresh_phone.condition) == (Level.LOCKED, Condition.APPLIED)


def test_an_opening_opens_a_confirmed_phone_for_good(paid_phone: Handset) -> None:
    paid_phone.wait(3 * DAY)
    assert (paid_phone.level, paid_phone.condition) == (Level.UNLOCKED, Condition.APPLIED)


def test_what_was_applied_is_reported(paid_phone: Handset) -> None:
    report, floor = paid_phone.report, paid_phone.phone.memory.floor
    assert floor is not None
    assert (report.result, report.effective_level) == (Result.APPLIED, Level.UNLOCKED)
    assert (report.epoch, report.version, report.state_hash) == (1, 2, floor.state_hash)
    assert (report.about_epoch, report.about_version, report.about_hash) == (1, 2, floor.state_hash)


def test_a_duplicate_is_applied_and_reported_again(paid_phone: Handset, lender: Lender) -> None:
    applied, reported = len(paid_phone.applied), len(paid_phone.reports)
    before = paid_phone.phone.memory
    paid_phone.receive(lender.sign(lender.newest[IMEI]))
    assert paid_phone.observed() == [Happening.DUPLICATE, Happening.REPORT]
    assert (len(paid_phone.applied), len(paid_phone.reports)) == (applied + 1, reported + 1)
    assert replace(paid_phone.phone.memory, sequence=0) == replace(before, sequence=0)


def test_an_older_state_is_refused_and_changes_nothing(paid_phone: Handset, lender: Lender) -> None:
    paid_phone.receive(lender.sign(lender.state(IMEI, Level.LOCKED, version=1)))
    assert paid_phone.refusals() == ["Rollback"]
    assert paid_phone.shows(Level.UNLOCKED)
    assert (paid_phone.report.result, paid_phone.report.detail) == (Result.REFUSED, "Rollback")
    assert (paid_phone.report.version, paid_phone.report.about_version) == (2, 1)


def test_another_state_of_the_same_version_is_an_alarm(paid_phone: Handset, lender: Lender) -> None:
    paid_phone.receive(lender.sign(lender.state(IMEI, Level.LOCKED, version=2)))
    assert paid_phone.refusals() == ["Equivocation"]


def test_a_notice_is_shown_with_the_level_it_belongs_to(fresh_phone: Handset, lender: Lender) -> None:
    notice = Notice(title="Payment due", pay_url="https://pay.example/1")
    fresh_phone.receive(lender.order(IMEI, Level.REMINDER, notice=notice, remind_s=600))
    assert fresh_phone.applied[-1].notice == notice


def test_a_released_phone_takes_nothing_any_more(locked_phone: Handset, lender: Lender) -> None:
    locked_phone.receive(lender.order(IMEI, Level.RELEASED))
    assert locked_phone.shows(Level.RELEASED)
    locked_phone.receive(lender.order(IMEI, Level.LOCKED))
    assert locked_phone.refusals() == ["AlreadyReleased"]
    assert locked_phone.shows(Level.RELEASED)


def test_a_released_phone_is_released_after_a_reset_too(locked_phone: Handset, lender: Lender) -> None:
    locked_phone.receive(released := lender.order(IMEI, Level.RELEASED))
    locked_phone.factory_reset()
    locked_phone.connect()
    locked_phone.receive(released)
    locked_phone.wait(2 * DAY)
    assert locked_phone.shows(Level.RELEASED)


# --- freshness -----------------------------------------------------------------------------------------------------


def test_an_answer_binds_the_lender(fresh_phone: Handset, lender: Lender) -> None:
    assert fresh_phone.phone.signals & Signals.FLOOR_LOST
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    assert not fresh_phone.phone.signals & Signals.FLOOR_LOST
    other = Lender(lender.authority, name="other-lender")
    fresh_phone.receive(other.order(IMEI, Level.UNLOCKED))
    assert fresh_phone.refusals() == ["WrongLender"]


def test_an_answer_of_another_lender_drops_the_state_held(fresh_phone: Handset, lender: Lender) -> None:
    thief = Lender(lender.authority, name="other-lender")
    fresh_phone.receive(thief.order(IMEI, Level.UNLOCKED))
    assert fresh_phone.shows(Level.UNLOCKED)
    lender.order(IMEI, Level.LOCKED)
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    assert (fresh_phone.level, fresh_phone.phone.memory.state) == (Level.RESTRICTED, None)
    assert fresh_phone.said.lender == "acme-mobile"


def test_an_answer_counts_once(locked_phone: Handset, lender: Lender) -> None:
    locked_phone.press_check()
    answer = lender.answer(locked_phone.hello)
    locked_phone.receive_fresh(answer)
    assert Happening.CONFIRMED in locked_phone.observed()
    locked_phone.receive_fresh(answer)
    assert locked_phone.refusals() == ["WrongNonce"]


def test_an_answer_that_names_another_state_makes_the_phone_ask_again_at_once(
    fresh_phone: Handset, lender: Lender
) -> None:
    fresh_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    lender.order(IMEI, Level.LOCKED)
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    assert fresh_phone.observed()[-2:] == [Happening.UNCONFIRMED, Happening.HELLO]
    assert not fresh_phone.phone.memory.confirmed
    asked = len(fresh_phone.hellos)
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    assert len(fresh_phone.hellos) == asked
    fresh_phone.wait(60)
    assert len(fresh_phone.hellos) == asked + 1


def test_binding_alone_does_not_make_the_next_old_opening_count_for_good(fresh_phone: Handset, lender: Lender) -> None:
    openings = [lender.order(IMEI, Level.UNLOCKED) for _ in range(2)]
    lender.order(IMEI, Level.LOCKED)
    fresh_phone.receive(openings[0])
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello))
    fresh_phone.receive(openings[1])
    assert (fresh_phone.level, fresh_phone.condition) == (Level.UNLOCKED, Condition.PROVISIONAL)
    fresh_phone.wait(DAY + 1)
    assert fresh_phone.shows(Level.RESTRICTED)


def test_an_answer_raises_the_time_but_not_past_the_delegation(fresh_phone: Handset, lender: Lender) -> None:
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello, now=EPOCH_BEGIN + 40 * YEAR))
    fresh_phone.press_check()
    assert fresh_phone.said.trusted_now == EPOCH_BEGIN + YEAR


# --- the count -----------------------------------------------------------------------------------------------------


def test_without_a_count_hello_says_zero_and_reports_wait(fresh_phone: Handset, lender: Lender) -> None:
    assert fresh_phone.said.sequence == 0
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    assert fresh_phone.reports == []
    fresh_phone.receive_fresh(lender.answer(fresh_phone.hello, sequence=41))
    assert [report.sequence for report in fresh_phone.reports] == [42]
    assert (fresh_phone.report.result, fresh_phone.report.version) == (Result.APPLIED, 1)


def test_the_count_goes_on_above_what_was_used(locked_phone: Handset, lender: Lender) -> None:
    used = locked_phone.report.sequence
    locked_phone.press_check()
    assert locked_phone.said.sequence == used + 1
    locked_phone.receive_fresh(lender.answer(locked_phone.hello, sequence=0))
    locked_phone.press_check()
    assert locked_phone.said.sequence == used + 2


def test_a_crash_never_uses_a_number_twice(locked_phone: Handset) -> None:
    used = {report.sequence for report in locked_phone.reports}
    for _ in range(5):
        locked_phone.reboot()
        for _ in range(40):
            locked_phone.connect()
            locked_phone.press_check()
            assert locked_phone.said.sequence not in used
            used.add(locked_phone.said.sequence)
            locked_phone.disconnect()


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "name"),
    [(b"", "EmptyState"), (b"x" * 5000, "TooLarge"), (b"\xff", "Malformed"), (b"\xc1", "Malformed")],
)
def test_noise_is_refused_by_name(locked_phone: Handset, payload: bytes, name: str) -> None:
    locked_phone.receive(payload)
    assert locked_phone.refusals() == [name]
    assert locked_phone.shows(Level.LOCKED)
    assert (locked_phone.report.detail, locked_phone.report.about_hash) == (name, NO_HASH)


def test_noise_is_reported_at_most_once_a_minute_by_each_name(locked_phone: Handset) -> None:
    before = len(locked_phone.reports)
    for _ in range(10):
        locked_phone.receive(b"")
        locked_phone.receive(b"\xff")
    assert [report.detail for report in locked_phone.reports[before:]] == ["EmptyState", "Malformed"]
    locked_phone.wait(60)
    locked_phone.receive(b"")
    assert len(locked_phone.reports) == before + 3


def test_what_the_lender_may_not_do_is_always_reported(locked_phone: Handset, lender: Lender) -> None:
    before = len(locked_phone.reports)
    for _ in range(3):
        state = lender.state(IMEI, Level.LOCKED, version=2)
        locked_phone.receive(lender.sign(state, lender.open_key))
    assert [report.detail for report in locked_phone.reports[before:]] == ["OperationNotAllowed"] * 3


def test_a_forged_state_is_told_by_its_hash(locked_phone: Handset, lender: Lender) -> None:
    forged = seal(DESIRED, lender.state(IMEI, Level.UNLOCKED), [key("a thief's")], lender.delegation)
    locked_phone.receive(forged)
    assert locked_phone.refusals() == ["UnknownKey"]
    assert locked_phone.report.about_hash == read_envelope(forged).payload_hash
    assert locked_phone.report.about_version == 2


def test_what_is_no_whole_envelope_is_told_by_nothing(locked_phone: Handset, lender: Lender) -> None:
    locked_phone.receive(lender.sign(lender.state(IMEI, Level.UNLOCKED)) + b"\x00")
    report = locked_phone.report
    assert (report.detail, report.about_version, report.about_hash) == ("Malformed", 0, NO_HASH)


def test_a_message_whose_payload_does_not_fit_its_table_is_told_by_its_hash_alone(
    locked_phone: Handset, lender: Lender
) -> None:
    misplaced = lender.answer(locked_phone.hello)
    locked_phone.receive(misplaced)
    report = locked_phone.report
    assert (report.detail, report.about_version) == ("UnknownType", 0)
    assert report.about_hash == read_envelope(misplaced).payload_hash


def test_another_phones_state_is_refused(locked_phone: Handset, lender: Lender) -> None:
    state = replace(lender.state(IMEI, Level.UNLOCKED), imei=simulated_imei(2))
    locked_phone.receive(lender.sign(state))
    assert locked_phone.refusals() == ["WrongPhone"]


def test_parts_of_two_messages_do_not_make_a_third(locked_phone: Handset, lender: Lender) -> None:
    opening = read_envelope(lender.sign(lender.state(IMEI, Level.UNLOCKED)))
    unlocked = decode(DesiredState, opening.payload)
    lender.delegation_version = 2
    locked_phone.receive(seal(DESIRED, unlocked, [lender.open_key], lender.delegation))
    assert locked_phone.refusals() == ["DelegationMismatch"]


def test_a_delegation_by_nobody_is_refused(locked_phone: Handset, lender: Lender) -> None:
    delegation = decode(Delegation, read_envelope(lender.delegation).payload)
    forged = seal(DELEGATION, delegation, [key("a thief's")])
    locked_phone.receive(seal(DESIRED, lender.state(IMEI, Level.UNLOCKED), [lender.open_key], forged))
    assert locked_phone.refusals() == ["BadDelegation"]


# --- roots ---------------------------------------------------------------------------------------------------------


def test_roots_are_followed_one_by_one(locked_phone: Handset, authority: RootAuthority, lender: Lender) -> None:
    second = authority.successor("root-2")
    third = second.successor("root-3")
    locked_phone.receive_root(third.envelope)
    assert locked_phone.refusals() == ["RootNotNext"]
    locked_phone.receive_root(second.envelope)
    locked_phone.receive_root(third.envelope)
    assert (locked_phone.roots, locked_phone.said.root_version) == ([3, 4], 3)
    assert locked_phone.shows(Level.LOCKED)
    lender.authority, lender.delegation_version = third, 2
    locked_phone.receive(lender.order(IMEI, Level.UNLOCKED))
    assert locked_phone.shows(Level.UNLOCKED)


def test_a_followed_root_survives_a_power_cycle_but_no_reset(locked_phone: Handset, authority: RootAuthority) -> None:
    locked_phone.receive_root(authority.successor().envelope)
    locked_phone.reboot()
    assert locked_phone.phone.root.root_version == 2
    locked_phone.factory_reset()
    assert locked_phone.phone.root.root_version == 1


def test_a_root_by_nobody_is_refused(locked_phone: Handset) -> None:
    thief = RootAuthority(name="thief", root_version=2)
    locked_phone.receive_root(thief.envelope)
    assert locked_phone.refusals() == ["BadRoot"]
    assert locked_phone.report.about_hash == read_envelope(thief.envelope).payload_hash
