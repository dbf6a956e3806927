"""The client's side of one MQTT 5 connection, without input or output: bytes in, callbacks and bytes out.

A session is used once. It starts clean, so nothing outlives it: `lost` ends whatever still waits, and what is then to
be sent again, if anything, is for the caller to say.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, auto
from typing import Protocol

import mqtt5

from mqtt_transport.errors import (
    ConnectionEndedError,
    ConnectRefusedError,
    LoginRefusedError,
    ProtocolError,
    RefusedError,
)
from mqtt_transport.framing import Frames
from mqtt_transport.options import Login, Subscription

OnDone = Callable[[RefusedError | ConnectionEndedError | None], None]
"""Told once what became of a request: None when the server has granted it. Must not raise."""

MAX_UNSENT = 10_000
"""How many publishes wait for a place in the window; what comes then is refused."""

MAX_ASKED = 500
"""How many subscriptions and unsubscriptions wait for their answers; what comes then is refused."""

_QOS_1 = mqtt5.QoS.AT_LEAST_ONCE
_MAX_PACKET_ID = 65_535
_MAX_WINDOW = _MAX_PACKET_ID - MAX_ASKED - 1
"""Leaves a packet identifier free whatever waits: publishes and subscriptions share them (MQTT 5, 2.2.1)."""
_FAILURE = 128
_WRONG_LOGIN = (mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
_LARGEST_PACKET = 268_435_460
"""Bytes; what the Remaining Length can say (MQTT 5, 1.5.5), and its header."""


class Deliver(Protocol):
    """Takes a message as it comes."""

    def __call__(self, topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
        """Take it. `packet_id` is what it is to be acknowledged by; 0 for one that needs no acknowledgement."""


class Stage(Enum):
    """How far a session is."""

    CONNECTING = auto()
    OPEN = auto()
    OVER = auto()


class Session:
    """What is said on one connection, and what is still waited for.

    Args:
        login: who this is.
        deliver: what comes in.
    """

    __slots__ = (
        "_asked",
        "_deliver",
        "_frames",
        "_heard",
        "_held",
        "_largest",
        "_output",
        "_owed",
        "_packet_id",
        "_pinged",
        "_sent",
        "_unacknowledged",
        "_unsent",
        "_window",
        "keep_alive_s",
        "stage",
    )

    def __init__(self, login: Login, deliver: Deliver) -> None:
        self.stage = Stage.CONNECTING
        self.keep_alive_s = login.keep_alive_s
        """What the server has agreed to; 0 for none."""
        self._deliver = deliver
        self._frames = Frames(login.maximum_packet_size)
        self._output = [_connect_packet(login).write()]
        # What the next request bears: a packet identifier that nothing waits for.
        self._packet_id = 1
        self._window = 0
        self._largest = _LARGEST_PACKET
        self._held = False
        # A list where a queue would do: it is mostly empty, and ten thousand empty queues are six megabytes.
        self._unsent: list[tuple[str, bytes, bool, OnDone]] = []
        self._unacknowledged: dict[int, OnDone] = {}
        self._asked: dict[int, OnDone] = {}
        # Which messages wait for an acknowledgement, in their order, and whether the application has given it. There
        # may be more than Receive Maximum: upon an acknowledgement Mosquitto 2.0.11 counts what is unacknowledged only
        # up to that message, mostly the first, and sends so many again from its queue; a bridge that left it would not
        # come to an end. There are never more than packet identifiers, 65,535.
        self._owed: dict[int, bool] = {}
        self._sent = self._heard = True
        self._pinged = False

    # --- bytes ---

    def receive(self, data: bytes) -> None:
        """Take what the server has sent, up to the end of the session. What comes after that is not looked at.

        Raises:
            ConnectionEndedError: the server has ended the connection, or has broken the rules: it has to be closed.
        """
        self._heard = True
        for packet in self._frames.packets(data):
            if self.stage is Stage.OVER:
                return
            handler = _HANDLERS[self.stage].get(type(packet))
            if handler is None:
                raise ProtocolError(f"{type(packet).__name__} while {self.stage.name.lower()}")
            handler(self, packet)

    def take_output(self) -> bytes:
        """Return what is to be sent, and forget it."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    # --- requests ---

    @property
    def window(self) -> int:
        """How many publishes go out before their acknowledgements: the server's Receive Maximum, or a little less."""
        return self._window

    @property
    def is_quiet(self) -> bool:
        """Whether no publish is on its way, and none waits."""
        return not self._unacknowledged and not self._unsent

    def publish(self, topic: str, payload: bytes, *, retain: bool, on_done: OnDone) -> None:
        """Publish with QoS 1 as soon as the window has room. `on_done` may be called before this returns.

        Raises:
            ValueError: no message may have this topic.
        """
        packet = mqtt5.PublishPacket(topic, payload, qos=_QOS_1, retain=retain, packet_id=self._packet_id).write()
        if self.stage is not Stage.OPEN:
            on_done(ConnectionEndedError("there is no connection"))
        elif len(packet) > self._largest:
            on_done(RefusedError(f"{len(packet)} bytes, and the server takes {self._largest}"))
        elif self._has_room() and not self._unsent:
            self._send(packet, on_done)
        elif len(self._unsent) < MAX_UNSENT:
            self._unsent.append((topic, payload, retain, on_done))
        else:
            on_done(RefusedError(f"{MAX_UNSENT} publishes wait already"))

    def subscribe(self, subscriptions: Iterable[Subscription], on_done: OnDone) -> None:
        """Ask for subscriptions. They are refused as a whole when one of them is."""
        filters = [_topic_filter(subscription) for subscription in subscriptions]
        self._ask(mqtt5.SubscribePacket(self._packet_id, filters), on_done)

    def unsubscribe(self, topic_filters: Iterable[str], on_done: OnDone) -> None:
        """Give subscriptions up."""
        self._ask(mqtt5.UnsubscribePacket(self._packet_id, list(topic_filters)), on_done)

    def acknowledge(self, packet_id: int) -> None:
        """Acknowledge a message: the server may forget it, and send one more.

        May be called in any order; the server hears it in the order of the messages, as MQTT 5 demands (4.6).

        Raises:
            KeyError: no message of this packet identifier waits for that.
        """
        if packet_id == 0 or self.stage is Stage.OVER:
            return
        owed = self._owed
        if owed[packet_id]:
            raise KeyError(packet_id)
        owed[packet_id] = True
        while owed and owed[first := next(iter(owed))]:
            del owed[first]
            self._write(mqtt5.PubAckPacket(first).write())

    def disconnect(self, error: ConnectionEndedError | None = None) -> None:
        """Say farewell: a normal one, upon which no will is published, or because of what the server did."""
        if self.stage is not Stage.OVER:
            reasons = mqtt5.DisconnectReasonCode
            faulty = isinstance(error, ProtocolError)
            reason = reasons.PROTOCOL_ERROR if faulty else reasons.NORMAL_DISCONNECTION
            self._write(mqtt5.DisconnectPacket(reason_code=reason).write())
        self.stage = Stage.OVER

    # --- the connection ---

    def hold(self) -> None:
        """Send no more publishes: the connection does not take them at the moment."""
        self._held = True

    def go_on(self) -> None:
        """Send publishes again, the waiting ones first."""
        self._held = False
        self._send_waiting()

    def beat(self) -> None:
        """Keep the connection alive. To be called twice in each `keep_alive_s`.

        Raises:
            ConnectionEndedError: the server has been silent although it was asked.
        """
        if self._pinged and not self._heard:
            raise ConnectionEndedError("the server does not answer")
        self._pinged = not (self._heard and self._sent)
        self._heard = self._sent = False
        if self._pinged:
            self._write(mqtt5.PingReqPacket().write())

    def lost(self, error: ConnectionEndedError) -> None:
        """End whatever still waits: the connection is over."""
        self.stage = Stage.OVER
        self._deliver = _to_nobody
        waiting = [*self._unacknowledged.values(), *self._asked.values(), *(done for *_, done in self._unsent)]
        self._unacknowledged, self._asked, self._unsent = {}, {}, []
        for on_done in waiting:
            on_done(error)

    # --- inside ---

    def _has_room(self) -> bool:
        return len(self._unacknowledged) < self._window and not self._held

    def _send(self, packet: bytes, on_done: OnDone) -> None:
        """Send a publish that bears the free packet identifier."""
        self._unacknowledged[self._packet_id] = on_done
        self._find_free_packet_id()
        self._write(packet)

    def _send_waiting(self) -> None:
        while self._unsent and self._has_room():
            topic, payload, retain, on_done = self._unsent.pop(0)
            packet = mqtt5.PublishPacket(topic, payload, qos=_QOS_1, retain=retain, packet_id=self._packet_id)
            self._send(packet.write(), on_done)

    def _ask(self, packet: mqtt5.SubscribePacket | mqtt5.UnsubscribePacket, on_done: OnDone) -> None:
        """Send a request that bears the free packet identifier."""
        if self.stage is not Stage.OPEN:
            on_done(ConnectionEndedError("there is no connection"))
        elif len(self._asked) < MAX_ASKED:
            self._asked[self._packet_id] = on_done
            self._find_free_packet_id()
            self._write(packet.write())
        else:
            on_done(RefusedError(f"{MAX_ASKED} subscriptions wait already"))

    def _write(self, packet: bytes) -> None:
        self._output.append(packet)
        self._sent = True

    def _find_free_packet_id(self) -> None:
        """Go on to a packet identifier that nothing waits for. There is one: see `_MAX_WINDOW` and `MAX_ASKED`."""
        packet_id = self._packet_id % _MAX_PACKET_ID + 1
        while packet_id in self._unacknowledged or packet_id in self._asked:
            packet_id = packet_id % _MAX_PACKET_ID + 1
        self._packet_id = packet_id

    # --- what the server says ---

    def _connected(self, packet: mqtt5.ConnAckPacket) -> None:
        if packet.reason_code.value >= _FAILURE:
            kind = LoginRefusedError if packet.reason_code in _WRONG_LOGIN else ConnectRefusedError
            raise kind(f"the server refuses the connection: {_words(packet.reason_code.name)}")
        if packet.session_present:
            raise ProtocolError("the server went on with a session that was to start clean")
        if packet.max_qos.value < _QOS_1.value or not packet.retain_available:
            raise ConnectRefusedError("the server knows no QoS 1, or retains nothing")
        self.stage = Stage.OPEN
        self._window = min(packet.receive_max, _MAX_WINDOW)
        if packet.max_packet_size is not None:
            self._largest = packet.max_packet_size
        if packet.server_keep_alive is not None:
            self.keep_alive_s = packet.server_keep_alive

    def _published(self, packet: mqtt5.PublishPacket) -> None:
        packet_id = packet.packet_id
        if packet_id is None:
            self._deliver(packet.topic, packet.payload, retained=packet.retain, packet_id=0)
            return
        if packet.qos.value > _QOS_1.value or packet_id in self._owed or packet.topic_alias is not None:
            raise ProtocolError(f"a message that may not come: QoS {packet.qos.value}, packet identifier {packet_id}")
        self._owed[packet_id] = False
        self._deliver(packet.topic, packet.payload, retained=packet.retain, packet_id=packet_id)

    def _acknowledged(self, packet: mqtt5.PubAckPacket) -> None:
        on_done = self._unacknowledged.pop(packet.packet_id, None)
        if on_done is None:
            raise ProtocolError(f"an acknowledgement of packet identifier {packet.packet_id}, which was not sent")
        self._send_waiting()
        reason = packet.reason_code
        if reason is _ACCEPTED or reason.value < _FAILURE:
            on_done(None)
        else:
            on_done(RefusedError(f"the server refuses a message: {_words(reason.name)}"))

    def _answered(self, packet: mqtt5.SubAckPacket | mqtt5.UnsubAckPacket) -> None:
        on_done = self._asked.pop(packet.packet_id, None)
        if on_done is None:
            raise ProtocolError(f"an answer to packet identifier {packet.packet_id}, which was not asked")
        refusals = [_words(reason.name) for reason in packet.reason_codes if reason.value >= _FAILURE]
        on_done(RefusedError(f"the server refuses a subscription: {', '.join(refusals)}") if refusals else None)

    def _ponged(self, _: mqtt5.PingRespPacket) -> None:
        """Do nothing: when any bytes came last has been noted already."""

    def _dismissed(self, packet: mqtt5.DisconnectPacket) -> None:
        self.stage = Stage.OVER
        raise ConnectionEndedError(f"the server ended the connection: {_words(packet.reason_code.name)}")


