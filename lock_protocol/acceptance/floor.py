"""The floor: what a phone has accepted and never goes below, kept durably."""

from dataclasses import dataclass, replace

from lock_protocol.acceptance.evidence import Verified
from lock_protocol.compiling import quick
from lock_protocol.messages import NO_HASH, DesiredState, Fresh, LenderId, StateHash

MAX_VERSION_JUMP = 2**20


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The newest delegation and state accepted from one lender.

    Invariants: `(epoch, version)` never falls while the lender stays the same; `epoch` and `version` are 0 together,
    before the first state; `state_hash` is zeros there, and after an offline code, whose state is still to come.
    """

    lender: LenderId
    bound: bool
    """Whether a `Fresh` has bound the phone to this lender; before that, another lender may take its place."""
    delegation_version: int
    delegation_hash: StateHash
    epoch: int = 0
    version: int = 0
    state_hash: StateHash = NO_HASH

    def rebased(self, epoch: int) -> int:
        """Return the version from which jumps are measured in `epoch`: a new epoch begins at 0 again."""
        return self.version if epoch == self.epoch else 0


def floor_after_state(floor: Floor | None, accepted: Verified[DesiredState]) -> Floor:
    """Return the floor after a state was accepted in full."""
    state = accepted.message
    return Floor(
        lender=state.lender,
        bound=floor is not None and floor.bound,
        delegation_version=state.delegation_version,
        delegation_hash=accepted.delegation_hash,
        epoch=state.epoch,
        version=state.version,
        state_hash=accepted.payload_hash,
    )


def floor_after_fresh(floor: Floor | None, accepted: Verified[Fresh]) -> Floor:
    """Return the floor after a `Fresh` was accepted: bound to its lender.

    The order of another lender's states means nothing under this one, so it does not carry over.
    """
    fresh = accepted.message
    known = (
        floor
        if floor is not None and floor.lender == fresh.lender
        else Floor(lender=fresh.lender, bound=True, delegation_version=0, delegation_hash=NO_HASH)
    )
    return replace(
        known, bound=True, delegation_version=fresh.delegation_version, delegation_hash=accepted.delegation_hash
    )
