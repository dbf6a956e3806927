"""A load generator's HTTP connections, against a server that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from paylatch.local.kept_connections import CONNECTIONS, KeptConnections
from paylatch.local.ports import LOOPBACK

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\npayl\r\n3\r\natc\r\n1\r\nh\r\n0\r\n\r\n"


@dataclass
class Server:
    """Answers each request with the next of these; nothing hangs up, and None never answers."""

    answers: list[bytes | None] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    connections: int = 0
    together: int = 0
    most_together: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append((head.split(b"\r\n")[0].decode(), await self._body(reader, head.lower())))
                self.together += 1
                self.most_together = max(self.most_together, self.together)
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    await asyncio.Event().wait()
                await asyncio.sleep(0)
                self.together -= 1
                if not answer:
                    return
                writer.write(answer or b"")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @staticmethod
    async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
            return body
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")]
        return await reader.readexactly(int(lengths[0])) if lengths else b""


@asynccontextmanager
async def served(*answers: bytes | None) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    one = Server(list(answers))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(one.serve(reader, writer)))

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    one.port = server.sockets[0].getsockname()[1]
    url = f"http://{LOOPBACK}:{one.port}"
    async with httpx.AsyncClient(base_url=url, transport=KeptConnections(), timeout=5, trust_env=False) as client:
        yield one, client
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_connection_serves_one_request_after_the_other() -> None:
    async with served() as (server, client):
        for _ in range(3):
            response = await client.post("/v1/decisions?a=b", json={"x": 1})
            assert (response.status_code, response.text) == (200, "ok")
    assert server.requests == [("POST /v1/decisions?a=b HTTP/1.1", b'{"x":1}')] * 3
    assert server.connections == 1


async def test_so_many_requests_are_asked_together_and_no_more() -> None:
    async with served() as (server, client):
        await asyncio.gather(*(client.get("/") for _ in range(4 * CONNECTIONS)))
    assert len(server.requests) == 4 * CONNECTIONS
    assert server.most_together <= CONNECTIONS
    assert server.connections <= CONNECTIONS


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (CHUNKED, 200, "paylatch"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nlater", 503, "later"),
    ],
)
async def test_an_answer_is_read_to_its_end_whatever_its_form(answer: bytes, status: int, text: str) -> None:
    async with served(answer) as (server, client):
        response = await client.get("/")
        assert (response.status_code, response.text) == (status, text)
        assert (await client.get("/")).text == "ok"
    assert server.connections == 1


async def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    async with served(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as (server, client):
        await client.get("/")
        await client.get("/")
    assert server.connections == 2


async def test_a_request_whose_connection_had_been_closed_is_sent_again() -> None:
    async with served(OK, b"") as (server, client):
        assert (await client.post("/", content=b"first")).text == "ok"
        assert (await client.post("/", content=b"second")).text == "ok"
    assert [body for _, body in server.requests] == [b"first", b"second", b"second"]


async def test_a_new_connection_that_breaks_is_an_error() -> None:
    async with served(b"") as (server, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
    assert len(server.requests) == 1


async def test_a_body_that_comes_in_pieces_is_sent_once_on_a_connection_of_its_own() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"", b"two"):
            yield piece

    async with served(OK, OK) as (server, client):
        await client.get("/")
        assert (await client.post("/", content=pieces())).text == "ok"
    assert server.requests[1][1] == b"onetwo"
    assert server.connections == 2


async def test_an_answer_that_does_not_come_in_time_is_not_waited_for() -> None:
    async with served(None) as (_, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=httpx.Timeout(5, read=0.05))


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: good[:20],
        lambda good: good.replace(b"200", b"two"),
        lambda good: good.replace(b"Content-Length: 2", b"X: 2"),
        lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_an_error(broken: Callable[[bytes], bytes]) -> None:
    async with served(broken(OK), b"") as (_, client):
        with pytest.raises(httpx.TransportError):
            await client.get("/", timeout=0.5)


async def test_where_nobody_listens_there_is_no_connection() -> None:
    async with served() as (server, client):
        port = server.port
        await client.get("/")
    async with httpx.AsyncClient(transport=KeptConnections(), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{LOOPBACK}:{port}/")
