"""HTTP connections that nobody can hold for ever: so many at most, each with a request that comes in time.

uvicorn closes connections that are idle after an answer, and no others. Who opens thousands and says nothing, sends a
header byte by byte, goes on sending a body after its request was refused, or reads no answer, would keep lenders out.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from broker_bridge.adapters.lender_api.problems import ProblemError

MAX_CONNECTIONS = 800
"""Below the 1024 files that a process may have open unless it is told otherwise."""
HEADERS_S = 15.0
"""How long a request's headers may take, from the connection's or their own first byte."""
LINGER_S = 5.0
"""How long the rest of a body that was answered already may take."""
TAKE_S = 60.0
"""How long what was written may wait until the other side has taken it. A page of an import's results is the most that
is written at a time."""


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol, with an end to waiting."""

    _deadline: asyncio.TimerHandle | None = None
    _not_taken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, or turn it away when there are too many."""
        super().connection_made(transport)
        # Hear of all that is not taken at once: a connection that is to be closed stays until that has gone out.
        transport.set_write_buffer_limits(0)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_TURNED_AWAY)
            transport.close()
        else:
            self._wait(HEADERS_S)

    def data_received(self, data: bytes) -> None:
        """Take what has come; whether it is all that was waited for, the protocol's state tells."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait(HEADERS_S)
        elif self.conn.our_state is h11.SEND_RESPONSE:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is on its way already, and end the connection."""
        del msg
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_NOT_HTTP)
        self.transport.close()

    def on_response_complete(self) -> None:
        """Go on with the next request, or end a connection whose body is still coming."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._wait(LINGER_S)

    def pause_writing(self) -> None:
        """Wait until the other side has taken what was written, and cut it off when it does not."""
        super().pause_writing()
        self._not_taken = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: all of it has been taken."""
        super().resume_writing()
        self._note_taken()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        self._note_taken()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        """Close the connection when nothing stops this in time. A wait that has begun is not prolonged."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _note_taken(self) -> None:
        if self._not_taken is not None:
            self._not_taken.cancel()
            self._not_taken = None


def _last_answer(problem: ProblemError) -> bytes:
    """Return the bytes of an answer that ends its connection."""
    body = json.dumps(problem.document()).encode()
    head = (
        f"HTTP/1.1 {problem.status} {problem.status.phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
        *(() if problem.retry_after_s is None else (f"retry-after: {problem.retry_after_s}",)),
    )
    return "\r\n".join((*head, "", "")).encode() + body


_TURNED_AWAY: Final = _last_answer(
    ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "too-many-connections", f"at most {MAX_CONNECTIONS} at a time; keep them open"
    )
)
_NOT_HTTP: Final = _last_answer(ProblemError(HTTPStatus.BAD_REQUEST, "not-http", "this is no request of HTTP/1.1"))
