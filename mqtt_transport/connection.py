"""A connection: a session tied to asyncio.

A publish that finds nothing on its way goes out at once; beside others, what is said in one turn of the loop goes out
in one write. When the socket takes no more, publishes wait in the session, where they are counted; acknowledgements
still go out, of which there are never many.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol, cast

from mqtt_transport.errors import ConnectionEndedError, RefusedError
from mqtt_transport.keep_alive import Wheel
from mqtt_transport.options import Login, Subscription
from mqtt_transport.session import Deliver, OnDone, Session, Stage

FAREWELL_S = 2.0
"""How long the server may take to close a connection that this side has left, before it is cut."""

READ_AT_ONCE = 16_384
"""Bytes read in one turn of the loop; asyncio's own measure is sixteen times that.

A flood of small messages is thousands of them in as much, and everything else that the loop has to do waits meanwhile:
an HTTP request's way through it has a dozen turns.
"""

WheelOf = Callable[[float], Wheel]
"""Returns the wheel of a period in seconds."""


class Receiver(Protocol):
    """Who a connection is for. Neither may raise."""

    @property
    def received(self) -> Deliver:
        """What takes each message as it comes."""

    def closed(self, error: ConnectionEndedError) -> None:
        """Hear that a connection that was open is over, and why. Nothing comes after it."""


class Connection(asyncio.BufferedProtocol):
    """One connection. `Connector` makes them.

    Args:
        login: who this is.
        receiver: what hears what comes.
        wheel_of: where the timers are.
        buffer: what is read into; as nothing stays there, all connections of one loop may have the same.
    """

    __slots__ = (
        "_buffer",
        "_due",
        "_loop",
        "_opened",
        "_over",
        "_reason",
        "_receiver",
        "_session",
        "_slot",
        "_transport",
        "_wheel_of",
    )

    def __init__(self, login: Login, receiver: Receiver, wheel_of: WheelOf, buffer: memoryview) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = Session(login, receiver.received)
        self._receiver = receiver
        self._wheel_of = wheel_of
        self._opened: asyncio.Future[None] | None = self._loop.create_future()
        self._over: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._reason: ConnectionEndedError | None = None
        self._buffer = buffer
        self._due = False
        self._slot = 0

    # --- what it does for its owner ---

    async def opened(self) -> None:
        """Return when the server has accepted the connection.

        Raises:
            ConnectionEndedError: it has not, and the connection is over.
        """
        if self._opened is not None:
            await self._opened

    @property
    def window(self) -> int:
        """How many publishes go out before their acknowledgements; more wait here. 0 before the server has said."""
        return self._session.window

    def send(self, topic: str, payload: bytes, *, retain: bool, on_done: OnDone) -> None:
        """Publish with QoS 1. `on_done` is called at the PUBACK, or when none will come; maybe before this returns.

        Raises:
            ValueError: no message may have this topic.
        """
        alone = not self._due and self._session.is_quiet
        self._session.publish(topic, payload, retain=retain, on_done=on_done)
        if alone:
            self._flush()
        else:
            self._flush_soon()

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK.

        Raises:
            RefusedError: the server refused it.
            ConnectionEndedError: the connection ended first; the message may have arrived.
            ValueError: no message may have this topic.
        """
        await self._answer(lambda on_done: self.send(topic, payload, retain=retain, on_done=on_done))

    def ask(self, subscriptions: Iterable[Subscription], on_done: OnDone) -> None:
        """Subscribe. `on_done` is called with the answer, or when none will come; maybe before this returns."""
        self._session.subscribe(subscriptions, on_done)
        self._flush_soon()

    async def subscribe(self, *subscriptions: Subscription) -> None:
        """Subscribe, and return when the server has granted all of it.

        Raises:
            RefusedError: it refused one of them.
            ConnectionEndedError: the connection ended first.
        """
        await self._answer(partial(self.ask, subscriptions))

    async def unsubscribe(self, *topic_filters: str) -> None:
        """Unsubscribe, and return when the server has confirmed it.

        Raises:
            RefusedError: it refused one of them.
            ConnectionEndedError: the connection ended first.
        """

        def ask(on_done: OnDone) -> None:
            self._session.unsubscribe(topic_filters, on_done)
            self._flush_soon()

        await self._answer(ask)

    def acknowledge(self, packet_id: int) -> None:
        """Acknowledge a message, by the packet identifier it came with."""
        self._session.acknowledge(packet_id)
        self._flush_soon()

    def leave(self) -> None:
        """Say farewell, and close when that is sent."""
        self._end(ConnectionEndedError("closed by this side"))

    async def close(self) -> None:
        """Leave, and return when the connection is over."""
        self.leave()
        if self._transport is None:
            return
        if self._over is None:
            self._over = self._loop.create_future()
        try:
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.shield(self._over)
        except TimeoutError:
            self.abort()
            await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.abort()
            raise

    def abort(self) -> None:
        """Cut the connection, without a farewell. From now on nothing is delivered, and nothing waits."""
        self._reason = self._reason or ConnectionEndedError("cut by this side")
        self._session.lost(self._reason)
        if self._transport is not None:
            self._transport.abort()

    # --- what asyncio says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # What `create_connection` makes; uvloop's is one without saying so by its class.
        self._transport = cast("asyncio.Transport", transport)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what the server has sent.

        A view, as asyncio's TLS goes on with a slice when a record has not filled it: a `bytearray`'s is a copy.
        """
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the server has sent, and send what came of it, at once."""
        data = bytes(self._buffer[:nbytes])
        self._due = True
        try:
            self._session.receive(data)
        except ConnectionEndedError as error:
            self._end(error.with_traceback(None))  # it is kept, and its frames would keep this connection
            return
        if self._opened is not None and self._session.stage is Stage.OPEN:
            self._open(self._opened)
        self._flush()

    def pause_writing(self) -> None:
        """Hold publishes back."""
        self._session.hold()

    def resume_writing(self) -> None:
        """Let them go."""
        self._session.go_on()
        self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """End whatever waits, and forget the receiver.

        Mostly that holds its connection, and such a circle stays until the garbage collector looks at what has lived
        for long: of phones that come and go for hours, hundreds of megabytes.
        """
        self._transport = None
        receiver = self._receiver
        del self._receiver
        error = self._reason or ConnectionEndedError(f"the connection broke: {exc or 'the server closed it'}")
        if self._opened is None:
            self._wheel().discard(self, self._slot)
        self._session.lost(error)
        if self._over is not None:
            self._over.set_result(None)
        if self._opened is None:
            receiver.closed(error)
        elif not self._opened.done():
            self._opened.set_exception(error)

    # --- what its wheel says ---

    def beat(self) -> None:
        """Keep the connection alive, or find that it is not."""
        try:
            self._session.beat()
        except ConnectionEndedError as error:
            self._reason = self._reason or error.with_traceback(None)
            self.abort()
        self._flush()

    # --- inside ---

    def _open(self, opened: "asyncio.Future[None]") -> None:
        self._opened = None
        self._slot = self._wheel().add(self)
        if not opened.done():
            opened.set_result(None)

    def _wheel(self) -> Wheel:
        return self._wheel_of(self._session.keep_alive_s / 2)

    def _end(self, error: ConnectionEndedError) -> None:
        """Say farewell and close. A server that takes neither is cut off when its wheel comes round."""
        self._reason = self._reason or error
        self._session.disconnect(error)
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _flush_soon(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._due = False
        output = self._session.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    async def _answer(self, ask: Callable[[OnDone], None]) -> None:
        """Ask, and return when that is granted."""
        answer: asyncio.Future[None] = self._loop.create_future()

        def done(error: RefusedError | ConnectionEndedError | None) -> None:
            if answer.done():
                return  # whoever waited was cancelled
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        ask(done)
        await answer
