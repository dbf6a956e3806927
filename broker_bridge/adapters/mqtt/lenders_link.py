"""The lenders' connection: decisions come in on it, results go out.

A connection of its own, so that a lender's flood waits in a queue of its own at the broker, and no phone's hello behind
it. For the same reason nothing of it goes through aiomqtt's one queue: what comes is handed over at once, to somebody
who keeps it by lender.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage

from broker_bridge.adapters.mqtt.client import LIVE, BrokerAddress, Client, Session, answered, entered
from broker_bridge.adapters.mqtt.supervising import Supervisor
from broker_bridge.app.hear import Received
from broker_bridge.app.ports.broker import Broker, BrokerUnavailableError
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.results import RESULT_WINDOW
from lock_protocol.topics import Topics

Receive = Callable[[Received], None]
"""Takes a message as it comes; must neither wait nor fail."""


class LendersLink:
    """Keeps the lenders' connection to the broker."""

    def __init__(self, address: BrokerAddress, topics: Topics, *, random: Random, log: Log) -> None:
        """Take the bridge's address; the client id of this connection follows from the one in it."""
        self._address = replace(address, client_id=f"{address.client_id}-lenders")
        self._topics = topics
        self._supervisor = Supervisor("lenders_connected", "lenders_disconnected", self._address, random, log)

    @property
    def connected(self) -> bool:
        """Whether decisions can come in, and results go out."""
        return self._supervisor.connected

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        return self._supervisor.connections

    async def run(self, receive: Receive, on_session: Callable[[Broker], Awaitable[None]]) -> None:
        """Hand over what lenders publish and run `on_session` on each connection; until cancelled."""
        await self._supervisor.run(lambda: self._one_connection(receive, on_session))

    async def _one_connection(self, receive: Receive, on_session: Callable[[Broker], Awaitable[None]]) -> None:
        client = _LendersClient(self._address, receive)
        async with entered(client), asyncio.TaskGroup() as tasks:
            tasks.create_task(_until_it_ends(client), name="lenders.read")
            tasks.create_task(self._serve(client, on_session), name="lenders.session")

    async def _serve(self, client: Client, on_session: Callable[[Broker], Awaitable[None]]) -> None:
        await answered(client.subscribe(self._topics.all_decisions, options=LIVE, timeout=math.inf))
        self._supervisor.ready()
        await on_session(Session(client))


async def _until_it_ends(client: Client) -> None:
    """Wait for the end of the connection: no message ever comes this way."""
    async for _ in client.messages:
        pass
    raise BrokerUnavailableError("the connection ended")


class _LendersClient(Client):
    """A client that hands over each message as soon as it has been read from the connection."""

    def __init__(self, address: BrokerAddress, receive: Receive) -> None:
        super().__init__(address, window=RESULT_WINDOW)
        self._receive = receive

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        del client, userdata
        self._receive(Received(message.topic, bytes(message.payload), bool(message.retain)))
