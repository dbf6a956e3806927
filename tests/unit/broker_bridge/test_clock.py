"""Which time may be signed with: payers never wait for a wrong clock, and locks do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.domain.clock import MAX_AHEAD_S, signing_time

NOW = 1_800_000_000
times = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("elapsed", [None, 0.0, 100.0])
def test_a_clock_behind_signs_with_the_last_signed_time_and_is_suspect(elapsed: float | None) -> None:
    time = signing_time(NOW - 10, NOW, elapsed)
    assert time.at == NOW
    assert time.suspicion is not None
    assert "10 s behind" in time.suspicion


@pytest.mark.parametrize("elapsed", [None, 0.0, 100.0])
def test_a_clock_that_stands_where_it_stood_is_trusted(elapsed: float | None) -> None:
    time = signing_time(NOW, NOW, elapsed)
    assert (time.at, time.suspicion) == (NOW, None)


def test_an_hour_more_than_has_passed_is_still_trusted() -> None:
    time = signing_time(NOW + 50 + MAX_AHEAD_S, NOW, 50.0)
    assert (time.at, time.suspicion) == (NOW + 50 + MAX_AHEAD_S, None)


def test_a_second_more_than_that_is_a_jump_and_signs_with_the_time_that_has_passed() -> None:
    time = signing_time(NOW + 50 + MAX_AHEAD_S + 1, NOW, 50.0)
    assert time.at == NOW + 50
    assert time.suspicion is not None
    assert "jumped 3601 s ahead" in time.suspicion


def test_a_new_process_cannot_tell_a_jump_from_a_long_rest() -> None:
    time = signing_time(NOW + 10**8, NOW, None)
    assert (time.at, time.suspicion) == (NOW + 10**8, None)


def test_the_first_signature_ever_takes_the_clock_as_it_is() -> None:
    time = signing_time(NOW, 0, 0.0)
    assert (time.at, time.suspicion) == (NOW, None)


@given(now=times, last=times, elapsed=st.none() | st.floats(0, 10**9))
def test_signed_times_never_fall(now: int, last: int, elapsed: float | None) -> None:
    assert signing_time(now, last, elapsed).at >= last


@given(now=times, last=times, elapsed=st.none() | st.floats(0, 10**9))
def test_a_trusted_clock_is_taken_as_it_is(now: int, last: int, elapsed: float | None) -> None:
    time = signing_time(now, last, elapsed)
    assert time.suspicion is not None or time.at == now
