"""When a phone has to act although nothing happens."""

from collections.abc import Iterator

from lock_protocol.acceptance.time import MAX_CHECKPOINT_AGE_S

from device_sim.phone.effects import Wake
from device_sim.phone.events import Event
from device_sim.phone.phone import Phone
from device_sim.phone.turn import Turn

CHECKPOINT_EVERY_S = MAX_CHECKPOINT_AGE_S - 10
"""How much trusted time may pass without a checkpoint; leaves room for a timer that fires late."""

# A deadline in whole trusted seconds can round to just before itself; never wake a second time in the same instant.
_SHORTEST_SLEEP_S = 0.05


def checkpoint_due(phone: Phone, trusted_now: int) -> bool:
    """Return whether the time in memory is too old, or was set back by a higher epoch."""
    checkpoint = phone.memory.checkpoint
    return checkpoint is None or abs(trusted_now - checkpoint) >= CHECKPOINT_EVERY_S


def set_timer(turn: Turn[Event]) -> None:
    """Have the phone woken at the next deadline."""
    at = max(min(_deadlines(turn.phone, turn.now)), turn.event.monotonic + _SHORTEST_SLEEP_S)
    if at != turn.phone.wake_at:
        turn.become(wake_at=at)
        turn.do(Wake(at))


def _deadlines(phone: Phone, trusted_now: int) -> Iterator[float]:
    """Yield readings of the monotonic clock: the next hello, and whatever trusted time brings."""
    yield phone.dialogue.due
    for trusted in _trusted_deadlines(phone, trusted_now):
        yield phone.clock.since + (trusted - phone.clock.at)


def _trusted_deadlines(phone: Phone, trusted_now: int) -> Iterator[int]:
    memory = phone.memory
    yield (trusted_now if memory.checkpoint is None else memory.checkpoint) + CHECKPOINT_EVERY_S
    if memory.state is not None and memory.state.lease_until > trusted_now:
        yield memory.state.lease_until
    if not memory.confirmed and (memory.provisional_until or 0) > trusted_now:
        yield memory.provisional_until or 0
