"""A server that says what a test wants it to, byte for byte, to a session without a network."""

from dataclasses import dataclass, field

import mqtt5

from mqtt_transport.errors import ConnectionEndedError, RefusedError
from mqtt_transport.options import Login
from mqtt_transport.session import Session

LOGIN = Login(client_id="phone", username="user", password="secret")
HELLO = ("up/hello", b"hello")


@dataclass
class Outcomes:
    """What became of requests, in the order in which it was told."""

    told: list[RefusedError | ConnectionEndedError | None] = field(default_factory=list)

    def __call__(self, error: RefusedError | ConnectionEndedError | None) -> None:
        self.told.append(error)

    @property
    def words(self) -> list[str]:
        return ["granted" if error is None else str(error) for error in self.told]


@dataclass
class Inbox:
    """What was delivered."""

    messages: list[tuple[str, bytes, bool]] = field(default_factory=list)
    packet_ids: list[int] = field(default_factory=list)

    def __call__(self, topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
        self.messages.append((topic, payload, retained))
        self.packet_ids.append(packet_id)


def packets_of(data: bytes) -> list[mqtt5.Packet]:
    """What a client has sent."""
    found, at = [], 0
    while at < len(data):
        packet, size = mqtt5.read(memoryview(data)[at:])
        found.append(packet)
        at += size
    return found


def said(session: Session) -> list[mqtt5.Packet]:
    """What the session wants to be sent now."""
    return packets_of(session.take_output())


def connected(
    inbox: Inbox | None = None, *, login: Login = LOGIN, window: int = 65_535, largest: int | None = None
) -> Session:
    """A session that the server has accepted, with this Receive Maximum and Maximum Packet Size."""
    session = Session(login, Inbox() if inbox is None else inbox)
    session.take_output()
    session.receive(mqtt5.ConnAckPacket(receive_max=window, max_packet_size=largest).write())
    return session


def message(packet_id: int, payload: bytes = b"state", *, topic: str = "down", retain: bool = False) -> bytes:
    """A message from the server; packet identifier 0 stands for QoS 0."""
    if packet_id == 0:
        return mqtt5.PublishPacket(topic, payload, retain=retain).write()
    qos = mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket(topic, payload, qos=qos, retain=retain, packet_id=packet_id).write()


def puback(packet_id: int, reason: mqtt5.PubAckReasonCode = mqtt5.PubAckReasonCode.SUCCESS) -> bytes:
    return mqtt5.PubAckPacket(packet_id, reason_code=reason).write()
