"""The connection by which phones are reached: everything that is published to phones, and all that they say.

What phones say is acknowledged when its commit is over, so hardly more of it is in the bridge than the broker may send
without that (it sends a little more at times, and never more than there are packet identifiers); the rest waits at the
broker, which has a bound of its own. Acknowledging late brings back nothing that a broken connection has lost: the
session starts clean, and phones say again what has had no effect.
"""

import asyncio
from functools import partial

from broker_bridge.app.hear import MAX_OF_ONE_PHONE, MAX_UNDER_WAY, Received
from broker_bridge.app.ports.broker import BrokerUnavailableError, OnPublished, PublishRefusedError
from lock_protocol.topics import PhoneTopic
from mqtt_transport import Connection, ConnectionEndedError, Connector, Login, RefusedError, Subscription

RECEIVE_MAXIMUM = MAX_UNDER_WAY


class Incoming(asyncio.Queue[Received]):
    """What waits to be read, with no phone having more than its share of it.

    One phone in a loop would keep all others waiting. What intruders put on a `desired` topic is never dropped: the
    last of it is what has to be covered.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unread: dict[str, int] = {}
        self._latest: dict[str, Received] = {}
        """The last message of each `desired` topic of which too many are unread: the others say nothing any more."""

    def offer(self, received: Received) -> None:
        """Have a message wait to be read, or drop it."""
        unread = self._unread.get(received.topic, 0)
        if unread < MAX_OF_ONE_PHONE:
            self._unread[received.topic] = unread + 1
            self.put_nowait(received)
            return
        overtaken: Received | None = received
        if received.topic.endswith(PhoneTopic.DESIRED):
            overtaken = self._latest.get(received.topic)
            self._latest[received.topic] = received
        if overtaken is not None:
            overtaken.acknowledge()

    def _get(self) -> Received:
        """Take the next message out, as asyncio's queue asks its subclasses to."""
        received = super()._get()
        left = self._unread[received.topic] - 1
        if left:
            self._unread[received.topic] = left
        else:
            del self._unread[received.topic]
        if (latest := self._latest.pop(received.topic, None)) is not None:
            self.offer(latest)
        return received


class PhonesConnection:
    """One connection: the `PhonesLine` of `broker_bridge.app.ports.broker`, and the transport's `Receiver`."""

    _connection: Connection

    def __init__(self) -> None:
        self.incoming = Incoming()
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
        """Have a message wait to be read."""
        self.incoming.offer(Received(topic, payload, retained, partial(self._connection.acknowledge, packet_id)))

    def closed(self, error: ConnectionEndedError) -> None:
        """Note why the connection is over."""
        self._closed.set_result(error)


def _tell(on_published: OnPublished, error: RefusedError | ConnectionEndedError | None) -> None:
    on_published(None if error is None else _as_port(error))


def _as_port(error: RefusedError | ConnectionEndedError) -> PublishRefusedError | BrokerUnavailableError:
    """Return the error that the bridge's use cases know."""
    kind = PublishRefusedError if isinstance(error, RefusedError) else BrokerUnavailableError
    return kind(str(error))
