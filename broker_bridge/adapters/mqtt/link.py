"""The link to the broker: the connection that phones are reached by.

What goes out on it again after it broke is the outbox's decision alone.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from random import Random

from broker_bridge.adapters.mqtt.client import KEEP_ALIVE_S, BrokerAddress, answered, fresh
from broker_bridge.adapters.mqtt.phones_connection import RECEIVE_MAXIMUM, Incoming, PhonesConnection
from broker_bridge.adapters.mqtt.supervising import Supervisor
from broker_bridge.app.canary import decode_canary
from broker_bridge.app.ports.broker import BrokerUnavailableError, PublishRefusedError
from broker_bridge.app.ports.surroundings import Log
from lock_protocol.topics import PhoneTopic, Topics
from mqtt_transport import Connector, Login, Subscription, Will

GOODBYE_S = 1.0
"""How long a bridge that ends waits for the broker to take its last word."""

OnSession = Callable[[PhonesConnection, Incoming, str | None], Awaitable[None]]
"""What to do while connected: the connection, what comes in, the token of the canary that the broker holds."""


class Link:
    """Keeps a connection to the broker and runs a session on each."""

    def __init__(self, address: BrokerAddress, topics: Topics, *, random: Random, log: Log) -> None:
        """Take where the broker is."""
        self._address = address
        self._topics = topics
        self._connector = Connector(address.host, address.port, address.tls)
        self._supervisor = Supervisor("broker_connected", "broker_disconnected", address, random, log)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, subscribed and ready."""
        return self._supervisor.connected

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        return self._supervisor.connections

    async def run(self, may_connect: Callable[[], Awaitable[None]], on_session: OnSession) -> None:
        """Connect, run `on_session`, and start over whenever the connection ends; until cancelled.

        Args:
            may_connect: see `Supervisor.run`.
            on_session: what is done on each connection.
        """
        await self._supervisor.run(may_connect, lambda: self._one_connection(on_session))

    async def _one_connection(self, on_session: OnSession) -> None:
        phones = PhonesConnection()
        await phones.open(self._connector, self._login())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(phones.until_closed(), name="mqtt.watch")
                tasks.create_task(self._serve(phones, on_session), name="mqtt.session")
        finally:
            await self._say_goodbye(phones)
            await phones.close()

    async def _say_goodbye(self, phones: PhonesConnection) -> None:
        """Say that the bridge is offline: the broker drops the will of whoever disconnects in order."""
        with suppress(BrokerUnavailableError, PublishRefusedError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await phones.publish(self._topics.status, status_of("offline"), retain=True)

    def _login(self) -> Login:
        return Login(
            client_id=self._address.client_id,
            username=self._address.username,
            password=self._address.password,
            will=Will(topic=self._topics.status, payload=status_of("offline"), retain=True),
            keep_alive_s=KEEP_ALIVE_S,
            receive_maximum=RECEIVE_MAXIMUM,
        )

    async def _serve(self, phones: PhonesConnection, on_session: OnSession) -> None:
        token = await answered(self._subscribe(phones))
        await phones.publish(self._topics.status, status_of("online"), retain=True)
        self._supervisor.ready()
        await on_session(phones, phones.incoming, token)

    async def _subscribe(self, phones: PhonesConnection) -> str | None:
        """Subscribe to everything, and return the token of the retained canary.

        Its absence is proved, not assumed: the bridge publishes a barrier to itself, and whatever the broker had
        retained comes before it. It is empty, because auditors hear it too; above all it must not hold the client id,
        with which whoever knows it ends the bridge's session.
        """
        canary, barrier = self._topics.canary, self._topics.barrier
        await phones.subscribe(Subscription(topic_filter=canary), Subscription(topic_filter=barrier, retained=False))
        await phones.publish(barrier, b"", retain=False)
        token = await self._until_barrier(phones.incoming)
        await phones.unsubscribe(canary, barrier)
        await phones.subscribe(
            fresh(self._topics.all_phones(PhoneTopic.HELLO)),
            fresh(self._topics.all_phones(PhoneTopic.REPORTED)),
            # Not its own publishes: so whatever comes was put there by somebody else.
            Subscription(topic_filter=self._topics.all_phones(PhoneTopic.DESIRED), retained=False, own=False),
        )
        return token

    async def _until_barrier(self, incoming: Incoming) -> str | None:
        """Return the token of the canary that comes before the barrier, if one does."""
        token = None
        while True:
            received = await incoming.get()
            received.acknowledge()
            if received.topic == self._topics.barrier:
                return token
            token = decode_canary(received.payload)


def status_of(status: str) -> bytes:
    """Return the payload of the bridge's retained status: online or offline, and which version is or was."""
    return json.dumps({"status": status, "version": version("paylatch")}).encode()
