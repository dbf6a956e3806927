"""A dry run: everything that queueing a state does, except for using a key or the newest signed time.

What comes out is valid for nothing; whoever runs it sees to it that none of it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from broker_bridge.app.ports.signing import Signer
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.domain.lanes import Lane
from lock_protocol.messages import Delegation, DesiredState, Fresh, LenderId


def dry_run_queue(queue: Queue) -> Queue:
    """Return a queue that signs nothing."""
    return Queue(_NoKeys(queue.signer), _Watch(queue.clock), queue.clock)


class _Watch(SigningClock):
    """A clock that is looked at: the time that it shows is not used up."""

    def time_for(self, tx: Transaction, lane: Lane) -> int:
        """Return the time that a state would be signed with."""
        del lane
        return self.time_to_tell(tx)


@dataclass(frozen=True, slots=True)
class _NoKeys:
    """A signer whose authority is real and whose envelopes are empty."""

    signer: Signer

    def delegation(self, lender: LenderId) -> Delegation:
        """Return the lender's newest delegation."""
        return self.signer.delegation(lender)

    def delegations(self) -> Sequence[Delegation]:
        """Return the newest delegation of every lender."""
        return self.signer.delegations()

    def sign_state(self, state: DesiredState) -> bytes:
        """Return nothing."""
        del state
        return b""

    def sign_fresh(self, fresh: Fresh) -> bytes:
        """Return nothing."""
        del fresh
        return b""
