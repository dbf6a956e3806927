"""What a client says of itself, and of what it wants to hear."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the server publishes, with QoS 1, when the connection ends without a farewell."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who a client is, and what it takes."""

    client_id: str
    username: str
    password: str
    will: Will | None = None
    keep_alive_s: int = 60
    """Longest silence towards the server, unless that wants less; the server gives up after one and a half times it."""
    receive_maximum: int = 1000
    """How many messages the server may send that are not acknowledged. One that sends more is borne with."""
    maximum_packet_size: int = 65_536
    """Bytes. The server drops a message that is larger; one that comes all the same ends the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A topic filter, to be heard with QoS 1."""

    topic_filter: str
    retained: bool = True
    """Whether to be sent what the server has kept from before."""
    own: bool = True
    """Whether to hear what this very client publishes."""
    flag_as_published: bool = False
    """Whether a message that is to be retained says so also when it comes fresh."""
