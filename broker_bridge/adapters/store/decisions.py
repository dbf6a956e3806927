"""Decisions, as their lenders look them up."""

from dataclasses import dataclass

from sqlalchemy import select

from broker_bridge.adapters.store.rows import decision_of
from broker_bridge.adapters.store.short import Run, first
from broker_bridge.adapters.store.tables import decisions
from broker_bridge.app.records import RecordedDecision
from broker_bridge.domain.decisions import DecisionId
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlDecisions:
    """The `Decisions` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def one(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a lender's decision."""
        query = select(decisions).where(decisions.c.decision_id == decision_id, decisions.c.lender == lender)
        return await self._read(lambda connection: first(connection, query, decision_of))
