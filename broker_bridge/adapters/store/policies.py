"""The versions of lenders' own policies."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, literal, select

from broker_bridge.adapters.store.rows import policy_of
from broker_bridge.adapters.store.short import Run, every, first
from broker_bridge.adapters.store.tables import policies
from broker_bridge.app.records import Page, PolicyVersion
from lock_protocol.messages import LenderId


@dataclass(frozen=True, slots=True)
class SqlPolicies:
    """The `PolicyVersions` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def all_of(self, lender: LenderId, before: str, limit: int) -> Page[PolicyVersion]:
        """Return versions of a lender's own policy, the newest first, without their documents."""
        columns = [policies.c[name] for name in ("lender", "version", "set_at", "set_by")]
        query = select(*columns, literal("").label("document")).where(policies.c.lender == lender)
        if before:
            # A token that was never given can be more than a version: PostgreSQL would refuse it as one.
            query = query.where(policies.c.version < literal(int(before), BigInteger))
        rows = query.order_by(policies.c.version.desc()).limit(limit + 1)
        found = await self._read(lambda connection: every(connection, rows, policy_of))
        items = found[:limit]
        return Page(items, str(items[-1].version) if len(found) > limit else None)

    async def one(self, lender: LenderId, version: int | None = None) -> PolicyVersion | None:
        """Return one version of a lender's own policy; without a number, the newest."""
        query = select(policies).where(policies.c.lender == lender).order_by(policies.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(policies.c.version == version)
        return await self._read(lambda connection: first(connection, query, policy_of))
