"""Batches: one commit for what concerns many phones, of which a bad row fails alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import Commits, Job, OverloadedError, StoreUnavailableError
from broker_bridge.app.sent import Ack
from lock_protocol.imei import Imei

ItemT = TypeVar("ItemT", Ack, Imei)


@dataclass(frozen=True, slots=True)
class Batches:
    """Commits what is known of many phones at a time."""

    store: Commits
    log: PhonesLog

    async def commit(self, items: Sequence[ItemT], job: Callable[[Sequence[ItemT]], Job[None]]) -> list[ItemT]:
        """Commit one job for all items, or, when that cannot be, one for each: one bad row fails alone.

        Returns:
            Those whose rows cannot be used.

        Raises:
            StoreUnavailableError, OverloadedError: the database does not take it; some may have been committed.
        """
        try:
            await self.store.commit(job(items))
        except (StoreUnavailableError, OverloadedError):
            raise
        except Exception as error:  # noqa: BLE001 - a row that cannot be read never ends the connection of all others
            if len(items) > 1:
                return [bad for item in items for bad in await self.commit([item], job)]
            self._tell_not_usable(items[0], error)
            return list(items)
        return []

    def _tell_not_usable(self, item: Ack | Imei, error: Exception) -> None:
        imei = item.imei if isinstance(item, Ack) else item
        self.log.about(imei).critical("row_not_usable", item=str(item), error=str(error))
