"""A phone between two events."""

import math
from dataclasses import dataclass
from enum import StrEnum

from lock_protocol.acceptance import PhoneStanding, TrustedClock, effective_level
from lock_protocol.levels import Condition, Level, Signals
from lock_protocol.messages import Root

from device_sim.phone.identity import Identity
from device_sim.phone.memory import Memory


class Stage(StrEnum):
    """How far a phone is up."""

    OFF = "off"
    OFFLINE = "offline"
    ONLINE = "online"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Where the phone stands in asking whether what it holds is the newest. Begins anew with each connection."""

    greeted: bool = False
    """Whether a hello has been said on this connection."""
    nonce: bytes | None = None
    """The nonce of the one outstanding hello. Repeats keep it, so that a late answer still counts."""
    asked: int = 0
    """Hellos since the last answer that confirmed."""
    disappointed: bool = False
    """Whether an answer since then did not confirm."""
    due: float = math.inf
    """When to say hello next, by the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A phone: who it is, what it keeps, and what it forgets when the power goes.

    Everything below `memory` is volatile.
    """

    identity: Identity
    stage: Stage
    memory: Memory
    root: Root
    clock: TrustedClock
    shown: tuple[Level, Condition] | None = None
    """The level and condition last applied; None before the first since boot."""
    sequence: int = 0
    """The last sequence number used."""
    report_waits: bool = False
    """Whether a report waits for a `Fresh` to give the count back."""
    dialogue: Dialogue = Dialogue()
    complaints: tuple[tuple[str, float], ...] = ()
    """Refusals reported within the last minute: name and monotonic time."""
    wake_at: float = math.inf
    """The reading of the monotonic clock at which the timer is set to fire."""

    @classmethod
    def switched_off(cls, identity: Identity) -> "Phone":
        """Return a phone as it lies there without power; `Booted` brings its memory."""
        clock = TrustedClock.at_boot(None, identity.root, 0.0)
        return cls(identity=identity, stage=Stage.OFF, memory=Memory(), root=identity.root, clock=clock)

    @property
    def counts(self) -> bool:
        """Whether the phone knows its sequence numbers; one that has lost them gets them back by a `Fresh`."""
        return self.memory.sequence > 0

    @property
    def signals(self) -> Signals:
        """What the phone has noticed about itself; the floor counts as lost until a `Fresh` has bound it."""
        floor = self.memory.floor
        lost = floor is None or not floor.bound
        return self.memory.signals | Signals.FLOOR_LOST if lost else self.memory.signals

    def effective(self, trusted_now: int) -> tuple[Level, Condition]:
        """Return the level that this phone has to be at, and the condition that goes with it."""
        return effective_level(self.memory, self.root, trusted_now)

    def standing(self, trusted_now: int) -> PhoneStanding:
        """Return what the acceptance rules judge by."""
        return PhoneStanding(
            imei=self.identity.imei,
            root=self.root,
            floor=self.memory.floor,
            released=self.memory.released,
            trusted_now=trusted_now,
            nonce=self.dialogue.nonce,
        )
