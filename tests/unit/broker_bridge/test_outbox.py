"""Which state goes out next."""

import pytest

from broker_bridge.app.outbox import FIRST_BACKOFF_S, MAX_TRIES, SET_ASIDE_S, Outbox
from broker_bridge.app.records import Outgoing
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.messages import LenderId

OPENING, KEEPING, CLOSING = Lane


def state(
    phone: int, lane: Lane = OPENING, *, version: int = 1, lender: str = "acme", repetition: bool = False
) -> Outgoing:
    return Outgoing(
        lender=LenderId(lender),
        imei=simulated_imei(phone),
        lane=lane,
        order=(1, version),
        envelope=b"%d.%d" % (phone, version),
        repetition=repetition,
    )


def outbox(*states: Outgoing, window: int = 10, lane_limit: int = 10_000) -> Outbox:
    box = Outbox(window=window, lane_limit=lane_limit)
    for one in states:
        assert box.offer(one)
    return box


def take_all(box: Outbox, now: float = 0.0) -> list[Outgoing]:
    """What goes out now, until there is no room or nothing ready."""
    taken = []
    while (one := box.take(now)) is not None:
        taken.append(one)
    return taken


def drain(box: Outbox, now: float = 0.0) -> list[Outgoing]:
    """What goes out when every publish is acknowledged at once."""
    taken = []
    while (one := box.take(now)) is not None:
        taken.append(one)
        box.acknowledged(one)
    return taken


# --- lanes ---------------------------------------------------------------------------------------------------------


def test_an_opening_overtakes_thousands_of_queued_locks() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(5000)))
    locks = take_all(box)
    assert box.offer(state(9999, OPENING))
    assert box.take(0.0) == state(9999, OPENING)
    assert len(locks) == 5


def test_keeping_goes_before_closing_and_both_after_opening() -> None:
    box = outbox(state(1, CLOSING), state(2, KEEPING), state(3, OPENING))
    assert [one.lane for one in drain(box)] == [OPENING, KEEPING, CLOSING]


def test_keeping_and_closing_share_half_of_the_window() -> None:
    box = outbox(*(state(phone, KEEPING if phone % 2 else CLOSING) for phone in range(20)), window=10)
    assert len(take_all(box)) == 5


def test_openings_may_use_the_whole_window() -> None:
    box = outbox(*(state(phone) for phone in range(20)), window=10)
    assert len(take_all(box)) == 10


def test_a_lock_goes_out_when_its_half_has_room_again() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(3)), window=2)
    (first,) = take_all(box)
    box.acknowledged(first)
    assert box.take(0.0) == state(1, CLOSING)


def test_openings_in_flight_do_not_hold_up_a_lock() -> None:
    box = outbox(state(1, OPENING), state(2, CLOSING))
    assert [one.lane for one in take_all(box)] == [OPENING, CLOSING]


def test_lenders_take_turns_within_a_lane() -> None:
    box = outbox(
        *(state(phone, CLOSING, lender="large") for phone in range(100)),
        *(state(phone, CLOSING, lender="small") for phone in range(100, 103)),
    )
    assert [one.lender for one in drain(box)[:6]] == ["large", "small"] * 3


def test_one_lenders_states_go_in_the_order_in_which_they_came() -> None:
    states = [state(phone, CLOSING) for phone in range(20)]
    assert drain(outbox(*states)) == states


@pytest.mark.parametrize(("lane", "gone"), [(OPENING, False), (KEEPING, True), (CLOSING, True)])
def test_what_has_gone_out_need_not_go_again_but_for_openings(lane: Lane, gone: bool) -> None:  # noqa: FBT001
    box = outbox(state(1, lane))
    assert not box.has_gone(state(1, lane))
    drain(box)
    assert box.has_gone(state(1, lane)) is gone
    assert not box.has_gone(state(1, lane, version=2))
    assert not box.has_gone(state(1, lane, repetition=True))


@pytest.mark.parametrize(("window", "lane_limit"), [(1, 10), (0, 10), (10, 9)])
def test_a_window_that_cannot_be_halved_or_filled_is_refused(window: int, lane_limit: int) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Outbox(window=window, lane_limit=lane_limit)


# --- one phone -----------------------------------------------------------------------------------------------------


def test_one_phone_has_one_message_in_flight() -> None:
    box = outbox(state(1, version=1))
    (first,) = take_all(box)
    assert box.offer(state(1, version=2))
    assert take_all(box) == []
    box.acknowledged(first)
    assert take_all(box) == [state(1, version=2)]


