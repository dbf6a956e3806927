"""The connection to the broker, as the use cases need it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class BrokerUnavailableError(Exception):
    """There is no connection to the broker, or it ended before the PUBACK. The message may have arrived."""


class PublishRefusedError(Exception):
    """The broker answered a publish with a failure."""


class Link(Protocol):
    """A connection to the broker that is made again whenever it ends."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, subscribed and ready."""

    @property
    def connections(self) -> int:
        """How many have been made so far."""


class Broker(Protocol):
    """A live connection to the broker."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish with QoS 1 and return at the PUBACK.

        Raises:
            BrokerUnavailableError: the connection ended first; the message may have arrived.
            PublishRefusedError: the broker refused it.
        """


def _nothing() -> None:
    """Acknowledge what needs no acknowledgement."""


class Received(NamedTuple):
    """One message as the broker delivered it. A tuple: there are tens of thousands, and these are made fastest."""

    topic: str
    payload: bytes
    retained: bool
    acknowledge: Callable[[], None] = _nothing
    """To be called once nothing more comes of it that could be lost: the broker then sends another one."""


OnPublished = Callable[[PublishRefusedError | BrokerUnavailableError | None], None]
"""Told once what became of a publish: None at its PUBACK. Must not raise."""


class PhonesLine(Broker, Protocol):
    """The live connection by which phones are reached."""

    @property
    def window(self) -> int:
        """How many publishes the broker takes before their PUBACKs; what is more waits in the order it was sent in."""

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        """Publish like `publish`, without anybody who waits. `on_published` may be called before this returns."""
