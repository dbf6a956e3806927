"""The phone's time: a durable checkpoint plus monotonic time since; the wall clock never counts.

Nobody who holds the phone can turn it: it moves by elapsed time and by signed payloads only, and the latter cannot
push it past the life of the delegation that let them be signed.
"""

from dataclasses import dataclass

from lock_protocol.acceptance.evidence import Verified
from lock_protocol.acceptance.floor import Floor
from lock_protocol.messages import Delegation, DesiredState, Fresh, Root
from lock_protocol.schema import MAX_TIME

MAX_CHECKPOINT_AGE_S = 60


@dataclass(frozen=True, slots=True)
class TrustedClock:
    """Trusted time `at` when the monotonic clock showed `since` (seconds; starts anew with each boot)."""

    at: int
    since: float

    def now(self, monotonic: float) -> int:
        """Return the trusted time at a reading of the same boot's monotonic clock, in whole seconds."""
        return min(self.at + max(int(monotonic - self.since), 0), MAX_TIME)

    @classmethod
    def at_boot(cls, checkpoint: int | None, root: Root, monotonic: float) -> "TrustedClock":
        """Return the clock of a phone that has just booted, with its last durable checkpoint if it has one."""
        return cls(root.issued_at if checkpoint is None else checkpoint, monotonic)


def raised_by_state(trusted_now: int, floor: Floor | None, accepted: Verified[DesiredState]) -> int:
    """Return the trusted time after a state was accepted; `floor` is the one from before.

    A higher epoch sets time back to the delegation's `issued_at`: that is how the root undoes the damage of a stolen
    key that pushed phones into the future.
    """
    delegation = _delegation(accepted.delegation)
    if floor is not None and floor.lender == delegation.lender and 0 < floor.epoch < delegation.epoch:
        trusted_now = delegation.issued_at
    return _raised(trusted_now, accepted.message.issued_at, delegation)


def raised_by_fresh(trusted_now: int, accepted: Verified[Fresh]) -> int:
    """Return the trusted time after a `Fresh` was accepted."""
    return _raised(trusted_now, accepted.message.now, _delegation(accepted.delegation))


def _raised(trusted_now: int, stated: int, delegation: Delegation) -> int:
    return max(trusted_now, min(stated, delegation.expires_at))


def _delegation(delegation: Delegation | None) -> Delegation:
    if delegation is None:
        msg = "states and freshes are verified with their delegation"
        raise TypeError(msg)
    return delegation
