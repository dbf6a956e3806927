"""Every golden message through the functions that the two sides call."""

from dataclasses import dataclass
from typing import cast

import pytest

from lock_protocol.acceptance import (
    DeviceStanding,
    PhoneStanding,
    TrustedClock,
    Verified,
    accept_fresh,
    accept_hello,
    accept_report,
    accept_state,
    confirms,
    floor_after_fresh,
    floor_after_state,
    lease_level,
    raised_by_fresh,
    raised_by_state,
)
from lock_protocol.acceptance.freshness import effective_level
from lock_protocol.codec import decode
from lock_protocol.messages import DesiredState, Fresh, Hello, Reported
from lock_protocol.refusals import Refusal
from lock_protocol.trust import pinned_root
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import Vector, floor_of, message_of, standing_of

BOOTS = [one for one in golden.read("time") if "checkpoint" in one]
RAISED = [one for one in golden.read("time") if "standing" in one]


@dataclass(frozen=True)
class Held:
    state: DesiredState | None
    confirmed: bool
    provisional_until: int | None


def phone(vector: Vector) -> PhoneStanding:
    return cast("PhoneStanding", standing_of(vector))


def bridge(vector: Vector) -> DeviceStanding:
    return cast("DeviceStanding", standing_of(vector))


def state_in(vector: Vector) -> Verified[DesiredState]:
    return accept_state(message_of(vector), phone(vector))


def fresh_in(vector: Vector) -> Verified[Fresh]:
    return accept_fresh(message_of(vector), phone(vector))


def hello_in(vector: Vector) -> Verified[Hello]:
    return accept_hello(message_of(vector), bridge(vector))


def report_in(vector: Vector) -> Verified[Reported]:
    return accept_report(message_of(vector), bridge(vector))


@golden.every("states", valid=True)
def test_a_state_is_accepted_and_moves_floor_and_time(vector: Vector) -> None:
    accepted, before, result = state_in(vector), phone(vector), vector["result"]
    trusted_now = raised_by_state(before.trusted_now, before.floor, accepted)
    assert accepted.repeated == result["repeated"]
    assert floor_after_state(before.floor, accepted) == floor_of(result["floor"])
    assert trusted_now == result["trusted_now"]
    assert lease_level(accepted.message, trusted_now) == result["asks_for"]


@golden.every("states", valid=False)
def test_a_state_with_a_defect_is_refused_by_its_name(vector: Vector) -> None:
    if vector["error"] == "Duplicate":
        assert state_in(vector).repeated
        return
    with pytest.raises(Refusal) as caught:
        state_in(vector)
    assert caught.value.name == vector["error"]


@golden.every("fresh", valid=True)
def test_a_fresh_is_accepted_and_binds_and_confirms(vector: Vector) -> None:
    accepted, before, result = fresh_in(vector), phone(vector), vector["result"]
    assert floor_after_fresh(before.floor, accepted) == floor_of(result["floor"])
    assert raised_by_fresh(before.trusted_now, accepted) == result["trusted_now"]
    assert confirms(accepted, before.floor) == result["confirms"]


@golden.every("fresh", valid=False)
def test_a_fresh_with_a_defect_is_refused_by_its_name(vector: Vector) -> None:
    with pytest.raises(Refusal) as caught:
        fresh_in(vector)
    assert caught.value.name == vector["error"]


@golden.every("hello", valid=True)
def test_a_hello_is_accepted(vector: Vector) -> None:
    assert golden.fields_of(hello_in(vector).message) == vector["result"]


@golden.every("hello", valid=False)
def test_a_hello_with_a_defect_is_refused_by_its_name(vector: Vector) -> None:
    with pytest.raises(Refusal) as caught:
        hello_in(vector)
    assert caught.value.name == vector["error"]


@golden.every("reported", valid=True)
def test_a_report_is_accepted(vector: Vector) -> None:
    assert golden.fields_of(report_in(vector).message) == vector["result"]


@golden.every("reported", valid=False)
def test_a_report_with_a_defect_is_refused_by_its_name(vector: Vector) -> None:
    with pytest.raises(Refusal) as caught:
        report_in(vector)
    assert caught.value.name == vector["error"]


@pytest.mark.parametrize("vector", BOOTS, ids=[one["name"] for one in BOOTS])
def test_trusted_time_goes_on_from_its_checkpoint(vector: Vector) -> None:
    root, monotonic = pinned_root(bytes.fromhex(vector["root"])), 1000.0
    clock = TrustedClock.at_boot(vector["checkpoint"], root, monotonic)
    assert clock.now(monotonic + vector["elapsed"]) == vector["result"]["trusted_now"]


@pytest.mark.parametrize("vector", RAISED, ids=[one["name"] for one in RAISED])
def test_what_is_accepted_raises_trusted_time(vector: Vector) -> None:
    before = phone(vector)
    if vector["type"] == "desired":
        raised = raised_by_state(before.trusted_now, before.floor, state_in(vector))
    else:
        raised = raised_by_fresh(before.trusted_now, fresh_in(vector))
    assert raised == vector["result"]["trusted_now"]


@golden.every("effective")
def test_a_phone_takes_the_level_that_its_holding_gives_it(vector: Vector) -> None:
    state = None if vector["state"] is None else decode(DesiredState, bytes.fromhex(vector["state"]))
    holding = Held(state=state, confirmed=vector["confirmed"], provisional_until=vector["provisional_until"])
    root = pinned_root(bytes.fromhex(vector["root"]))
    level, condition = effective_level(holding, root, vector["trusted_now"])
    assert {"level": level, "condition": condition} == vector["result"]
