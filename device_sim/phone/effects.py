"""What a phone wants done, in order.

Whoever performs effects stops at the first that fails, and then goes on with the phone from before the step: so
nothing is shown or said that is not durable.
"""

from dataclasses import dataclass
from enum import StrEnum

from lock_protocol.compiling import quick
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import Notice
from lock_protocol.topics import PhoneTopic

from device_sim.phone.memory import Memory


class Effect:
    """Something to be done outside the phone's core."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Persist(Effect):
    """Save this. Comes before everything that it must precede."""

    memory: Memory


class Wipe(Effect):
    """Erase what was saved."""

    __slots__ = ()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Apply(Effect):
    """Make the phone be at this level and show this. No level touches emergency calls, incoming calls or alerts."""

    level: Level
    condition: Condition
    notice: Notice


@dataclass(frozen=True, slots=True)
class Publish(Effect):
    """Send this envelope on one of the phone's own upward topics. Lost ones are repaired by the next hello."""

    topic: PhoneTopic
    envelope: bytes


@dataclass(frozen=True, slots=True)
class SubscribeRoot(Effect):
    """Listen on the topic of this root too."""

    root_version: int


@dataclass(frozen=True, slots=True)
class Wake(Effect):
    """Fire the timer at this reading of the monotonic clock; replaces the one asked for before."""

    at: float


class Happening(StrEnum):
    """What a step was about, for counters and tests."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    ROOT_FOLLOWED = "root_followed"
    HELLO = "hello"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Observed(Effect):
    """Something happened that is worth counting."""

    happening: Happening
    refusal: str = ""
    """The error's name, for `REFUSED`."""
