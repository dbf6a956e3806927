"""The link to the broker: one supervised MQTT 5 connection, again and again.

aiomqtt does not reconnect, and what waits for a PUBACK when the connection ends would wait until a time-out; so each
connection is a session of its own, everything in it ends together, and the next one begins after a jittered pause with
a clean start. Nothing is resent by the client library: what goes out again is the outbox's decision alone.
"""

import asyncio
import logging
import math
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import aiomqtt
from aiomqtt.types import PahoSocket
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker_bridge.app.canary import decode_canary
from broker_bridge.app.hear import ANSWER_WINDOW, MAX_OF_ONE_PHONE, Received
from broker_bridge.app.ports import (
    BrokerUnavailableError,
    Log,
    OverloadedError,
    PublishRefusedError,
    StoreUnavailableError,
)
from lock_protocol.topics import PhoneTopic, Topics

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STOOD_S = 5.0
MAX_QUEUED = 50_000
MAX_HANDED_OVER = 1_000
CONNECT_TIMEOUT_S = 10.0
_ONLINE, _OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the services' listener is, and who the bridge is there."""

    host: str
    port: int
    username: str
    password: str
    client_id: str
    """Fixed for one database: a second bridge that takes it over ends the first one's session."""


class Session:
    """One connection. Implements the `Broker` of `broker_bridge.app.ports`."""

    def __init__(self, client: "_Client") -> None:
        """Take a connected client."""
        self._client = client

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK."""
        await self._client.publish_acknowledged(topic, payload, retain=retain)


OnSession = Callable[[Session, "asyncio.Queue[Received]", str | None], Awaitable[None]]
"""What to do while connected: the session, what comes in, the token of the canary that the broker holds."""


class Link:
    """Keeps a connection to the broker and runs a session on each."""

    def __init__(self, address: BrokerAddress, topics: Topics, *, window: int, random: Random, log: Log) -> None:
        """Take the address, and how many publishes may be unacknowledged at a time."""
        self._address = address
        self._topics = topics
        self._window = window
        self._random = random
        self._log = log
        self._connected = asyncio.Event()
        self.connections = 0
        """How many have been made so far."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, subscribed and ready."""
        return self._connected.is_set()

    async def run(self, on_session: OnSession) -> None:
        """Connect, run `on_session`, and start over whenever the connection ends; until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            started = asyncio.get_running_loop().time()
            # A task of its own: before Python 3.12 a task group that fails can leave a cancellation behind in its task.
            connection = asyncio.create_task(self._one_connection(on_session), name="mqtt.connection")
            await _over(connection)
            address = {"host": self._address.host, "port": self._address.port}
            self._log.warning("broker_disconnected", **address, error=_expected_reason(connection))
            # After a connection that stood the first try comes soon. A broker that refuses is not hammered, and two
            # bridges that take the client id from each other do not do so without end.
            stood = self.connected and asyncio.get_running_loop().time() - started >= STOOD_S
            pause = FIRST_PAUSE_S if stood else min(pause * 2, LONGEST_PAUSE_S)
            self._connected.clear()
            await asyncio.sleep(self._random.uniform(0, pause))

    async def _one_connection(self, on_session: OnSession) -> None:
        client = _Client(self._address, self._topics, self._window)
        incoming: asyncio.Queue[Received] = asyncio.Queue(MAX_HANDED_OVER)
        async with _entered(client), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(client, incoming), name="mqtt.read")
            tasks.create_task(self._serve(client, incoming, on_session), name="mqtt.session")

    async def _serve(self, client: "_Client", incoming: "asyncio.Queue[Received]", on_session: OnSession) -> None:
        token = await _answered(self._subscribe(client, incoming))
        await client.publish_acknowledged(self._topics.status, _ONLINE, retain=True)
        self._connected.set()
        self.connections += 1
        self._log.info("broker_connected", host=self._address.host, port=self._address.port)
        await on_session(Session(client), incoming, token)

    async def _read(self, client: "_Client", incoming: "asyncio.Queue[Received]") -> None:
        """Hand over what comes in.

        aiomqtt acknowledges on arrival: what comes while `MAX_QUEUED` wait already is lost, and a hello repairs it.
        """
        async for message in client.messages:
            client.note_read(message.topic.value)
            await incoming.put(Received(message.topic.value, message.payload, bool(message.retain)))
        raise BrokerUnavailableError("the connection ended")

    async def _subscribe(self, client: "_Client", incoming: "asyncio.Queue[Received]") -> str | None:
        """Subscribe to everything, and return the token of the retained canary.

        Its absence is proved, not assumed: the bridge publishes a barrier to itself, and whatever the broker had
        retained comes before it. It is empty, because auditors hear it too; above all it must not hold the client id,
        with which whoever knows it ends the bridge's session.
        """
        own = [self._topics.canary, self._topics.barrier]
        await client.subscribe([(own[0], _LIVE_AND_RETAINED), (own[1], _LIVE)], timeout=math.inf)
        await client.publish_acknowledged(self._topics.barrier, b"", retain=False)
        token = None
        while (received := await incoming.get()).topic != self._topics.barrier:
            token = decode_canary(received.payload)
        await client.unsubscribe(own, timeout=math.inf)
        upward = [
            (self._topics.all_phones(PhoneTopic.HELLO), _LIVE),
            (self._topics.all_phones(PhoneTopic.REPORTED), _LIVE),
            # Not its own publishes (no-local): so whatever comes was put there by somebody else.
            (self._topics.all_phones(PhoneTopic.DESIRED), _FOREIGN),
        ]
        await client.subscribe(upward, timeout=math.inf)
        return token


_LIVE_AND_RETAINED = SubscribeOptions(qos=1)
_LIVE = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND, retainAsPublished=True)
_FOREIGN = SubscribeOptions(qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)


class _Client(aiomqtt.Client):
    """aiomqtt's client, with what it does not do itself mended at its own callbacks.

    - A PUBACK that refuses counts as success to it.
    - A publish that waits when the connection ends waits on.
    - It puts whatever comes into one queue, however much of that is one phone's, and takes it out slowly: one phone in
      a loop would keep all others waiting.
    - Each packet that is sent has the socket watched for writing one turn of the loop later, by its descriptor; when
      the connection breaks in between, that is nobody's any more, or already somebody else's.

    Everything else is used through its public interface.
    """

    def __init__(self, address: BrokerAddress, topics: Topics, window: int) -> None:
        super().__init__(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=address.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            will=aiomqtt.Will(topics.status, _OFFLINE, qos=1, retain=True),
            timeout=CONNECT_TIMEOUT_S,
            max_inflight_messages=window + ANSWER_WINDOW + _OWN_MESSAGES,
            max_queued_incoming_messages=MAX_QUEUED,
            logger=logging.getLogger("paylatch.mqtt"),
            socket_options=_NO_DELAY,
        )
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}
        self._unread: Counter[str] = Counter()

    async def publish_acknowledged(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at a PUBACK that grants it."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != 0:
            raise BrokerUnavailableError(f"could not publish: {aiomqtt.MqttCodeError(info.rc)}")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unacknowledged[info.mid] = acknowledged
        await acknowledged

    def note_read(self, topic: str) -> None:
        """Say that a message of this topic has been taken from what waits to be read."""
        self._unread[topic] -= 1
        if self._unread[topic] <= 0:
            del self._unread[topic]

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        """Have a message wait to be read, unless its phone has more than its share waiting already."""
        topic, waiting = message.topic, len(self.messages)
        says = topic.endswith((PhoneTopic.HELLO, PhoneTopic.REPORTED))
        if waiting >= MAX_QUEUED or (says and self._unread[topic] >= MAX_OF_ONE_PHONE):
            return
        self._unread[topic] += 1
        super()._on_message(client, userdata, message)

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
async def _entered(client: aiomqtt.Client) -> AsyncIterator[None]:
    """Connect, and disconnect in the end, also when cancelled on the way.

    aiomqtt cannot be cancelled while it does either: it would leave its socket open and watched. Both are let finish,
    which they do within their time-out.
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
        leaving = asyncio.ensure_future(client.__aexit__(None, None, None))
        try:
            await asyncio.wait([leaving])
        except asyncio.CancelledError:
            await asyncio.wait([leaving])
            raise
        finally:
            leaving.exception()  # a disconnect that failed has disconnected as well


