"""The spool: a directory, open to its owner alone, in which uploaded files wait until their rows are done."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from broker_bridge.adapters.imports.csv_rows import csv_rows
from broker_bridge.adapters.imports.ndjson_rows import ndjson_rows
from broker_bridge.app.ports.imports import (
    FileRow,
    FileTooLargeError,
    SpoolFullError,
    SpoolUnavailableError,
    UnreadableFileError,
    UploadCutError,
)
from broker_bridge.domain.imports import Format, ImportId, SpoolId

_BLOCK_BYTES = 1024 * 1024
_READERS = {Format.CSV: csv_rows, Format.NDJSON: ndjson_rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorySpool:
    """The `Spool` of `broker_bridge.app.ports.imports`."""

    directory: Path
    spool_id: SpoolId
    """Its name; see `broker_bridge.adapters.imports.own_spool`."""
    max_bytes: int
    max_rows: int
    idle_s: float
    """How long an upload may send nothing."""
    upload_s: float
    """How long an upload may take."""

    async def receive(self, import_id: ImportId, chunks: AsyncIterable[bytes]) -> tuple[bytes, int]:
        """Write a file and return its SHA-256 and its size, once it would survive a loss of power."""
        path = self._path(import_id)
        try:
            return await self._write(path, chunks)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise SpoolFullError(f"the disk for uploads does not take the file: {error.strerror}") from error
            raise

    async def digest(self, chunks: AsyncIterable[bytes]) -> bytes:
        """Return the SHA-256 of an upload that is not kept."""
        digest = hashlib.sha256()
        async for block in self._blocks(chunks):
            await asyncio.to_thread(digest.update, block)
        return digest.digest()

    def rows(self, import_id: ImportId, kind: Format) -> Iterator[FileRow]:
        """Yield a file's rows, one at a time."""
        try:
            with self._path(import_id).open("rb") as file:
                yield from self._no_more_than_allowed(_READERS[kind](file))
        except FileNotFoundError as error:
            raise UnreadableFileError(f"the file is not there any more: {error.strerror}; send it again") from error
        except OSError as error:
            raise SpoolUnavailableError(f"the file cannot be read just now: {error.strerror}") from error

    def files(self) -> Collection[ImportId]:
        """Return of which imports there are files."""
        return [ImportId(path.name) for path in self.directory.glob("imp_*")]

    def discard(self, import_id: ImportId) -> None:
        """Remove a file, if it is there."""
        self._path(import_id).unlink(missing_ok=True)

    def _path(self, import_id: ImportId) -> Path:
        return self.directory / import_id

    async def _write(self, path: Path, chunks: AsyncIterable[bytes]) -> tuple[bytes, int]:
        digest = hashlib.sha256()
        file = await asyncio.to_thread(_create, path)
        try:
            async for block in self._blocks(chunks):
                await asyncio.to_thread(_append, file, digest, block)
            size = file.tell()
            await asyncio.to_thread(_keep, file, path.parent)
        finally:
            file.close()
        return digest.digest(), size

    async def _blocks(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Yield an upload in blocks that are worth a thread's while."""
        block, size = bytearray(), 0
        async for chunk in self._in_time(chunks):
            size += len(chunk)
            if size > self.max_bytes:
                raise FileTooLargeError(f"at most {self.max_bytes} bytes in a file; send it in parts")
            block += chunk
            if len(block) >= _BLOCK_BYTES:
                yield bytes(block)
                block.clear()
        yield bytes(block)

    async def _in_time(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop()
        end = clock.time() + self.upload_s
        coming = aiter(chunks)
        while True:
            try:
                async with asyncio.timeout_at(min(end, clock.time() + self.idle_s)):
                    chunk = await anext(coming)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise UploadCutError(
                    f"the upload stood still for {self.idle_s:g} s, or took more than {self.upload_s:g} s"
                ) from None
            yield chunk

    def _no_more_than_allowed(self, rows: Iterator[FileRow]) -> Iterator[FileRow]:
        yield from islice(rows, self.max_rows)
        if next(rows, None) is not None:
            raise UnreadableFileError(f"more than {self.max_rows} rows; send the file in parts")


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Unbuffered: a disk that is full says so at the write, not when the file is closed.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


def _append(file: BinaryIO, digest: "hashlib._Hash", block: bytes) -> None:
    digest.update(block)
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _keep(file: BinaryIO, directory: Path) -> None:
    """Have a file and its name on the disk."""
    os.fsync(file.fileno())
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
