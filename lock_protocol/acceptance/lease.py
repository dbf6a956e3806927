"""Leases: the level a phone takes by itself when nothing newer has come."""

from lock_protocol.levels import Level
from lock_protocol.messages import DesiredState


def lease_fired(state: DesiredState, trusted_now: int) -> bool:
    """Return whether the lease of `state` has run out at `trusted_now` (seconds, the phone's trusted time)."""
    return state.lease_until != 0 and trusted_now >= state.lease_until


def lease_level(state: DesiredState, trusted_now: int) -> Level:
    """Return the level that `state` asks for at `trusted_now`: its own until the lease ends, then `lease_then`."""
    return state.lease_then if lease_fired(state, trusted_now) else state.level