def test_only_the_newest_version_goes_out() -> None:
    box = outbox(*(state(1, version=version) for version in range(1, 6)))
    assert drain(box) == [state(1, version=5)]


def test_an_older_version_never_takes_the_place_of_a_newer_one_that_waits() -> None:
    box = outbox(state(1, version=2), state(1, version=1))
    assert drain(box) == [state(1, version=2)]


def test_an_older_version_never_follows_a_newer_one_in_flight() -> None:
    box = outbox(state(1, version=2))
    (newer,) = take_all(box)
    assert box.offer(state(1, version=1))
    box.acknowledged(newer)
    assert take_all(box) == []


def test_an_older_version_read_from_the_database_a_while_ago_never_follows_a_newer_one_that_has_gone_out() -> None:
    box = outbox(state(1, version=2))
    assert drain(box) == [state(1, version=2)]
    assert box.offer(state(1, version=1))
    assert take_all(box) == []


def test_the_version_that_went_out_last_may_go_out_again() -> None:
    box = outbox(state(1, version=2))
    drain(box)
    assert box.offer(state(1, version=2))
    assert take_all(box) == [state(1, version=2)]


def test_what_a_newer_version_in_flight_has_replaced_comes_back_as_the_newer_one() -> None:
    box = outbox(state(1, CLOSING, version=1))
    (lock,) = take_all(box)
    assert box.offer(state(1, OPENING, version=2))
    box.connection_lost()
    assert drain(box) == [state(1, OPENING, version=2)]
    box.acknowledged(lock)


def test_a_lock_that_waits_is_replaced_by_the_opening_and_never_goes_out() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(3)))
    assert box.offer(state(1, OPENING, version=2))
    assert drain(box) == [state(1, OPENING, version=2), state(0, CLOSING), state(2, CLOSING)]


def test_the_same_state_offered_while_it_is_in_flight_goes_out_once() -> None:
    box = outbox(state(1))
    (first,) = take_all(box)
    assert box.offer(state(1))
    box.acknowledged(first)
    assert take_all(box) == []


def test_a_repetition_goes_out_after_the_same_state_in_flight() -> None:
    box = outbox(state(1))
    (first,) = take_all(box)
    assert box.offer(state(1, repetition=True))
    assert take_all(box) == []
    box.acknowledged(first)
    assert take_all(box) == [state(1, repetition=True)]


def test_a_phone_that_changes_while_nothing_can_go_out_takes_one_place() -> None:
    box = outbox(*(state(1, CLOSING, version=version) for version in range(1, 2000)))
    assert box.depth(CLOSING) == 1
    assert sum(len(turns) for turns in box._turns[CLOSING].values()) == 1


# --- bounds --------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_a_lane_is_left_to_the_database_and_remembered() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(10)), window=2, lane_limit=10)
    box.overflowed.clear()
    assert not box.offer(state(10, CLOSING))
    assert box.overflowed == {CLOSING}
    assert len(drain(box)) == 10


def test_a_full_lane_of_locks_leaves_openings_their_own_room() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(10)), window=2, lane_limit=10)
    assert box.offer(state(10, OPENING))


def test_a_full_lane_still_takes_the_newer_version_of_what_it_holds() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(10)), window=2, lane_limit=10)
    assert box.offer(state(3, CLOSING, version=2))
    assert box.depth(CLOSING) == 10


def test_a_lane_asks_to_be_filled_when_half_of_it_is_free() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(10)), window=2, lane_limit=10)
    assert not box.has_room(CLOSING)
    for _ in range(5):
        box.acknowledged(take_all(box)[0])
    assert box.has_room(CLOSING)


def test_a_new_outbox_knows_that_the_database_may_hold_more() -> None:
    assert Outbox(window=2, lane_limit=2).overflowed == set(Lane)


# --- failure -------------------------------------------------------------------------------------------------------


def test_a_refused_state_backs_off_and_holds_up_nobody() -> None:
    box = outbox(state(1), state(2), window=2)
    poison = box.take(0.0)
    assert poison is not None
    assert not box.refused(poison, 0.0)
    assert drain(box) == [state(2)]
    assert box.next_wake() == FIRST_BACKOFF_S
    assert drain(box, FIRST_BACKOFF_S) == [poison]


def test_a_lock_goes_out_while_an_opening_backs_off() -> None:
    box = outbox(state(1, OPENING), state(2, CLOSING))
    opening = box.take(0.0)
    assert opening is not None
    box.refused(opening, 0.0)
    assert box.take(0.0) == state(2, CLOSING)


