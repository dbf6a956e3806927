"""Connecting: from an address to a connection that the server has accepted."""

import asyncio
import socket
import ssl
from functools import partial

from mqtt_transport.connection import READ_AT_ONCE, Connection, Receiver
from mqtt_transport.errors import ConnectionEndedError, UnknownServerError, UnprovenServerError
from mqtt_transport.keep_alive import Wheel
from mqtt_transport.options import Login
from mqtt_transport.tls import why_unconnected

CONNECT_TIMEOUT_S = 10.0


class Connector:
    """Makes connections to one server. They share their timers and what they read into, so one event loop has them.

    Args:
        host: a name or an address.
        port: where it listens.
        tls: how to prove the server; None for a connection in the clear.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._wheels: dict[float, Wheel] = {}
        # One for all: whatever each of ten thousand phones keeps for its reads, a fleet has ten thousand times.
        self._buffer = memoryview(bytearray(READ_AT_ONCE))

    async def connect(self, login: Login, receiver: Receiver) -> Connection:
        """Connect, and return when the server has accepted.

        Raises:
            ConnectRefusedError: it has refused; a `LoginRefusedError`, because of who this is.
            UnknownServerError: its name has no address.
            UnprovenServerError: its certificate is no good.
            ConnectionEndedError: it cannot be reached, or did not answer within `CONNECT_TIMEOUT_S`.
        """
        make = partial(Connection, login, receiver, self._wheel, self._buffer)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(make, self._host, self._port, ssl=self._tls)
                try:
                    await connection.opened()
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError:
            raise ConnectionEndedError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None
        except (OSError, UnicodeError) as error:
            raise self._unreached(error) from error
        return connection

    def _unreached(self, error: OSError | UnicodeError) -> ConnectionEndedError:
        # What can be no name at all, like one with two dots in a row, does not even come to be looked up.
        if isinstance(error, UnicodeError) or (isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME):
            return UnknownServerError(f"no connection: no address is known for {self._host!r}")
        kind = UnprovenServerError if isinstance(error, ssl.SSLCertVerificationError) else ConnectionEndedError
        return kind(f"no connection: {why_unconnected(error)}")

    def _wheel(self, period_s: float) -> Wheel:
        wheel = self._wheels.get(period_s)
        if wheel is None:
            wheel = self._wheels[period_s] = Wheel(period_s)
        return wheel
