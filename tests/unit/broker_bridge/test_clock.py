"""Which time may be signed with: payers never wait for a wrong clock, and locks do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.domain.clock import MAX_BEHIND_S, MAX_JUMP_S, MAX_REST_S, SigningTime, signing_time

NOW = 1_800_000_000
ASKS = "; if it is right, say so with `paylatch bridge confirm-clock`"
times = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("expected", [None, NOW - 10, NOW + 100])
def test_a_clock_behind_signs_with_the_last_signed_time_and_is_suspect(expected: int | None) -> None:
    time = signing_time(NOW - 10, NOW, expected)
    assert time.at == NOW
    assert time.suspicion is not None
    assert "10 s behind" in time.suspicion


@pytest.mark.parametrize("behind", [1, MAX_BEHIND_S])
def test_a_clock_a_little_behind_another_bridges_signs_with_that_ones_time_and_locks(behind: int) -> None:
    assert signing_time(NOW - behind, NOW, None) == SigningTime(NOW, None)
    assert signing_time(NOW - behind - 1, NOW - 1, None).suspicion is None
    assert signing_time(NOW - MAX_BEHIND_S - 1, NOW, None).suspicion is not None


@pytest.mark.parametrize("expected", [None, NOW, NOW + 100])
def test_a_clock_that_stands_where_it_stood_is_trusted(expected: int | None) -> None:
    time = signing_time(NOW, NOW, expected)
    assert (time.at, time.suspicion) == (NOW, None)


def test_an_hour_more_than_has_passed_is_still_trusted() -> None:
    time = signing_time(NOW + 50 + MAX_JUMP_S, NOW, NOW + 50)
    assert (time.at, time.suspicion) == (NOW + 50 + MAX_JUMP_S, None)


def test_a_second_more_than_that_is_a_jump_and_signs_with_the_time_that_has_passed() -> None:
    time = signing_time(NOW + 50 + MAX_JUMP_S + 1, NOW, NOW + 50)
    assert time.at == NOW + 50
    assert time.suspicion is not None
    assert "jumped 3601 s ahead" in time.suspicion


@pytest.mark.parametrize(("last", "expected"), [(NOW + 9, NOW), (NOW, NOW + 9)])
def test_it_is_judged_by_the_later_of_what_this_bridge_expects_and_what_any_has_signed(
    last: int, expected: int
) -> None:
    assert signing_time(NOW + 9 + MAX_JUMP_S, last, expected).suspicion is None
    time = signing_time(NOW + 10 + MAX_JUMP_S, last, expected)
    assert (time.at, time.suspicion) == (NOW + 9, f"the clock jumped 3601 s ahead{ASKS}")


def test_a_new_process_cannot_tell_a_jump_from_a_rest_of_a_few_days() -> None:
    time = signing_time(NOW + MAX_REST_S, NOW, None)
    assert (time.at, time.suspicion) == (NOW + MAX_REST_S, None)


def test_a_new_process_takes_nobodys_longer_rest_for_granted() -> None:
    time = signing_time(NOW + MAX_REST_S + 1, NOW, None)
    assert time.at == NOW
    assert time.suspicion is not None
    assert "7 days ahead" in time.suspicion
    assert time.suspicion.endswith(ASKS)


def test_the_first_signature_ever_takes_the_clock_as_it_is() -> None:
    time = signing_time(NOW, 0, None)
    assert (time.at, time.suspicion) == (NOW, None)


@given(now=times, last=times, expected=st.none() | times)
def test_signed_times_never_fall(now: int, last: int, expected: int | None) -> None:
    assert signing_time(now, last, expected).at >= last


@given(now=times, last=times, expected=st.none() | times)
def test_a_trusted_clock_is_taken_as_it_is_or_for_the_other_bridges(now: int, last: int, expected: int | None) -> None:
    time = signing_time(now, last, expected)
    assert time.suspicion is not None or time.at == max(now, last)
