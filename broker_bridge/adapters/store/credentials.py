"""Phones' credentials, for the broker's password file."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from broker_bridge.adapters.store.short import Run
from broker_bridge.adapters.store.tables import phones
from lock_protocol.imei import Imei


@dataclass(frozen=True, slots=True)
class SqlCredentials:
    """The `Credentials` of `broker_bridge.app.ports.queries`."""

    _read: Run

    async def page(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
        """Return phones with their password hashes by IMEI, from the one behind `after` on."""
        later = select(phones.c.imei, phones.c.credential).where(phones.c.imei > after)
        query = later.order_by(phones.c.imei).limit(limit)
        return await self._read(lambda connection: [(row[0], row[1]) for row in connection.execute(query)])
