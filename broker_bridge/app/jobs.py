"""What kinds of jobs have in common."""

from collections.abc import Collection

from broker_bridge.domain.decisions import DecisionId
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId


class AboutNoDecision:
    """What makes a job one that needs no decision's record."""

    __slots__ = ()

    @property
    def decisions(self) -> Collection[tuple[LenderId, DecisionId]]:
        """None."""
        return ()


class OnePhone(AboutNoDecision):
    """A job about one phone and no decision."""

    __slots__ = ()
    imei: Imei

    @property
    def imeis(self) -> Collection[Imei]:
        """The one phone."""
        return (self.imei,)
