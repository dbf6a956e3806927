"""Files of decisions: sent at once, worked off by the bridge, answered row by row (`docs/imports.md`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import IO, Literal
from urllib.parse import quote

import httpx

from paylatch.client.answers import Import, read
from paylatch.client.requests import Requests, items, refusal

UPLOAD_RUNNING = "upload-running"
"""The kind of the `ConflictError` while the same file is still coming, perhaps from a sender that is dead."""
_CHUNK_BYTES = 256 * 1024
_PAGE = 500
_POLL_S = 0.2
_UPLOAD_TIMEOUT_S = 60.0
"""Between two pieces, and from the last one until the bridge has the file on its disk."""
_MEDIA_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}

Format = Literal["csv", "ndjson"]


class Imports:
    """The imports of one lender.

    What goes wrong with the bridge, or on the way to it, is a `PaylatchError` as those of `Bridge` are. `finished`
    raises `TimeoutError` too, and `upload` whatever its file raises when it is read.

    Args:
        requests: as `connect` makes it.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def upload(
        self,
        file: IO[bytes],
        file_format: Format,
        key: str,
        *,
        dry_run: bool = False,
        sent: Callable[[int], object] | None = None,
    ) -> Import:
        """Send a file from where it stands to its end; when this returns, it is safe with the bridge.

        It is not sent again by itself, for it may be long. Send the same file with the same key to go on after
        whatever went wrong: that is the same import.

        Args:
            file: CSV with a header row, or NDJSON.
            file_format: which of them.
            key: names this import; another file with the same key is refused.
            dry_run: whether to judge every row and write nothing.
            sent: told of the size of every piece.

        Raises:
            ConflictError: of the kind `UPLOAD_RUNNING`, see there; try again in a while.
        """
        headers = {"Content-Type": _MEDIA_TYPES[file_format], "Idempotency-Key": key}
        query = {"dry_run": "true"} if dry_run else {}
        content = _pieces(file, sent)
        answer = await self._requests.ask_once(
            "POST", "/v1/imports", content=content, headers=headers, params=query, timeout=_UPLOAD_TIMEOUT_S
        )
        return read(Import, answer)

    async def status(self, import_id: str) -> Import:
        """Return how far an import is."""
        return read(Import, await self._requests.ask("GET", _path(import_id)))

    async def all(self, page_size: int = _PAGE) -> AsyncIterator[Import]:
        """Yield all imports, the newest first."""
        imports_in = items(Import, "imports")
        async for page in self._requests.pages("GET", "/v1/imports", page_size):
            for one in imports_in(page):
                yield one

    async def finished(
        self, import_id: str, *, timeout_s: float | None = None, seen: Callable[[Import], object] | None = None
    ) -> Import:
        """Wait until an import has come to its end, good or bad.

        Args:
            import_id: which.
            timeout_s: how long; None for as long as it takes.
            seen: told how far it is, again and again.

        Raises:
            TimeoutError: it has not; it goes on by itself.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (one := await self.status(import_id)).is_finished:
            if seen is not None:
                seen(one)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{import_id} has done {one.done} rows in {timeout_s:g} s")
            await asyncio.sleep(_POLL_S)
        return one

    async def results(self, import_id: str, file_format: Format, *, outcome: str | None = None) -> AsyncIterator[bytes]:
        """Yield what became of each row as a file, piece by piece: of all rows, or of those with one outcome."""
        query = {"format": file_format} | ({} if outcome is None else {"outcome": outcome})
        try:
            async with self._requests.http.stream("GET", f"{_path(import_id)}/results", params=query) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise self._requests.unreachable(error) from error


def _path(import_id: str) -> str:
    return f"/v1/imports/{quote(import_id, safe='')}"


async def _pieces(file: IO[bytes], sent: Callable[[int], object] | None) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield piece
        if sent is not None:
            sent(len(piece))