def _to_nobody(topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
    """Take the place of who was delivered to, once nothing is delivered any more."""


_ACCEPTED = mqtt5.PubAckReasonCode.SUCCESS

_HANDLERS: Mapping[Stage, Mapping[type[mqtt5.Packet], Callable[..., None]]] = {
    Stage.CONNECTING: {mqtt5.ConnAckPacket: Session._connected},  # noqa: SLF001 - the table of this very class
    Stage.OPEN: {
        mqtt5.PublishPacket: Session._published,  # noqa: SLF001
        mqtt5.PubAckPacket: Session._acknowledged,  # noqa: SLF001
        mqtt5.SubAckPacket: Session._answered,  # noqa: SLF001
        mqtt5.UnsubAckPacket: Session._answered,  # noqa: SLF001
        mqtt5.PingRespPacket: Session._ponged,  # noqa: SLF001
        mqtt5.DisconnectPacket: Session._dismissed,  # noqa: SLF001
    },
}
"""What may come when. Anything else is against the protocol."""


def _connect_packet(login: Login) -> mqtt5.ConnectPacket:
    will = login.will
    return mqtt5.ConnectPacket(
        login.client_id,
        username=login.username,
        password=login.password.encode(),
        clean_start=True,
        will=None if will is None else mqtt5.Will(will.topic, payload=will.payload, qos=_QOS_1, retain=will.retain),
        keep_alive=login.keep_alive_s,
        receive_max=login.receive_maximum,
        max_packet_size=login.maximum_packet_size,
    )


def _topic_filter(subscription: Subscription) -> mqtt5.TopicFilter:
    handling = mqtt5.RetainHandling
    return mqtt5.TopicFilter(
        subscription.topic_filter,
        max_qos=_QOS_1,
        no_local=not subscription.own,
        retain_as_published=subscription.flag_as_published,
        retain_handling=handling.SEND_ALWAYS if subscription.retained else handling.SEND_NEVER,
    )


def _words(reason: str) -> str:
    """Return a reason code's name as it is read: "Not authorized" for NOT_AUTHORIZED."""
    return reason.replace("_", " ").capitalize()
