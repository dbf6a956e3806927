"""The MQTT client of the bridge's connection to lenders: aiomqtt's, with what it does not do itself mended."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiomqtt
from aiomqtt.types import PahoSocket
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker_bridge.app.ports.broker import BrokerUnavailableError, PublishRefusedError
from mqtt_transport import why_unconnected

T = TypeVar("T")

MAX_QUEUED = 50_000
CONNECT_TIMEOUT_S = 10.0

LIVE = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND, retainAsPublished=True)
"""Nothing that the broker has kept from before; what is published from now on says whether it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the services' listener is, and who the bridge is there."""

    host: str
    port: int
    username: str
    password: str
    client_id: str
    """Fixed for one database: a second bridge that takes it over ends the first one's session."""
    tls: ssl.SSLContext | None = None
    """How to prove the broker; None for a connection in the clear."""


class Session:
    """One connection. Implements the `Broker` of `broker_bridge.app.ports.broker`."""

    def __init__(self, client: "Client") -> None:
        """Take a connected client."""
        self._client = client

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK."""
        await self._client.publish_acknowledged(topic, payload, retain=retain)


class Client(aiomqtt.Client):
    """aiomqtt's client, with what it does not do itself mended at its own callbacks.

    - A PUBACK that refuses counts as success to it.
    - A publish that waits when the connection ends waits on.
    - Each packet that is sent has the socket watched for writing one turn of the loop later, by its descriptor; when
      the connection breaks in between, that is nobody's any more, or already somebody else's.

    Everything else is used through its public interface.
    """

    def __init__(self, address: BrokerAddress, *, window: int, will: aiomqtt.Will | None = None) -> None:
        """Take where to connect, and how many publishes may be unacknowledged at a time."""
        super().__init__(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=address.client_id,
            tls_context=address.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            will=will,
            timeout=CONNECT_TIMEOUT_S,
            max_inflight_messages=window,
            max_queued_incoming_messages=MAX_QUEUED,
            logger=logging.getLogger("paylatch.mqtt"),
            socket_options=_NO_DELAY,
        )
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}

    async def publish_acknowledged(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at a PUBACK that grants it."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != 0:
            raise BrokerUnavailableError(f"could not publish: {aiomqtt.MqttCodeError(info.rc)}")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unacknowledged[info.mid] = acknowledged
        await acknowledged

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        acknowledged = self._unacknowledged.pop(mid, None)
        if acknowledged is None or acknowledged.done():
            super()._on_publish(client, userdata, mid, reason_code, properties)
        elif reason_code.is_failure:
            acknowledged.set_exception(PublishRefusedError(str(reason_code)))
        else:
            acknowledged.set_result(None)

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: PahoSocket) -> None:
        del userdata
        # From the thread that connects, too.
        self._loop.call_soon_threadsafe(self._watch, client, sock)

    def _watch(self, client: PahoClient, sock: PahoSocket) -> None:
        if sock.fileno() == -1:
            return
        try:
            self._loop.add_writer(sock.fileno(), self._write, client)
        except (OSError, RuntimeError) as error:
            # uvloop refuses a descriptor whose last socket it has not forgotten yet: nothing would ever be sent here.
            self._break(error)

    def _write(self, client: PahoClient) -> None:
        try:
            client.loop_write()
        except OSError as error:
            self._break(error)

    def _break(self, error: Exception) -> None:
        if not self._disconnected.done():
            self._disconnected.set_exception(error)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: Any,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        waiting, self._unacknowledged = self._unacknowledged, {}
        for acknowledged in waiting.values():
            if not acknowledged.done():
                acknowledged.set_exception(BrokerUnavailableError(f"disconnected: {reason_code}"))


@asynccontextmanager
async def entered(client: aiomqtt.Client) -> AsyncIterator[None]:
    """Connect, and disconnect in the end, also when cancelled on the way.

    aiomqtt cannot be cancelled while it does either: it would leave its socket open and watched. Both are let finish,
    which they do within their time-out.

    Raises:
        BrokerUnavailableError, aiomqtt.MqttError: it cannot be done.
    """
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await client.__aexit__(None, None, None)
        raise
    except aiomqtt.MqttError as error:
        raise BrokerUnavailableError(why_not(error)) from error
    try:
        yield
    finally:
        leaving = asyncio.ensure_future(client.__aexit__(None, None, None))
        try:
            await asyncio.wait([leaving])
        except asyncio.CancelledError:
            await asyncio.wait([leaving])
            raise
        finally:
            leaving.exception()  # a disconnect that failed has disconnected as well


def why_not(error: aiomqtt.MqttError) -> str:
    """Return why aiomqtt could not connect. Of the system's error it shows the text, which for TLS says little."""
    return why_unconnected(error.__context__) if isinstance(error.__context__, OSError) else str(error)


async def answered(asking: Coroutine[Any, Any, T]) -> T:
    """Return the broker's answer, with a time-out of our own around calls that have none.

    aiomqtt's own is `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes with the answer. And
    a broker that grants a subscription and then delivers nothing, for want of a right, would be waited for for ever.

    Raises:
        BrokerUnavailableError: it did not come in time.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asking
    except TimeoutError:
        raise BrokerUnavailableError(
            f"no answer within {CONNECT_TIMEOUT_S:g} s; may the bridge read and write its own topics?"
        ) from None


# Without it a state waits for TCP's acknowledgement of the PUBACK sent before it, which comes up to 40 ms late.
_NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
