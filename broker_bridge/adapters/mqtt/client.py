"""The bridge's MQTT client: one connection of `mqtt_transport`, with the errors that the bridge's use cases know."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from broker_bridge.app.ports.broker import BrokerUnavailableError, OnPublished, PublishRefusedError, Received
from mqtt_transport import Connection, ConnectionEndedError, Connector, Login, RefusedError, Subscription

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 30

Receive = Callable[[Received], None]
"""Takes a message as it comes; must neither wait nor fail."""


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


class BrokerConnection:
    """One connection: the `PhonesLine` of `broker_bridge.app.ports.broker`, and the transport's `Receiver`."""

    _connection: Connection

    def __init__(self, receive: Receive) -> None:
        """Take who is handed each message as soon as it has been read from the connection."""
        self._receive = receive
        self._closed: asyncio.Future[ConnectionEndedError] = asyncio.get_running_loop().create_future()

    async def open(self, connector: Connector, login: Login) -> None:
        """Connect.

        Raises:
            BrokerUnavailableError: it cannot be done.
        """
        try:
            self._connection = await connector.connect(login, self)
        except ConnectionEndedError as error:
            raise BrokerUnavailableError(str(error)) from error

    async def close(self) -> None:
        """Disconnect; what still waits for a PUBACK is told."""
        await self._connection.close()

    async def until_closed(self) -> None:
        """Wait for the end of the connection.

        Raises:
            BrokerUnavailableError: it has come.
        """
        raise BrokerUnavailableError(str(await asyncio.shield(self._closed)))

    async def subscribe(self, *subscriptions: Subscription) -> None:
        """Subscribe, and return when the broker has granted it.

        Raises:
            BrokerUnavailableError: it has not.
        """
        try:
            await self._connection.subscribe(*subscriptions)
        except (RefusedError, ConnectionEndedError) as error:
            raise BrokerUnavailableError(str(error)) from error

    async def unsubscribe(self, *topic_filters: str) -> None:
        """Unsubscribe, and return when the broker has confirmed it.

        Raises:
            BrokerUnavailableError: it has not.
        """
        try:
            await self._connection.unsubscribe(*topic_filters)
        except (RefusedError, ConnectionEndedError) as error:
            raise BrokerUnavailableError(str(error)) from error

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK."""
        try:
            await self._connection.publish(topic, payload, retain=retain)
        except (RefusedError, ConnectionEndedError) as error:
            raise _as_port(error) from error

    @property
    def window(self) -> int:
        """How many publishes the broker takes before their PUBACKs."""
        return self._connection.window

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        """Publish with QoS 1, and tell `on_published` at the PUBACK."""
        self._connection.send(topic, payload, retain=retain, on_done=partial(_tell, on_published))

    def received(self, topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
        """Hand a message over."""
        self._receive(Received(topic, payload, retained, partial(self._connection.acknowledge, packet_id)))

    def closed(self, error: ConnectionEndedError) -> None:
        """Note why the connection is over."""
        self._closed.set_result(error)


def _tell(on_published: OnPublished, error: RefusedError | ConnectionEndedError | None) -> None:
    on_published(None if error is None else _as_port(error))


def _as_port(error: RefusedError | ConnectionEndedError) -> PublishRefusedError | BrokerUnavailableError:
    """Return the error that the bridge's use cases know."""
    kind = PublishRefusedError if isinstance(error, RefusedError) else BrokerUnavailableError
    return kind(str(error))


def fresh(topic_filter: str) -> Subscription:
    """Return a subscription to nothing from before; what comes says whether it was meant to be kept."""
    return Subscription(topic_filter=topic_filter, retained=False, flag_as_published=True)


async def answered(asking: Coroutine[Any, Any, T]) -> T:
    """Return the broker's answer, with a time-out around calls that have none.

    A broker that grants a subscription and then delivers nothing, for want of a right, would be waited for for ever.

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
