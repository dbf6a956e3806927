"""The keys that sign, as the use cases need them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lock_protocol.messages import Delegation, DesiredState, Fresh, LenderId, Root


@dataclass(frozen=True, slots=True)
class PublishedRoot:
    """A root, and the envelope that phones get."""

    root: Root
    envelope: bytes


class Signer(Protocol):
    """The online keys."""

    def delegation(self, lender: LenderId) -> Delegation:
        """Return the lender's newest delegation.

        Raises:
            UnknownLenderError: there is none.
        """

    def delegations(self) -> Sequence[Delegation]:
        """Return the newest delegation of every lender."""

    def sign_state(self, state: DesiredState) -> bytes:
        """Return the envelope of a state, signed by the keys that its operations need."""

    def sign_fresh(self, fresh: Fresh) -> bytes:
        """Return the envelope of a fresh."""


class UnknownLenderError(Exception):
    """The bridge holds no keys or no delegation for this lender."""
