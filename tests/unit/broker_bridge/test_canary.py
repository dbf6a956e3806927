"""Publish numbers, and the pair that tells what a broker still has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_bridge.app.canary import PublishNumbers, decode_canary, encode_canary
from lock_protocol.codec import pack


def test_all_is_settled_before_the_first_publish() -> None:
    assert PublishNumbers(41).settled == 41


def test_an_open_number_holds_back_all_above_it() -> None:
    numbers = PublishNumbers()
    first, second, third = numbers.take(), numbers.take(), numbers.take()
    numbers.settle(second)
    numbers.settle(third)
    assert numbers.settled == 0
    numbers.settle(first)
    assert numbers.settled == 3


def test_numbers_go_on_above_what_another_bridge_has_given_out_and_never_back() -> None:
    numbers = PublishNumbers()
    before = numbers.take()
    numbers.go_on_from(40)
    assert (numbers.take(), numbers.settled) == (41, 0)
    numbers.settle(before)
    assert numbers.settled == 40
    numbers.go_on_from(7)
    assert numbers.take() == 42


def test_a_number_is_settled_once() -> None:
    numbers = PublishNumbers()
    number = numbers.take()
    numbers.settle(number)
    with pytest.raises(KeyError):
        numbers.settle(number)


@given(st.integers(0, 2**53), st.lists(st.booleans()), st.data())
def test_settled_is_just_below_the_smallest_open_number(start: int, steps: list[bool], data: st.DataObject) -> None:
    numbers, open_numbers, last = PublishNumbers(start), set[int](), start
    for taking in steps:
        if taking or not open_numbers:
            last = numbers.take()
            open_numbers.add(last)
        else:
            chosen = data.draw(st.sampled_from(sorted(open_numbers)))
            numbers.settle(chosen)
            open_numbers.remove(chosen)
    assert numbers.settled == min(open_numbers, default=last + 1) - 1


@given(st.text(min_size=1, max_size=64), st.integers(0, 2**53))
def test_a_canary_brings_its_token_back(token: str, number: int) -> None:
    assert decode_canary(encode_canary(token, number)) == token


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\xff" * 40,
        pack("token"),
        pack(7),
        pack(("token",)),
        pack(("token", 1, 2)),
        pack((b"token", 1)),
        pack(("token", "1")),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
    ],
)
def test_what_is_no_canary_says_nothing(payload: bytes) -> None:
    assert decode_canary(payload) is None


@given(st.binary(max_size=100))
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    token = decode_canary(payload)
    assert token is None or isinstance(token, str)
