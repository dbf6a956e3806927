"""Imports: taking a lender's file, exactly once.

The worker that does what the file says is in `broker_bridge.app.import_worker`.
"""

import asyncio
import secrets
from base64 import b32hexencode
from collections.abc import AsyncIterable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from broker_bridge.app.ports.imports import Imports, Spool
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.domain.imports import Import, ImportId, ImportState, Upload

MAX_UNFINISHED = 20
"""Imports of one lender that may be unfinished at a time: what bounds the disk that its files take."""
GONE_S = 300
"""A bridge that has not said for so long that it is there is gone: what it had not finished is another one's."""
_RANDOM_BYTES = 6


class ImportConflictError(Exception):
    """This idempotency key was used before, for another file or in another way."""


class UploadRunningError(Exception):
    """An upload with this idempotency key is under way."""


@dataclass(slots=True, kw_only=True)
class Intake:
    """Takes uploads."""

    imports: Imports
    spool: Spool
    clock: Clock
    wake: Callable[[], object]
    """Tells the worker that there is something to do."""
    receiving: set[ImportId] = field(default_factory=set)
    """What is being received now. Anything else in that state was left by a process that ended."""
    _numbers: "count[int]" = field(default_factory=count)

    async def take(self, upload: Upload, chunks: AsyncIterable[bytes]) -> Import:
        """Return the import that an upload has begun: now, or the first time it was sent.

        Raises:
            ImportConflictError, UploadRunningError, TooManyImportsError: nothing was taken.
            FileTooLargeError, UploadCutError, SpoolFullError: nothing of it is left.
            StoreUnavailableError: the same upload with the same key may be sent again.
        """
        new = self._new(upload)
        self.receiving.add(new.import_id)
        try:
            known = await self.imports.begin(new, MAX_UNFINISHED)
            if known.import_id == new.import_id:
                return await self._receive(new.import_id, chunks)
        finally:
            self.receiving.discard(new.import_id)
        if known.state is not ImportState.RECEIVING:
            return await self._again(known, upload, chunks)
        if known.import_id in self.receiving or known.import_id not in await self.left_receiving():
            raise UploadRunningError("an upload with this Idempotency-Key is under way; wait for its answer")
        await self._forget(known.import_id)
        return await self.take(upload, chunks)

    async def left_receiving(self) -> Collection[ImportId]:
        """Return which imports are being received here, or were by a bridge that has ended."""
        return await self.imports.receiving(self.spool.spool_id, GONE_S)

    async def _receive(self, import_id: ImportId, chunks: AsyncIterable[bytes]) -> Import:
        try:
            content_hash, size_bytes = await self.spool.receive(import_id, chunks)
            queued = await self.imports.received(import_id, content_hash, size_bytes)
        except BaseException:
            # Whoever asked may be gone, and its request cancelled; the key is free again all the same.
            await asyncio.shield(self._forget(import_id))
            raise
        self.wake()
        return queued

    async def _forget(self, import_id: ImportId) -> None:
        # If there is no telling whether it was queued, its file stays.
        if await self.imports.forget(import_id):
            with suppress(OSError):  # what is left is removed when it is next tidied up
                self.spool.discard(import_id)

    async def _again(self, known: Import, upload: Upload, chunks: AsyncIterable[bytes]) -> Import:
        if known.upload != upload:
            raise ImportConflictError("this Idempotency-Key was used before, with another format or dry_run")
        if await self.spool.digest(chunks) != known.content_hash:
            raise ImportConflictError("this Idempotency-Key was used before, for another file")
        return known

    def _new(self, upload: Upload) -> Import:
        now = self.clock.now()
        # Ids sort by time, so that files are worked off in the order in which they came.
        unique = now.to_bytes(5) + next(self._numbers).to_bytes(4) + secrets.token_bytes(_RANDOM_BYTES)
        import_id = ImportId("imp_" + b32hexencode(unique).decode().lower())
        spool = self.spool.spool_id
        return Import(import_id=import_id, upload=upload, state=ImportState.RECEIVING, created_at=now, spool=spool)
