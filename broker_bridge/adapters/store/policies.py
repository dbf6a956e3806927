"""The versions of lenders' own policies."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import literal, select

from broker_bridge.adapters.store.rows import policy_of
from broker_bridge.adapters.store.short import Run, every, first
from broker_bridge.adapters.store.tables import policies
from broker_bridge.app.records import PolicyVersion
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlPolicies:
    """The `PolicyVersions` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def all_of(self, lender: LenderId) -> Sequence[PolicyVersion]:
        """Return all versions of a lender's own policy, the newest first, without their documents."""
        columns = [policies.c[name] for name in ("lender", "version", "set_at", "set_by")]
        query = select(*columns, literal("").label("document")).where(policies.c.lender == lender)
        newest_first = query.order_by(policies.c.version.desc())
        return await self._read(lambda connection: every(connection, newest_first, policy_of))

    async def one(self, lender: LenderId, version: int | None = None) -> PolicyVersion | None:
        """Return one version of a lender's own policy; without a number, the newest."""
        query = select(policies).where(policies.c.lender == lender).order_by(policies.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(policies.c.version == version)
        return await self._read(lambda connection: first(connection, query, policy_of))
