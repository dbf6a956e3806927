"""PUBACKs that wait for their phone's word."""

import math

import pytest

from broker_bridge.app.acknowledged import AWAIT_WORD_S, Acknowledged
from broker_bridge.app.sent import Ack
from device_sim.identities import simulated_imei

IMEI, OTHER = simulated_imei(1), simulated_imei(2)
FIRST, SECOND, OTHERS = Ack(IMEI, (1, 1), 7), Ack(IMEI, (1, 2), 9), Ack(OTHER, (1, 1), 8)


@pytest.fixture
def acknowledged() -> Acknowledged:
    acks = Acknowledged()
    acks.add(FIRST, 100.0)
    acks.add(OTHERS, 100.25)
    acks.add(SECOND, 100.25)
    return acks


def test_a_phones_newest_goes_with_its_word(acknowledged: Acknowledged) -> None:
    assert acknowledged.of(IMEI) is SECOND
    assert acknowledged.has(IMEI, (1, 2))
    assert not acknowledged.has(IMEI, (1, 1))


def test_those_that_have_waited_long_enough_are_due_the_oldest_first(acknowledged: Acknowledged) -> None:
    now = 100 + AWAIT_WORD_S
    assert acknowledged.wait(100.25) == pytest.approx(AWAIT_WORD_S - 0.25)
    assert acknowledged.wait(now + 5) == 0
    assert acknowledged.due(now, 5) == [FIRST]
    assert acknowledged.due(math.inf, 2) == [FIRST, OTHERS]


def test_each_stays_until_it_is_durable_and_is_told_of_once(acknowledged: Acknowledged) -> None:
    assert acknowledged.durable([SECOND]) == [SECOND]
    assert acknowledged.durable([SECOND]) == []
    assert acknowledged.of(IMEI) is None
    assert acknowledged.due(math.inf, 5) == [FIRST, OTHERS]


def test_an_older_one_that_becomes_durable_leaves_the_newest(acknowledged: Acknowledged) -> None:
    assert acknowledged.durable([FIRST]) == [FIRST]
    assert acknowledged.of(IMEI) is SECOND


def test_when_none_waits_there_is_nothing_to_wait_for() -> None:
    assert Acknowledged().wait(0.0) is None
    assert Acknowledged().due(math.inf, 5) == []
