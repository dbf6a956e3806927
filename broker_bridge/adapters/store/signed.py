"""Under which delegations states were signed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from broker_bridge.adapters.store.conditions import of_levels
from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.tables import phones
from lock_protocol.imei import Imei
from lock_protocol.messages import Delegation, LenderId


@dataclass(frozen=True, slots=True)
class SqlSigned:
    """The `SignedStates` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def under_older(
        self, delegation: Delegation, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Imei]:
        """Return, by IMEI, phones of open or of closed levels whose state an older delegation covers."""
        older = (phones.c.lender == delegation.lender, phones.c.delegation_version < delegation.version)
        mine = select(phones.c.imei).where(*older, of_levels(opening=opening), phones.c.imei > (after or ""))
        page = mine.order_by(phones.c.imei).limit(limit)
        return await self._read(lambda connection: list(connection.execute(page).scalars()))

    async def newest_delegation(self, lender: LenderId) -> tuple[int, int]:
        """Return the highest epoch and the highest delegation version that a state of this lender was signed under."""
        highest = func.max(phones.c.epoch), func.max(phones.c.delegation_version)
        query = select(*highest).where(phones.c.lender == lender)
        epoch, version = await self._read(lambda connection: connection.execute(query).one())
        return epoch or 0, version or 0
