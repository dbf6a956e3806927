"""What can happen to a phone."""

from dataclasses import dataclass

from lock_protocol.compiling import quick
from lock_protocol.levels import Signals
from lock_protocol.topics import PhoneTopic

from device_sim.phone.memory import Memory

NONCE_BYTES = 16
JITTER_BYTES = 4
ENTROPY_BYTES = NONCE_BYTES + JITTER_BYTES
_JITTERS = 1 << (8 * JITTER_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, and what the phone's monotonic clock showed then (seconds since some start)."""

    monotonic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingEvent(Event):
    """An event on which the phone may say hello, which takes a nonce and jitter."""

    entropy: bytes
    """`ENTROPY_BYTES` fresh random bytes."""

    @property
    def nonce(self) -> bytes:
        """The nonce for a new hello."""
        return self.entropy[:NONCE_BYTES]

    @property
    def jitter(self) -> float:
        """A random number from 0 up to, not including, 1."""
        drawn = self.entropy[NONCE_BYTES:ENTROPY_BYTES]
        return int.from_bytes(drawn) / _JITTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted(Event):
    """The power came on, with this in storage."""

    memory: Memory | None


class PowerCut(Event):
    """The power went off, without warning."""

    __slots__ = ()


class FactoryReset(Event):
    """Everything that can be erased was erased, and the phone is off."""

    __slots__ = ()


class Connected(AskingEvent):
    """A connection to the broker stands, and its own topics and the next root's are subscribed."""

    __slots__ = ()


class Disconnected(Event):
    """The connection to the broker is gone."""

    __slots__ = ()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageArrived(AskingEvent):
    """Bytes arrived on one of the phone's own two downward topics.

    Whether they were retained is not told: a broker's flag proves nothing, so nothing may depend on it.
    """

    topic: PhoneTopic
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RootArrived(AskingEvent):
    """Bytes arrived on the topic of the next root."""

    payload: bytes


class TimerFired(AskingEvent):
    """The time that the last `Wake` named has come, or something like it."""

    __slots__ = ()


class UserPressedCheck(AskingEvent):
    """The user pressed "check payment status"."""

    __slots__ = ()


class WallClockChanged(Event):
    """Somebody set the wall clock. To what does not matter: it never counts."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsRaised(Event):
    """The phone noticed something about itself: another SIM, an unlocked bootloader."""

    signals: Signals
