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

from broker_bridge.app.ports.imports import Imports, Spool, TooManyImportsError
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
class Uploads:
    """Takes uploads."""

    imports: Imports
    spool: Spool
    clock: Clock
    wake: Callable[[], object]
    """Tells the worker that there is something to do."""
    receiving: set[ImportId] = field(default_factory=set)
    """What is being received now, or tidied up. Anything else in that state was left by a process that ended."""
    at_work: set[ImportId] = field(default_factory=set)
    """What the worker is at: its file is in use, also if another bridge has failed it meanwhile."""
    _numbers: "count[int]" = field(default_factory=count)

    async def take(self, upload: Upload, chunks: AsyncIterable[bytes]) -> Import:
        """Return the import that an upload has begun: now, or the first time it was sent.

        One that has failed is received and tried again.

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
            raise _under_way()
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
            self._discard(import_id)

    def _discard(self, import_id: ImportId) -> None:
        with suppress(OSError):  # what is left is removed when it is next tidied up
            self.spool.discard(import_id)

    async def _again(self, known: Import, upload: Upload, chunks: AsyncIterable[bytes]) -> Import:
        if known.upload != upload:
            raise ImportConflictError("this Idempotency-Key was used before, with another format or dry_run")
        if known.state is ImportState.FAILED:
            return await self._retry(known, chunks)
        _check_same(known, await self.spool.digest(chunks))
        return known

    async def _retry(self, failed: Import, chunks: AsyncIterable[bytes]) -> Import:
        """Receive the file of an import that has failed once more, and queue it."""
        import_id = failed.import_id
        if import_id in self.receiving or import_id in self.at_work:
            raise _under_way()
        self.receiving.add(import_id)
        try:
            # Looked at again, now that it is this request's: one that was faster has a file there that is needed.
            if (await self._now(failed)).state is not ImportState.FAILED:
                raise _under_way()
            self._discard(import_id)
            content_hash, _ = await self.spool.receive(import_id, chunks)
            await self._requeue(failed, content_hash)
        finally:
            self.receiving.discard(import_id)
        now = await self._now(failed)
        self.wake()
        return now

    async def _requeue(self, failed: Import, content_hash: bytes) -> None:
        try:
            _check_same(failed, content_hash)
            needed = await self.imports.requeue(failed.import_id, self.spool.spool_id, MAX_UNFINISHED)
        except (ImportConflictError, TooManyImportsError):
            self._discard(failed.import_id)
            raise
        if not needed:  # it was sent to another bridge, too, which was faster
            self._discard(failed.import_id)

    async def _now(self, known: Import) -> Import:
        now = await self.imports.one(known.upload.lender, known.import_id)
        if now is None:  # forgotten just now, as it ended so long ago: the key is free
            raise _under_way()
        return now

    def _new(self, upload: Upload) -> Import:
        now = self.clock.now()
        # Ids sort by time, so that files are worked off in the order in which they came.
        unique = now.to_bytes(5) + next(self._numbers).to_bytes(4) + secrets.token_bytes(_RANDOM_BYTES)
        import_id = ImportId("imp_" + b32hexencode(unique).decode().lower())
        spool = self.spool.spool_id
        return Import(import_id=import_id, upload=upload, state=ImportState.RECEIVING, created_at=now, spool=spool)


def _check_same(known: Import, content_hash: bytes) -> None:
    if content_hash != known.content_hash:
        raise ImportConflictError("this Idempotency-Key was used before, for another file")


def _under_way() -> UploadRunningError:
    return UploadRunningError("an upload with this Idempotency-Key is under way; wait for its answer")
