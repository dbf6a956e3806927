"""The state machine's table, and the order of effects."""

import itertools

import pytest

from device_sim.phone import events
from device_sim.phone.effects import Apply, Persist, Publish, Wipe
from device_sim.phone.events import Event, FactoryReset, PowerCut, TimerFired, UserPressedCheck
from device_sim.phone.hello import AWAIT_STATE_S
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.step import TRANSITIONS, ImpossibleEventError, step
from lock_protocol.levels import Level
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import Lender, RootAuthority

KINDS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in {Event, events.AskingEvent}
]


def test_every_event_has_a_row() -> None:
    assert {kind for _, kind in TRANSITIONS} == set(KINDS)


@pytest.mark.parametrize(
    ("stage", "kind"),
    [pair for pair in itertools.product(Stage, KINDS) if pair not in TRANSITIONS],
    ids=lambda value: str(getattr(value, "__name__", value)),
)
def test_an_event_without_a_row_is_an_error(stage: Stage, kind: type[Event], fresh_phone: Handset) -> None:
    phones = {Stage.ONLINE: fresh_phone.phone, Stage.OFF: Phone.switched_off(fresh_phone.phone.identity)}
    fresh_phone.disconnect()
    phones[Stage.OFFLINE] = fresh_phone.phone
    # The table is asked before anything of the event is looked at, so an empty one will do.
    with pytest.raises(ImpossibleEventError, match=f"{kind.__name__} cannot happen to a phone that is {stage}"):
        step(phones[stage], object.__new__(kind))


def test_a_write_stands_before_what_rests_on_it(fresh_phone: Handset, lender: Lender) -> None:
    fresh_phone.receive(lender.order(IMEI, Level.LOCKED))
    assert [type(effect) for effect in fresh_phone.effects][:1] == [Persist]
    assert any(isinstance(effect, Apply) for effect in fresh_phone.effects)


def test_the_first_hello_with_a_new_count_waits_for_its_reservation(locked_phone: Handset) -> None:
    locked_phone.disconnect()
    for _ in range(70):
        locked_phone.connect()
        locked_phone.wait(AWAIT_STATE_S)
        kinds = [type(effect) for effect in locked_phone.effects]
        assert Publish in kinds
        assert locked_phone.storage.load(IMEI) == locked_phone.phone.memory
        assert locked_phone.said.sequence <= locked_phone.phone.memory.sequence
        locked_phone.disconnect()


def test_a_step_does_not_change_the_phone_it_was_given(fresh_phone: Handset) -> None:
    before = fresh_phone.phone
    after, _ = step(before, TimerFired(monotonic=fresh_phone.monotonic + 10**6, entropy=bytes(20)))
    assert after != before
    assert fresh_phone.phone is before


def test_power_goes_without_a_word(locked_phone: Handset) -> None:
    phone, effects = step(locked_phone.phone, PowerCut(monotonic=0.0))
    assert (phone.stage, effects) == (Stage.OFF, ())


def test_a_factory_reset_erases_everything(locked_phone: Handset) -> None:
    _, effects = step(locked_phone.phone, FactoryReset(monotonic=0.0))
    assert [type(effect) for effect in effects] == [Wipe]


def test_hardware_keeps_floor_and_boot_count_through_a_factory_reset(authority: RootAuthority, lender: Lender) -> None:
    handset = Handset(authority, hardware_floor=True)
    handset.boot()
    handset.connect()
    handset.receive(lender.order(IMEI, Level.LOCKED))
    _, effects = step(handset.phone, FactoryReset(monotonic=0.0))
    (persist,) = effects
    assert isinstance(persist, Persist)
    assert persist.memory.floor == handset.phone.memory.floor
    assert (persist.memory.state, persist.memory.boot_count, persist.memory.sequence) == (None, 1, 0)


def test_the_same_entropy_asks_the_same_question(authority: RootAuthority) -> None:
    def first_hello() -> bytes:
        handset = Handset(authority)
        handset.boot()
        handset.connect()
        handset.phone, effects = step(handset.phone, UserPressedCheck(monotonic=1.0, entropy=b"e" * 20))
        return next(effect.envelope for effect in effects if isinstance(effect, Publish))

    assert first_hello() == first_hello()
