"""Tidying up after imports: what is old is forgotten, and what nobody needs is removed."""

import asyncio
from dataclasses import dataclass

from broker_bridge.app.imports import GONE_S, Uploads
from broker_bridge.app.ports.imports import Imports, Spool
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log

_TIDY_S = 3600.0
_FORGET_BATCH = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTidier:
    """Tidies up at the start and every hour."""

    imports: Imports
    spool: Spool
    uploads: Uploads
    clock: Clock
    log: Log
    keep_s: int
    """How long imports and their results are kept after the end."""

    async def run(self) -> None:
        """Forget what is old, and remove what interrupted uploads have left: at the start, and every hour."""
        while True:
            try:
                for import_id in await self.uploads.left_receiving():
                    if import_id not in self.uploads.receiving:
                        await self.imports.forget(import_id)
                await self._remove_leftovers()
                before = self.clock.now() - self.keep_s
                while await self.imports.forget_finished(before, _FORGET_BATCH):
                    pass
            except (StoreUnavailableError, OSError) as error:
                self.log.warning("imports_not_tidied", reason=str(error))
            await asyncio.sleep(_TIDY_S)

    async def _remove_leftovers(self) -> None:
        """Remove files that no import needs."""
        # Listed before the question: a file that comes while it is asked is no leftover, and the answer may lack it.
        left = set(self.spool.files()) - self.uploads.receiving
        self.uploads.receiving |= left  # nor does it know of one that has failed and is sent again meanwhile
        try:
            for import_id in left.difference(await self.imports.unfinished(self.spool.spool_id, GONE_S)):
                self.spool.discard(import_id)
        finally:
            self.uploads.receiving -= left
