"""The link to the broker: the connection that phones are reached by.

What goes out on it again after it broke is the outbox's decision alone.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from random import Random
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker_bridge.adapters.mqtt.client import LIVE, MAX_QUEUED, BrokerAddress, Client, Session, answered, entered
from broker_bridge.adapters.mqtt.supervising import Supervisor
from broker_bridge.app.canary import decode_canary
from broker_bridge.app.hear import ANSWER_WINDOW, MAX_OF_ONE_PHONE, Received
from broker_bridge.app.ports import BrokerUnavailableError, Log
from lock_protocol.topics import PhoneTopic, Topics

MAX_HANDED_OVER = 1_000

OnSession = Callable[[Session, "asyncio.Queue[Received]", str | None], Awaitable[None]]
"""What to do while connected: the session, what comes in, the token of the canary that the broker holds."""


class Link:
    """Keeps a connection to the broker and runs a session on each."""

    def __init__(self, address: BrokerAddress, topics: Topics, *, window: int, random: Random, log: Log) -> None:
        """Take the address, and how many publishes may be unacknowledged at a time."""
        self._address = address
        self._topics = topics
        self._window = window
        self._supervisor = Supervisor("broker_connected", "broker_disconnected", address, random, log)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, subscribed and ready."""
        return self._supervisor.connected

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        return self._supervisor.connections

    async def run(self, on_session: OnSession) -> None:
        """Connect, run `on_session`, and start over whenever the connection ends; until cancelled."""
        await self._supervisor.run(lambda: self._one_connection(on_session))

    async def _one_connection(self, on_session: OnSession) -> None:
        client = _PhonesClient(self._address, self._topics, self._window)
        incoming: asyncio.Queue[Received] = asyncio.Queue(MAX_HANDED_OVER)
        async with entered(client), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(client, incoming), name="mqtt.read")
            tasks.create_task(self._serve(client, incoming, on_session), name="mqtt.session")

    async def _serve(self, client: "_PhonesClient", incoming: "asyncio.Queue[Received]", on_session: OnSession) -> None:
        token = await answered(self._subscribe(client, incoming))
        await client.publish_acknowledged(self._topics.status, status_of("online"), retain=True)
        self._supervisor.ready()
        await on_session(Session(client), incoming, token)

    async def _read(self, client: "_PhonesClient", incoming: "asyncio.Queue[Received]") -> None:
        """Hand over what comes in.

        aiomqtt acknowledges on arrival: what comes while `MAX_QUEUED` wait already is lost, and a hello repairs it.
        """
        async for message in client.messages:
            client.note_read(message.topic.value)
            await incoming.put(Received(message.topic.value, message.payload, bool(message.retain)))
        raise BrokerUnavailableError("the connection ended")

    async def _subscribe(self, client: "_PhonesClient", incoming: "asyncio.Queue[Received]") -> str | None:
        """Subscribe to everything, and return the token of the retained canary.

        Its absence is proved, not assumed: the bridge publishes a barrier to itself, and whatever the broker had
        retained comes before it. It is empty, because auditors hear it too; above all it must not hold the client id,
        with which whoever knows it ends the bridge's session.
        """
        own = [self._topics.canary, self._topics.barrier]
        await client.subscribe([(own[0], _LIVE_AND_RETAINED), (own[1], LIVE)], timeout=math.inf)
        await client.publish_acknowledged(self._topics.barrier, b"", retain=False)
        token = None
        while (received := await incoming.get()).topic != self._topics.barrier:
            token = decode_canary(received.payload)
        await client.unsubscribe(own, timeout=math.inf)
        upward = [
            (self._topics.all_phones(PhoneTopic.HELLO), LIVE),
            (self._topics.all_phones(PhoneTopic.REPORTED), LIVE),
            # Not its own publishes (no-local): so whatever comes was put there by somebody else.
            (self._topics.all_phones(PhoneTopic.DESIRED), _FOREIGN),
        ]
        await client.subscribe(upward, timeout=math.inf)
        return token


_LIVE_AND_RETAINED = SubscribeOptions(qos=1)
_FOREIGN = SubscribeOptions(qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)


def status_of(status: str) -> bytes:
    """Return the payload of the bridge's retained status: online or offline, and which version is or was."""
    return json.dumps({"status": status, "version": version("paylatch")}).encode()


class _PhonesClient(Client):
    """A client that lets no phone take more than its share of what waits to be read.

    aiomqtt puts whatever comes into one queue, however much of that is one phone's, and takes it out slowly: one phone
    in a loop would keep all others waiting.
    """

    def __init__(self, address: BrokerAddress, topics: Topics, window: int) -> None:
        will = aiomqtt.Will(topics.status, status_of("offline"), qos=1, retain=True)
        super().__init__(address, window=window + ANSWER_WINDOW + _OWN_MESSAGES, will=will)
        self._unread: Counter[str] = Counter()

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


_OWN_MESSAGES = 8
"""Canary, status, barrier and roots go out beside the windows."""