async def _answered(asking: Coroutine[Any, Any, T]) -> T:
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


async def _over(connection: "asyncio.Task[None]") -> None:
    """Wait until a connection is over; when cancelled, end it first."""
    try:
        await asyncio.wait([connection])
    except asyncio.CancelledError:
        connection.cancel()
        await asyncio.wait([connection])
        _expected_reason(connection)
        raise


def _expected_reason(connection: "asyncio.Task[None]") -> str:
    """Return why a connection is over. An error that nobody expected is raised."""
    error = None if connection.cancelled() else connection.exception()
    if error is None:
        return "closed"
    expected, unexpected = BaseExceptionGroup("connection", [error]).split(_EXPECTED)
    if unexpected is not None or expected is None:
        raise error
    return str(_first_cause(expected))


def _first_cause(error: BaseException) -> BaseException:
    """Return the first plain error inside nested groups."""
    return _first_cause(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


_EXPECTED = (aiomqtt.MqttError, BrokerUnavailableError, StoreUnavailableError, OverloadedError)
"""What ends a connection and not the bridge: the next one begins with asking broker and database anew."""

# Without it a state waits for TCP's acknowledgement of the PUBACK sent before it, which comes up to 40 ms late.
_NO_DELAY = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

_OWN_MESSAGES = 8
"""Canary, status, barrier and roots go out beside the windows."""
