"""Connections that do not come to the point, on a real socket: they end, and others go on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker_bridge.adapters.http import connections, reading
from broker_bridge.adapters.http.connections import PunctualProtocol
from broker_bridge.adapters.http.server import Server
from paylatch.local.ports import LOOPBACK
from tests.bridge_rig import ACME
from tests.conftest import PATIENCE_S, new_sqlite
from tests.http.conftest import KEYS, running_api

SOON_S = 0.05

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
AUTHORIZED = f"Authorization: Bearer {KEYS[ACME]}\r\n".encode()
GET = b"GET /v1/phones HTTP/1.1\r\nHost: bridge\r\n" + AUTHORIZED + b"\r\n"
GET_LARGE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: bridge\r\n\r\n"
POST = b"POST /v1/decisions HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n" + AUTHORIZED + b"\r\n"


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The API on a real port."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        async with running_api(new_sqlite(tmp_path / "paylatch.db"), tmp_path) as api:
            server = Server(api.app)
            task = asyncio.create_task(server.serve([listening]))
            yield int(listening.getsockname()[1])
            server.stop()
            await task


async def connected(port: int, sent: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(sent)
    return reader, writer


async def until_closed(streams: Streams) -> bytes:
    """What comes until the bridge closes the connection."""
    async with asyncio.timeout(PATIENCE_S):
        answer = await streams[0].read()
    streams[1].close()
    return answer


async def answer_on(streams: Streams) -> bytes:
    """The status line of the next answer, whose body is skipped."""
    reader = streams[0]
    async with asyncio.timeout(PATIENCE_S):
        status = await reader.readline()
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
    return status.split()[1] if status else b""


@pytest.mark.parametrize("sent", [b"", b"GET /v1/phones HTTP/1.1\r\nHost:"], ids=["nothing", "half a header"])
async def test_a_connection_whose_request_does_not_come_is_closed(
    port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", SOON_S)
    assert await until_closed(await connected(port, sent)) == b""


async def test_headers_that_dribble_on_a_connection_that_was_used_before_end_it(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = await connected(port, GET)
    assert await answer_on(streams) == b"200"
    monkeypatch.setattr(connections, "HEADERS_S", SOON_S)
    streams[1].write(b"G")
    assert await until_closed(streams) == b""


async def test_a_request_that_takes_long_to_send_its_body_is_not_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 10 * SOON_S)
    streams = await connected(port, POST)
    assert await until_closed(await connected(port)) == b"", "a later connection has run out of time"
    streams[1].write(b"2\r\n[]\r\n0\r\n\r\n")
    assert await answer_on(streams) == b"200"
    streams[1].close()


async def test_a_slow_chunked_body_is_answered_and_ended(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_S", SOON_S)
    monkeypatch.setattr(connections, "LINGER_S", SOON_S)
    answer = await until_closed(await connected(port, POST + b"1\r\n[\r\n"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:paylatch:problem:too-slow" in answer


async def test_a_body_that_goes_on_after_its_request_was_refused_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER_S", SOON_S)
    answer = await until_closed(await connected(port, POST.replace(AUTHORIZED, b"") + b"1\r\n[\r\n"))
    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_connection_that_takes_no_answers_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_S", SOON_S)
    lost, connection_lost = asyncio.Event(), PunctualProtocol.connection_lost

    def noted(protocol: PunctualProtocol, exc: Exception | None) -> None:
        connection_lost(protocol, exc)
        lost.set()

    monkeypatch.setattr(PunctualProtocol, "connection_lost", noted)
    # More than the kernel keeps for whoever reads nothing.
    _, writer = await connected(port, GET_LARGE * 20)
    async with asyncio.timeout(PATIENCE_S):
        await lost.wait()
    writer.close()


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /\r\n\r\n", POST + b"x\r\n"], ids=["TLS", "0.9", "chunk"]
)
async def test_what_is_no_http_is_told_so_and_ended(port: int, sent: bytes) -> None:
    answer = await until_closed(await connected(port, sent))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"urn:paylatch:problem:not-http" in answer


async def test_who_speaks_no_http_or_wants_to_speak_something_else_fills_no_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    await until_closed(await connected(port, b"GET /\r\n\r\n"))
    other = await connected(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
    assert await answer_on(other) == b"200"
    other[1].close()
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_connections_beyond_the_limit_are_told_so_and_the_others_go_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    held = [await connected(port, GET) for _ in range(2)]
    assert [await answer_on(streams) for streams in held] == [b"200"] * 2
    turned_away = await until_closed(await connected(port))
    assert turned_away.startswith(b"HTTP/1.1 503")
    assert b"urn:paylatch:problem:too-many-connections" in turned_away
    held[0][1].write(GET)
    assert await answer_on(held[0]) == b"200"
    for streams in held:
        streams[1].close()


async def test_requests_in_a_row_on_one_connection_are_all_answered(port: int) -> None:
    streams = await connected(port, GET * 3)
    assert [await answer_on(streams) for _ in range(3)] == [b"200"] * 3
    streams[1].close()
