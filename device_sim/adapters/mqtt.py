"""A phone's connection to the broker: MQTT 5 with a clean start and QoS 1, without a task or a timer of its own."""

import asyncio
import ssl
from functools import partial

from device_sim.fleet.link import Arrived, LinkError, Obstacle, Session
from device_sim.identities import FleetPhone
from lock_protocol.imei import Imei
from lock_protocol.topics import PhoneTopic, Topics
from mqtt_transport import (
    Connection,
    ConnectionEndedError,
    Connector,
    Login,
    LoginRefusedError,
    RefusedError,
    Subscription,
    UnknownServerError,
    UnprovenServerError,
    Will,
)

_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 120
_LISTENS = (PhoneTopic.DESIRED, PhoneTopic.FRESH)
_KINDS = {str(kind): kind for kind in _LISTENS}


class MqttDialler:
    """Makes phones' connections to one broker.

    Args:
        host: the broker.
        port: its listener for phones.
        topics: where the phones' topics are.
        tls: how to prove the broker; None for a connection in the clear.
    """

    def __init__(self, *, host: str, port: int, topics: Topics, tls: ssl.SSLContext | None = None) -> None:
        self._connector = Connector(host, port, tls)
        self._topics = topics

    async def dial(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        """Connect one phone, subscribe its own topics and the next root's, and open the session.

        Raises:
            LinkError: the connection could not be made, or the session gave it up at once. It has not been opened.
        """
        link = _MqttLink(self._topics, phone.imei, session)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await link.open(self._connector, self._login(phone), root_version)
        except TimeoutError:
            if not link.opened:  # else it was, at the last moment, and its end will be told to the session
                raise LinkError(f"not connected within {_TIMEOUT_S:g} s") from None
        except (ConnectionEndedError, RefusedError) as error:
            raise LinkError(str(error), _obstacle(error)) from error

    def _login(self, phone: FleetPhone) -> Login:
        presence = self._topics.phone(phone.imei, PhoneTopic.PRESENCE)
        return Login(
            client_id=phone.imei,
            username=phone.imei,
            password=phone.password,
            will=Will(topic=presence, payload=b"gone", retain=False),
            keep_alive_s=_KEEP_ALIVE_S,
        )


class _MqttLink:
    """One connection: the transport's `Receiver`, and the fleet's `OwnLink`."""

    __slots__ = ("_connection", "_early", "_imei", "_session", "_topics")

    _connection: Connection

    def __init__(self, topics: Topics, imei: Imei, session: Session) -> None:
        self._topics = topics
        self._imei = imei
        self._session = session
        # What comes before the session is opened; None from then on. A broker may send what it has retained before it
        # says that the subscription is granted.
        self._early: list[tuple[str, bytes, int]] | None = []

    @property
    def opened(self) -> bool:
        """Whether the session has been opened: from then on it hears of the connection's end, and nobody else."""
        return self._early is None

    async def open(self, connector: Connector, login: Login, root_version: int) -> None:
        """Connect, subscribe, and open the session.

        Raises:
            ConnectionEndedError, RefusedError, LinkError: it could not be opened, and is over.
        """
        connection = self._connection = await connector.connect(login, self)
        granted = asyncio.get_running_loop().create_future()
        topics = [*(self._topics.phone(self._imei, kind) for kind in _LISTENS), self._topics.root(root_version)]
        try:
            connection.ask([Subscription(topic_filter=topic) for topic in topics], partial(self._answered, granted))
            await granted
        except BaseException:
            if not self.opened:
                connection.abort()
            raise

    def _answered(self, granted: "asyncio.Future[None]", error: RefusedError | ConnectionEndedError | None) -> None:
        """Open the session at once: what is retained may come in the same breath, and must not be handed over first.

        Nor may it be handed to a session that is not opened.
        """
        if granted.done():  # nobody waits for it any more
            self._connection.abort()
            return
        try:
            if error is not None:
                raise error
            self._session.opened(self)
        except (RefusedError, ConnectionEndedError, LinkError) as refusal:
            granted.set_exception(refusal)
            self._connection.abort()
        else:
            early, self._early = self._early or (), None
            granted.set_result(None)
            for message in early:
                self._hand_over(*message)

    def received(self, topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
        """Hand a message over as soon as the session is open."""
        del retained
        if self._early is None:
            self._hand_over(topic, payload, packet_id)
        else:
            self._early.append((topic, payload, packet_id))

    def _hand_over(self, topic: str, payload: bytes, packet_id: int) -> None:
        """Hand a message over by what it is for, and acknowledge it: the phone has stored what it wants to keep.

        Whatever is none of the phone's own topics is a root's.
        """
        kind = _KINDS.get(topic.rpartition("/")[2])
        try:
            self._session.arrived(Arrived(kind, payload))
        except LinkError:
            self._connection.leave()
        else:
            self._connection.acknowledge(packet_id)

    def closed(self, error: ConnectionEndedError) -> None:
        """Tell the session, if there is one."""
        del error
        if self.opened:
            self._session.closed()

    def publish(self, topic: PhoneTopic, envelope: bytes) -> None:
        """Send an envelope on one of the phone's own topics."""
        self._connection.send(self._topics.phone(self._imei, topic), envelope, retain=False, on_done=_leave_it)

    def subscribe_root(self, root_version: int) -> None:
        """Listen for this root too."""
        self._connection.ask([Subscription(topic_filter=self._topics.root(root_version))], _leave_it)

    async def close(self) -> None:
        """End the connection; it is over when this returns, and its session has been told."""
        await self._connection.close()


def _obstacle(error: Exception) -> Obstacle:
    match error:
        case UnknownServerError():
            return Obstacle.NAME
        case UnprovenServerError():
            return Obstacle.CERTIFICATE
        case LoginRefusedError():
            return Obstacle.LOGIN
    return Obstacle.OTHER


def _leave_it(_: RefusedError | ConnectionEndedError | None) -> None:
    """Do nothing: a phone says again what has had no effect, and hears of a lost connection anyway."""
