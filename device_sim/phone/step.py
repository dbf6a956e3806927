"""The phone as a step function: a phone and an event in, the phone after it and what to do out.

`TRANSITIONS` is the whole state machine; the diagram in the documentation is drawn from it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lock_protocol.acceptance import TrustedClock
from lock_protocol.levels import Result, Signals

from device_sim.phone.deadlines import checkpoint_due, set_timer
from device_sim.phone.effects import Effect, Persist, Wipe
from device_sim.phone.events import (
    Booted,
    Connected,
    Disconnected,
    Event,
    FactoryReset,
    MessageArrived,
    PowerCut,
    RootArrived,
    SignalsRaised,
    TimerFired,
    UserPressedCheck,
    WallClockChanged,
)
from device_sim.phone.hello import ask_if_due, ask_now, ask_sooner_when_closed, await_state, stop_asking
from device_sim.phone.memory import Memory
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.receiving import receive, receive_root
from device_sim.phone.turn import Turn
from device_sim.phone.words import report


class ImpossibleEventError(Exception):
    """An event that cannot happen to a phone in this stage: whoever drives the phone has lost track of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One transition: the stage it leads to, and what the phone does on the way."""

    stage: Stage
    act: Callable[[Turn[Any]], None]


def step(phone: Phone, event: Event) -> tuple[Phone, tuple[Effect, ...]]:
    """Return the phone after `event`, and what it wants done, in order.

    Raises:
        ImpossibleEventError: the table has no row for this event in the phone's stage.
    """
    row = TRANSITIONS.get((phone.stage, type(event)))
    if row is None:
        raise ImpossibleEventError(f"{type(event).__name__} cannot happen to a phone that is {phone.stage}")
    turn = Turn(phone, event)
    if phone.stage is not row.stage:
        turn.become(stage=row.stage)
    if phone.stage is not Stage.OFF and row.stage is not Stage.OFF:
        _catch_up(turn)
    row.act(turn)
    if row.stage is not Stage.OFF:
        ask_sooner_when_closed(turn)
        _persist_first(turn, phone)
        set_timer(turn)
    return turn.phone, tuple(turn.effects)


def _catch_up(turn: Turn[Event]) -> None:
    """Apply what has become due by the mere passing of time, before anything is said or done on top of it."""
    if turn.apply_changes():
        report(turn, Result.OBSERVED)


def _persist_first(turn: Turn[Event], before: Phone) -> None:
    """Put one write in front of all effects when anything in them rests on what is not yet durable.

    A level that changed by time rests on the time: without a checkpoint a reboot would take the change back.
    """
    changed = turn.phone.memory != before.memory or turn.phone.shown != before.shown
    if changed or checkpoint_due(turn.phone, turn.now):
        turn.remember(checkpoint=turn.now)
        turn.effects.insert(0, Persist(turn.phone.memory))


# --- power ---------------------------------------------------------------------------------------------------------


def _boot(turn: Turn[Booted]) -> None:
    memory = (turn.event.memory or Memory()).after_boot()
    pinned = turn.phone.identity.root
    # An updated firmware may pin a newer root than the one that was followed before.
    root = max(pinned, memory.root or pinned, key=lambda one: one.root_version)
    clock = TrustedClock.at_boot(memory.checkpoint, root, turn.event.monotonic)
    turn.become(memory=memory, root=root, clock=clock, sequence=memory.sequence)
    turn.apply()


def _lose_power(turn: Turn[PowerCut]) -> None:
    turn.start_over(Phone.switched_off(turn.phone.identity))


def _factory_reset(turn: Turn[FactoryReset]) -> None:
    identity = turn.phone.identity
    left = turn.phone.memory.after_factory_reset(hardware_floor=identity.hardware_floor)
    turn.do(Wipe() if left is None else Persist(left))
    turn.start_over(Phone.switched_off(identity))


# --- the rest ------------------------------------------------------------------------------------------------------


def _nothing(_: Turn[Event]) -> None:
    """Let it pass; due things were caught up with already."""


def _fire(turn: Turn[TimerFired]) -> None:
    turn.become(wake_at=math.inf)
    ask_if_due(turn)


def _raise_signals(turn: Turn[SignalsRaised]) -> None:
    _note(turn, turn.event.signals)


def _raise_clock_signal(turn: Turn[WallClockChanged]) -> None:
    _note(turn, Signals.CLOCK)


def _note(turn: Turn[Event], signals: Signals) -> None:
    known = turn.phone.memory.signals
    if signals & ~known:
        turn.remember(signals=known | signals)
        report(turn, Result.OBSERVED)


_OFF, _OFFLINE, _ONLINE = Stage

TRANSITIONS: Mapping[tuple[Stage, type[Event]], Row] = MappingProxyType(
    {
        (_OFF, Booted): Row(_OFFLINE, _boot),
        (_OFFLINE, Connected): Row(_ONLINE, await_state),
        (_OFFLINE, TimerFired): Row(_OFFLINE, _fire),
        (_OFFLINE, UserPressedCheck): Row(_OFFLINE, _nothing),
        (_OFFLINE, WallClockChanged): Row(_OFFLINE, _raise_clock_signal),
        (_OFFLINE, SignalsRaised): Row(_OFFLINE, _raise_signals),
        (_OFFLINE, PowerCut): Row(_OFF, _lose_power),
        (_OFFLINE, FactoryReset): Row(_OFF, _factory_reset),
        (_ONLINE, Disconnected): Row(_OFFLINE, stop_asking),
        (_ONLINE, MessageArrived): Row(_ONLINE, receive),
        (_ONLINE, RootArrived): Row(_ONLINE, receive_root),
        (_ONLINE, TimerFired): Row(_ONLINE, _fire),
        (_ONLINE, UserPressedCheck): Row(_ONLINE, ask_now),
        (_ONLINE, WallClockChanged): Row(_ONLINE, _raise_clock_signal),
        (_ONLINE, SignalsRaised): Row(_ONLINE, _raise_signals),
        (_ONLINE, PowerCut): Row(_OFF, _lose_power),
        (_ONLINE, FactoryReset): Row(_OFF, _factory_reset),
    }
)
