"""One phone of a fleet: its core, its handset, its storage and its connection, tied together."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from device_sim.fleet.alarms import Alarms
from device_sim.fleet.counters import Counters
from device_sim.fleet.handset import Handset
from device_sim.fleet.journal import DOWN, LEVELS, UP, Journal
from device_sim.fleet.link import Arrived, Link, LinkError
from device_sim.fleet.watches import Watches
from device_sim.identities import FleetPhone
from device_sim.phone.effects import Apply, Effect, Observed, Persist, Publish, SubscribeRoot, Wake, Wipe
from device_sim.phone.events import (
    ENTROPY_BYTES,
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
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.step import step
from device_sim.phone.storage import Storage, StorageError
from lock_protocol.imei import Imei
from lock_protocol.levels import Level, Signals

_BOOT_AGAIN_S = 1.0
_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all phones of a fleet share."""

    storage: Storage
    alarms: Alarms
    counters: Counters
    watches: Watches
    journal: Journal = field(default_factory=Journal)


class SimulatedPhone:
    """Feeds a phone's core with events and performs what it wants.

    When storage fails the step has not happened, and the agent ends like a crashed process: the handset stays as it
    was, and the agent is started again from what is stored, a second later or with the next connection.
    """

    __slots__ = ("_around", "_core", "_link", "_refused", "handset", "imei", "login")

    def __init__(self, login: FleetPhone, around: Surroundings) -> None:
        self.login = login
        self.imei: Imei = login.imei
        """Its name."""
        self.handset = Handset()
        # Most phones never refuse anything, and a Counter is as large as the rest of this object.
        self._refused: Counter[str] | None = None
        self._around = around
        self._core = Phone.switched_off(login.identity)
        self._link: Link | None = None

    # --- what it is ---

    @property
    def online(self) -> bool:
        """Whether it is connected and subscribed."""
        return self._core.stage is Stage.ONLINE

    @property
    def confirmed(self) -> bool:
        """Whether what it holds is known not to be an old state."""
        return self._core.memory.state is not None and self._core.memory.confirmed

    @property
    def settled(self) -> bool:
        """Whether, on this connection, a `Fresh` has confirmed what it holds."""
        dialogue = self._core.dialogue
        return self.online and self.confirmed and dialogue.greeted and dialogue.asked == 0

    @property
    def refusals(self) -> Mapping[str, int]:
        """How often it has refused a message, by the refusal's name."""
        return _NONE if self._refused is None else self._refused

    @property
    def order(self) -> tuple[int, int]:
        """Epoch and version of the state it holds; zeros for none."""
        holding = self._core.memory.holding
        return (0, 0) if holding is None else (holding.epoch, holding.version)

    @property
    def next_root(self) -> int:
        """The number of the root to listen for."""
        return self._core.root.root_version + 1

    # --- power ---

    def power_on(self) -> None:
        """Start the agent if it is not running.

        Raises:
            StorageError: it cannot start, and will try again.
        """
        if self._core.stage is not Stage.OFF:
            return
        try:
            memory = self._around.storage.load(self.imei)
            self._take(Booted(monotonic=time.monotonic(), memory=memory))
        except StorageError:
            self._crash()
            raise

    def power_cycle(self) -> None:
        """Take the power away and give it back. The connection must be closed already.

        Raises:
            StorageError: it cannot start, and will try again.
        """
        self.power_on()
        self._take(PowerCut(monotonic=time.monotonic()))
        self.power_on()

    def factory_reset(self) -> None:
        """Erase everything that can be erased, and start. The connection must be closed already.

        Raises:
            StorageError: it was not erased, or it cannot start.
        """
        self.power_on()
        self._take(FactoryReset(monotonic=time.monotonic()))
        self.power_on()

    # --- the connection: a `Session` ---

    def opened(self, link: Link) -> None:
        """Say hello on a new connection."""
        self._link = link
        self._around.counters.connects += 1
        self._around.counters.online += 1
        self._around.journal.note(self.imei, UP, self.order[1])
        self._feed_online(Connected(monotonic=time.monotonic(), entropy=os.urandom(ENTROPY_BYTES)))

    def arrived(self, message: Arrived) -> None:
        """Judge what arrived."""
        now, entropy = time.monotonic(), os.urandom(ENTROPY_BYTES)
        if message.topic is None:
            self._feed_online(RootArrived(monotonic=now, entropy=entropy, payload=message.payload))
        else:
            self._feed_online(
                MessageArrived(monotonic=now, entropy=entropy, topic=message.topic, payload=message.payload)
            )

    def closed(self) -> None:
        """Note that the connection is gone, if there was one."""
        if self._link is not None:
            self._link = None
            self._around.counters.online -= 1
            self._around.journal.note(self.imei, DOWN, self.order[1])
        if self.online:
            self._feed(Disconnected(monotonic=time.monotonic()))

    # --- its user, and its surroundings ---

    def ring(self) -> None:
        """Do what its time has come for."""
        if self._core.stage is Stage.OFF:
            # A failure is counted, and has set the alarm for the next try.
            with suppress(StorageError):
                self.power_on()
        else:
            self._feed(TimerFired(monotonic=time.monotonic(), entropy=os.urandom(ENTROPY_BYTES)))

    def press_check(self) -> None:
        """Press "check payment status"."""
        self._feed(UserPressedCheck(monotonic=time.monotonic(), entropy=os.urandom(ENTROPY_BYTES)))

    def change_wall_clock(self) -> None:
        """Set the wall clock to anything."""
        self._feed(WallClockChanged(monotonic=time.monotonic()))

    def raise_signals(self, signals: Signals) -> None:
        """Swap the SIM, unlock the bootloader, or the like."""
        self._feed(SignalsRaised(monotonic=time.monotonic(), signals=signals))

    def tamper(self, level: Level | None) -> None:
        """Pin what the handset shows, as a user with root access may; None undoes that."""
        if self.handset.pin(level, self.order):
            self._note_level()
        self._around.watches.changed(self)

    # --- inside ---

    def _feed(self, event: Event) -> bool:
        """Give the core an event; return whether the agent was and is running. One that is not misses it."""
        if self._core.stage is Stage.OFF:
            return False
        try:
            self._take(event)
        except StorageError:
            self._crash()
            return False
        return True

    def _feed_online(self, event: Event) -> None:
        if not self._feed(event):
            raise LinkError("the agent is not running")

    def _take(self, event: Event) -> None:
        """Make one step. Nothing of it has happened when its write fails.

        Raises:
            StorageError: its write failed.
        """
        before = self._core
        self._core, effects = step(before, event)
        try:
            for effect in effects:
                _PERFORM[type(effect)](self, effect)
        except StorageError:
            # What has to be durable comes first, so nothing else has been done.
            self._core = before
            raise
        self._around.watches.changed(self)

    def _save(self, persist: Persist) -> None:
        self._around.storage.save(self.imei, persist.memory)

    def _wipe(self, _: Wipe) -> None:
        self._around.storage.wipe(self.imei)

    def _apply(self, apply: Apply) -> None:
        self._around.counters.count_level(self.handset.applied, apply.level)
        self._around.counters.applies += 1
        if self.handset.apply(apply.level, apply.condition, self.order):
            self._note_level()

    def _publish(self, publish: Publish) -> None:
        if self._link is not None:
            self._link.publish(publish.topic, publish.envelope)

    def _subscribe_root(self, subscribe: SubscribeRoot) -> None:
        if self._link is not None:
            self._link.subscribe_root(subscribe.root_version)

    def _set_alarm(self, wake: Wake) -> None:
        self._around.alarms.set(self.imei, wake.at)

    def _observe(self, observed: Observed) -> None:
        self._around.counters.count(observed)
        if observed.refusal:
            self._refused = Counter() if self._refused is None else self._refused
            self._refused[observed.refusal] += 1

    def _note_level(self) -> None:
        self._around.journal.note(self.imei, LEVELS[self.handset.level], self.order[1])

    def _crash(self) -> None:
        self._around.counters.storage_failures += 1
        self._core = Phone.switched_off(self.login.identity)
        self._around.alarms.set(self.imei, time.monotonic() + _BOOT_AGAIN_S)
        self._around.watches.changed(self)


_PERFORM: Mapping[type[Effect], Callable[[SimulatedPhone, Any], None]] = {
    Persist: SimulatedPhone._save,  # noqa: SLF001 - the table of this very class
    Wipe: SimulatedPhone._wipe,  # noqa: SLF001
    Apply: SimulatedPhone._apply,  # noqa: SLF001
    Publish: SimulatedPhone._publish,  # noqa: SLF001
    SubscribeRoot: SimulatedPhone._subscribe_root,  # noqa: SLF001
    Wake: SimulatedPhone._set_alarm,  # noqa: SLF001
    Observed: SimulatedPhone._observe,  # noqa: SLF001
}
"""How each effect is brought about."""
