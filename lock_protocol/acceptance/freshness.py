"""Freshness: what counts while a phone cannot know that what it holds is the newest.

A phone that was reset has no floor, so an old opening that somebody kept looks as good as a new one. Until a `Fresh`
with the phone's own nonce confirms what it holds, an opening counts only for the root's `provisional_s`.
"""

from dataclasses import dataclass

from lock_protocol.acceptance.evidence import Verified
from lock_protocol.acceptance.floor import Floor
from lock_protocol.acceptance.lease import lease_fired, lease_level
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import DesiredState, Fresh, Root


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The state a phone holds, and how far it may be believed."""

    state: DesiredState | None = None
    confirmed: bool = False
    """Whether it is known not to be an old one: a `Fresh` said so, and no factory reset has come since."""
    provisional_until: int = 0
    """Trusted time at which an unconfirmed opening gives way, in seconds; 0 when its time is over, or none has come."""


def effective_level(holding: Holding, root: Root, trusted_now: int) -> tuple[Level, Condition]:
    """Return the level a phone has to take now, and the condition it reports with it."""
    state = holding.state
    if state is None:
        return root.provisional_level, Condition.PROVISIONAL
    level = lease_level(state, trusted_now)
    if not holding.confirmed and level < root.provisional_level:
        waiting = trusted_now < holding.provisional_until
        return (level if waiting else root.provisional_level), Condition.PROVISIONAL
    return level, Condition.LEASE_FIRED if lease_fired(state, trusted_now) else Condition.APPLIED


def confirms(fresh: Verified[Fresh], floor: Floor | None) -> bool:
    """Return whether a `Fresh` confirms what the phone holds: same lender, order and hash."""
    message = fresh.message
    return floor is not None and (message.lender, message.epoch, message.version, message.state_hash) == (
        floor.lender,
        floor.epoch,
        floor.version,
        floor.state_hash,
    )