def test_a_state_that_is_refused_again_and_again_is_set_aside_and_still_not_lost() -> None:
    box, now = outbox(state(1)), 0.0
    waits = []
    for tries in range(MAX_TRIES):
        again = box.take(now)
        assert again is not None
        assert box.refused(again, now) is (tries == MAX_TRIES - 1)
        wake = box.next_wake()
        assert wake is not None
        waits.append(wake - now)
        now = wake
    assert waits == [1.0, 2.0, 4.0, 8.0, SET_ASIDE_S]
    assert drain(box, now) == [state(1)]


def test_a_newer_version_does_not_wait_for_the_one_that_backs_off() -> None:
    box = outbox(state(1, version=1))
    poison = box.take(0.0)
    assert poison is not None
    box.refused(poison, 0.0)
    assert box.offer(state(1, version=2))
    assert drain(box) == [state(1, version=2)]
    assert drain(box, 1000.0) == []


def test_a_newer_version_that_came_meanwhile_goes_out_at_once_instead_of_the_refused_one() -> None:
    box = outbox(state(1, version=1))
    poison = box.take(0.0)
    assert poison is not None
    assert box.offer(state(1, version=2))
    assert not box.refused(poison, 0.0)
    assert drain(box) == [state(1, version=2)]


def test_what_was_in_flight_when_the_connection_ended_is_ready_at_once() -> None:
    box = outbox(*(state(phone, lane) for phone, lane in enumerate([OPENING, CLOSING, KEEPING])))
    flying = take_all(box)
    assert len(flying) == 3
    box.connection_lost()
    assert box.in_flight == 0
    assert sorted(take_all(box), key=lambda one: one.imei) == sorted(flying, key=lambda one: one.imei)


def test_the_half_for_locks_is_whole_again_after_the_connection_ended() -> None:
    box = outbox(*(state(phone, CLOSING) for phone in range(20)), window=10)
    take_all(box)
    box.connection_lost()
    assert len(take_all(box)) == 5


def test_a_new_connection_is_tried_with_what_the_last_one_refused() -> None:
    box = outbox(state(1))
    for tries in range(MAX_TRIES):
        again = box.take(1000.0)
        assert again is not None
        assert box.refused(again, 0.0) is (tries == MAX_TRIES - 1)
    assert box.take(0.0) is None
    box.connection_lost()
    assert box.next_wake() is None
    assert drain(box) == [state(1)]


def test_what_is_set_aside_goes_out_once_when_it_is_asked_for() -> None:
    box = outbox(state(1))
    for _ in range(MAX_TRIES):
        again = box.take(1000.0)
        assert again is not None
        box.refused(again, 0.0)
    for now in (0.0, 1.0):
        box.try_once_more(state(1).imei)
        again = box.take(now)
        assert again == state(1)
        assert box.refused(again, now), "one refusal sets it aside again"
        assert box.take(now) is None
    box.try_once_more(state(2).imei)  # of which nothing waits
    assert box.take(2.0) is None


def test_what_has_become_an_opening_where_it_waits_overtakes() -> None:
    """A renewal waits, its phone is locked by its lease, and says hello."""
    box = outbox(state(1, KEEPING), *(state(phone, KEEPING) for phone in range(2, 9)))
    assert box.offer(state(1, OPENING))
    assert box.take(0.0) == state(1, OPENING)
    assert state(1, KEEPING) not in drain(box)
    assert box.depth(KEEPING) == 0


def test_a_state_that_backs_off_does_so_too_when_it_has_become_an_opening() -> None:
    box = outbox(state(1, KEEPING))
    assert box.take(0.0) is not None
    box.refused(state(1, KEEPING), 0.0)
    assert box.offer(state(1, OPENING))
    assert box.take(0.0) is None
    assert box.take(FIRST_BACKOFF_S) is not None


def test_no_more_is_in_flight_than_the_connection_takes() -> None:
    """Behind what the connection itself has to hold back, an opening would wait for locks."""
    box = outbox(*(state(phone, CLOSING) for phone in range(20)), window=10)
    box.limit(4)
    assert len(take_all(box)) == 2
    box.offer(state(30, OPENING))
    assert box.take(0.0) == state(30, OPENING)
    box.limit(1000)
    assert len(take_all(box)) == 3
    box.limit(0)
    assert box.take(0.0) is None


def test_a_connection_that_takes_one_at_a_time_is_not_for_openings_alone() -> None:
    box = outbox(state(1, CLOSING))
    box.limit(1)
    assert box.take(0.0) == state(1, CLOSING)
