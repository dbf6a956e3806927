"""HTTP connections for a load generator: a tenth of what httpx's own cost for each request.

httpx keeps its connections in a pool that looks at every one of them, and at every request that waits, for each request
(measured: 2.5 ms of processor time with 8 connections, 5.7 ms with 128). A generator that takes longer for a request
than the bridge measures itself.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from paylatch.client.tls import proof_of_bridge

CONNECTIONS = 32
_HTTPS_PORT, _HTTP_PORT = 443, 80
_MOST_HEADER_BYTES = 64 * 1024
_BODILESS = frozenset({204, 304})
_BROKEN = (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError)


class KeptConnections(httpx.AsyncBaseTransport):
    """Connections to one server that are kept open, each for one request at a time; the others wait their turn.

    A request that finds its connection closed by the server, as servers do with idle ones, is sent again on a new one:
    every request that a lender's client makes may be repeated.

    Args:
        tls: how a server with `https` proves itself; None for what `proof_of_bridge` says.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its whole answer.

        Raises:
            httpx.TransportError: there is none.
        """
        async with self._places:
            # A body that comes piece by piece cannot be sent a second time.
            while self._idle and isinstance(request.stream, httpx.ByteStream):
                connection = self._idle.pop()
                with suppress(httpx.RemoteProtocolError):
                    return await self._asked(connection, request)
            return await self._asked(await self._opened(request), request)

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _asked(self, connection: "_Connection", request: httpx.Request) -> httpx.Response:
        kept = False
        try:
            response, kept = await connection.ask(request)
        finally:
            if kept:
                self._idle.append(connection)
            else:
                connection.close()
        return response

    async def _opened(self, request: httpx.Request) -> "_Connection":
        secure = request.url.scheme == "https"
        port = request.url.port or (_HTTPS_PORT if secure else _HTTP_PORT)
        try:
            async with asyncio.timeout(_timeout(request, "connect")):
                streams = await asyncio.open_connection(
                    request.url.host, port, ssl=self._proof() if secure else None, limit=_MOST_HEADER_BYTES
                )
        except (OSError, TimeoutError) as error:
            raise httpx.ConnectError(str(error) or "cannot connect", request=request) from error
        return _Connection(*streams)

    def _proof(self) -> ssl.SSLContext:
        self._tls = self._tls or proof_of_bridge()
        return self._tls


@dataclass(frozen=True, slots=True)
class _Connection:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: httpx.Request) -> tuple[httpx.Response, bool]:
        """Return the answer, and whether the connection can be used again.

        Raises:
            httpx.RemoteProtocolError: the server has closed the connection, before or while it answered.
            httpx.ReadTimeout: it did not answer in time.
        """
        try:
            await self._send(request)
            async with asyncio.timeout(_timeout(request, "read")):
                return await self._receive(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except _BROKEN as error:
            raise httpx.RemoteProtocolError(str(error) or "the connection broke", request=request) from error

    def close(self) -> None:
        """Close it, whatever is under way."""
        self.writer.close()

    async def _send(self, request: httpx.Request) -> None:
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%s: %s" % header for header in request.headers.raw]
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        chunked = "transfer-encoding" in request.headers
        async for piece in _pieces(request):
            if piece:
                self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                async with asyncio.timeout(_timeout(request, "write")):
                    await self.writer.drain()
        if chunked:
            self.writer.write(b"0\r\n\r\n")

    async def _receive(self, request: httpx.Request) -> tuple[httpx.Response, bool]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = httpx.Headers([_header(line) for line in lines if line])
        status = int(first.split(b" ", 2)[1])
        body = b"" if status in _BODILESS or request.method == "HEAD" else await self._body(headers)
        kept = headers.get("connection", "").lower() != "close"
        # The body is whole and plain: how it came says nothing about it any more.
        headers.pop("transfer-encoding", None)
        return httpx.Response(status, headers=headers, content=body), kept

    async def _body(self, headers: httpx.Headers) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join([chunk async for chunk in self._chunks()])
        return await self.reader.readexactly(int(headers["content-length"]))

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.strip()


async def _pieces(request: httpx.Request) -> AsyncIterator[bytes]:
    if isinstance(request.stream, httpx.AsyncByteStream):
        async for piece in request.stream:
            yield piece


def _timeout(request: httpx.Request, what: str) -> float | None:
    timeouts: dict[str, Any] = request.extensions.get("timeout", {})
    return timeouts.get(what)
