"""The decision desk: one decision of a lender, whichever way it has come, from its job to what is counted of it."""

from dataclasses import dataclass, field

from broker_bridge.adapters.lender_api.problems import EXPECTED
from broker_bridge.app.decide import Decide, Decided
from broker_bridge.app.places import LenderPlaces
from broker_bridge.app.ports.metrics import REFUSED, REPEATED, Meters, Way
from broker_bridge.app.ports.store import Commits
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.domain.decisions import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDesk:
    """Takes single decisions. Those of one lender share its places, by HTTP and by MQTT."""

    store: Commits
    reconsider: Reconsider
    meters: Meters
    places: LenderPlaces = field(default_factory=LenderPlaces)

    async def decide(self, decision: Decision, *, way: Way) -> Decided:
        """Take one decision; by MQTT, its lender is told of each step of what follows.

        Raises:
            Exception: one of `EXPECTED`; nothing was done.
        """
        try:
            async with self.places.one_for(decision):
                job = Decide(decision, self.reconsider, told=way == "mqtt")
                decided = await self.store.commit(job, first=decision.can_open)
        except EXPECTED:
            self.meters.decided(way, decision, REFUSED)
            raise
        self.meters.decided(way, decision, REPEATED if decided.repeated else decided.effect)
        return decided
