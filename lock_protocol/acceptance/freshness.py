"""Freshness: what counts while a phone cannot know that what it holds is the newest.

A phone that was reset has no floor, so an old opening that somebody kept looks as good as a new one. Until a `Fresh`
with the phone's own nonce confirms what it holds, an opening counts only for the root's `provisional_s`.
"""

from typing import Protocol

from lock_protocol.acceptance.evidence import Verified
from lock_protocol.acceptance.floor import Floor
from lock_protocol.acceptance.lease import lease_fired, lease_level
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import DesiredState, Fresh, Root


class Holding(Protocol):
    """The state a phone holds, and how far it may be believed."""

    @property
    def state(self) -> DesiredState | None:
        """The state, if there is one."""

    @property
    def confirmed(self) -> bool:
        """Whether it is known not to be an old one: a `Fresh` said so, and no factory reset has come since."""

    @property
    def provisional_until(self) -> int | None:
        """Trusted time at which an unconfirmed opening gives way, in seconds.

        0 when its time is over, None when none has come.
        """


def effective_level(holding: Holding, root: Root, trusted_now: int) -> tuple[Level, Condition]:
    """Return the level a phone has to take now, and the condition it reports with it."""
    state = holding.state
    if state is None:
        return root.provisional_level, Condition.PROVISIONAL
    level = lease_level(state, trusted_now)
    if not holding.confirmed and level < root.provisional_level:
        waiting = trusted_now < (holding.provisional_until or 0)
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
