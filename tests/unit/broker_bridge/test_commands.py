"""The lifecycle of a command: every pair of a status and an event is either in the table or an error."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.domain.commands import TRANSITIONS, Event, IllegalEventError, Status, after

PAIRS = list(product(Status, Event))


@pytest.mark.parametrize(("status", "event"), PAIRS, ids=[f"{status}-{event}" for status, event in PAIRS])
def test_every_pair_is_in_the_table_or_an_error(status: Status, event: Event) -> None:
    if (status, event) in TRANSITIONS:
        assert after(status, event) is TRANSITIONS[status, event]
    else:
        with pytest.raises(IllegalEventError, match=f"{event} cannot happen to a command that is {status}"):
            after(status, event)


def test_only_a_wait_that_nobody_waits_is_impossible() -> None:
    assert set(PAIRS) - set(TRANSITIONS) == {
        (status, Event.WAITED_TOO_LONG)
        for status in (Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.SUPERSEDED)
    }


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.SUPERSEDED])
def test_a_phone_that_applied_it_makes_it_succeed_from_wherever_it_is(status: Status) -> None:
    assert after(status, Event.APPLIED) is Status.SUCCEEDED


def _possible(status: Status, events: list[Event]) -> Status:
    """The status after those of the events that can happen."""
    for event in events:
        status = TRANSITIONS.get((status, event), status)
    return status


_events = st.lists(st.sampled_from(Event))


@given(_events)
def test_success_is_never_lost(events: list[Event]) -> None:
    assert _possible(Status.SUCCEEDED, events) is Status.SUCCEEDED


@given(_events)
def test_superseded_is_final(events: list[Event]) -> None:
    assert _possible(Status.SUPERSEDED, events) is Status.SUPERSEDED


@given(_events)
def test_nothing_goes_back_to_queued_once_it_was_sent(events: list[Event]) -> None:
    assert _possible(Status.SENT, events) is not Status.QUEUED


@given(st.lists(st.sampled_from([event for event in Event if event is not Event.APPLIED])))
def test_only_the_phones_own_word_makes_it_succeed(events: list[Event]) -> None:
    assert _possible(Status.QUEUED, events) is not Status.SUCCEEDED


@given(_events)
def test_no_status_comes_back_so_no_phone_fills_the_history(events: list[Event]) -> None:
    ways = [_possible(Status.QUEUED, events[:said]) for said in range(len(events) + 1)]
    entered = [status for status, before in zip(ways, [None, *ways], strict=False) if status is not before]
    assert len(entered) == len(set(entered))


def test_a_report_may_come_before_its_puback() -> None:
    assert after(after(Status.QUEUED, Event.APPLIED), Event.ACKNOWLEDGED) is Status.SUCCEEDED


def test_a_command_that_timed_out_still_waits_for_its_phone() -> None:
    assert after(after(Status.SENT, Event.WAITED_TOO_LONG), Event.APPLIED) is Status.SUCCEEDED


def test_what_borrowers_call_pending() -> None:
    assert {status for status in Status if status.is_pending} == {Status.QUEUED, Status.SENT, Status.TIMED_OUT}
