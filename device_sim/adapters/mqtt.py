"""A phone's connection to the broker: MQTT 5 by aiomqtt, clean start, QoS 1."""

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiomqtt
from aiomqtt.types import PahoSocket
from paho.mqtt.client import Client as PahoClient

from device_sim.fleet.link import Arrived, LinkError, Session
from device_sim.identities import FleetPhone
from lock_protocol.imei import Imei
from lock_protocol.topics import PhoneTopic, Topics

_QOS = 1
_TIMEOUT_S = 10.0
_KEEPALIVE_S = 120
# What paho would log about a broken connection comes as an exception too, thousands of times when a broker goes.
_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.CRITICAL)
# Without it a report waits for the acknowledgement of the packet before it, which TCP delays by up to 40 ms.
_NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
# A phone has one desired state. Only somebody who floods it fills such a queue, and then loses the rest.
_MAX_QUEUED = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttDialler:
    """Makes phones' connections to one broker."""

    host: str
    port: int
    topics: Topics
    tls: ssl.SSLContext | None = None
    """How to connect by TLS; None does without."""

    async def hold(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        """Connect one phone, subscribe its own topics and the next root's, and serve the session until cancelled.

        Raises:
            LinkError: the connection could not be made, or broke, or the session gave it up.
        """
        reason = "closed"
        try:
            await self._serve(phone, root_version, session)
        except* (aiomqtt.MqttError, LinkError) as errors:
            reason = str(errors.exceptions[0])
        # Here and not above: what is raised inside `except*` comes out wrapped in a group.
        raise LinkError(reason)

    async def _serve(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        client = self._client(phone)
        # A group per connection: when one publish fails the connection has failed, and all of it ends together.
        async with _entered(client), asyncio.TaskGroup() as sending:
            link = _MqttLink(client, self.topics, phone.imei, sending)
            await link.subscribe_all(root_version)
            try:
                session.opened(link)
                async for message in client.messages:
                    session.arrived(link.read(message))
            finally:
                link.close()

    def _client(self, phone: FleetPhone) -> aiomqtt.Client:
        return _Client(
            self.host,
            self.port,
            username=phone.imei,
            password=phone.password,
            identifier=phone.imei,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=_MAX_QUEUED,
            socket_options=_NO_DELAY,
            tls_context=self.tls,
            logger=_LOGGER,
            will=aiomqtt.Will(self.topics.phone(phone.imei, PhoneTopic.PRESENCE), b"gone"),
        )


class _Client(aiomqtt.Client):
    """aiomqtt's client, which never watches a socket that is closed already.

    Every packet that is sent has the socket watched for writing, one turn of the loop later. aiomqtt 2.5 remembers its
    descriptor over that turn; when the connection breaks in between, that is nobody's, or already the next phone's.
    """

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


class _MqttLink:
    """One open connection."""

    __slots__ = ("_client", "_imei", "_kinds", "_open", "_sending", "_topics")

    def __init__(self, client: aiomqtt.Client, topics: Topics, imei: Imei, sending: asyncio.TaskGroup) -> None:
        self._client = client
        self._topics = topics
        self._imei = imei
        self._sending = sending
        self._open = True
        self._kinds = {topics.phone(imei, kind): kind for kind in (PhoneTopic.DESIRED, PhoneTopic.FRESH)}

    async def subscribe_all(self, root_version: int) -> None:
        topics = [*self._kinds, self._topics.root(root_version)]
        await _acknowledged(self._client.subscribe([(topic, _QOS) for topic in topics], timeout=math.inf))

    def read(self, message: aiomqtt.Message) -> Arrived:
        """Return a received message by what it is for; whatever is none of the phone's own topics is a root's."""
        return Arrived(self._kinds.get(message.topic.value), message.payload)

    def publish(self, topic: PhoneTopic, envelope: bytes) -> None:
        name = self._topics.phone(self._imei, topic)
        self._send(self._client.publish(name, envelope, _QOS, timeout=math.inf), f"publish {topic}")

    def subscribe_root(self, root_version: int) -> None:
        topic = self._topics.root(root_version)
        self._send(self._client.subscribe(topic, _QOS, timeout=math.inf), f"subscribe root {root_version}")

    def close(self) -> None:
        self._open = False

    def _send(self, sending: Coroutine[Any, Any, Any], what: str) -> None:
        """Send without waiting for the acknowledgement: order is kept, and a failure ends the connection."""
        if self._open:
            self._sending.create_task(_acknowledged(sending), name=f"{what} of {self._imei}")
        else:
            sending.close()


@asynccontextmanager
async def _entered(client: aiomqtt.Client) -> AsyncIterator[None]:
    """Connect, and disconnect in the end, also when cancelled on the way.

    aiomqtt cannot be cancelled while it connects or disconnects: it would leave its socket open and registered. Both
    are let finish, which they do within their timeout.
    """
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await client.__aexit__(None, None, None)
        raise
    try:
        yield
    finally:
        await _to_the_end(client.__aexit__(None, None, None))


async def _to_the_end(leaving: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(leaving)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _acknowledged(sending: Coroutine[Any, Any, Any]) -> None:
    """Wait for an acknowledgement, with a timeout of our own around a call that has none.

    aiomqtt's own is `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes together with the
    answer: whoever cancels then waits for ever.

    Raises:
        LinkError: it did not come in time.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await sending
    except TimeoutError:
        raise LinkError(f"no acknowledgement within {_TIMEOUT_S:g} s") from None
