"""The port to the network: what a simulated phone needs of a connection."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from device_sim.identities import FleetPhone
from lock_protocol.topics import PhoneTopic


class Obstacle(StrEnum):
    """What kept a phone from its broker."""

    NAME = "name"
    """The broker's, which has no address."""
    CERTIFICATE = "certificate"
    """The broker's, which is no good."""
    LOGIN = "login"
    """The broker does not take the phone's name and password."""
    OTHER = "other"
    """What may pass by itself: the broker, the network or the phone was not there, say."""


class LinkError(Exception):
    """A connection could not be made, broke, or was given up."""

    def __init__(self, why: str, obstacle: Obstacle = Obstacle.OTHER) -> None:
        """Take why, for people, and what that comes to."""
        super().__init__(why)
        self.obstacle = obstacle


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes that arrived on one of a phone's own topics, or (topic None) on the next root's."""

    topic: PhoneTopic | None
    payload: bytes


class Link(Protocol):
    """One open connection. Its methods never block; what they could not send is lost with the connection."""

    def publish(self, topic: PhoneTopic, envelope: bytes) -> None:
        """Send an envelope on one of the phone's own topics."""

    def subscribe_root(self, root_version: int) -> None:
        """Listen for this root too."""


class OwnLink(Link, Protocol):
    """A connection, as its owner has it."""

    async def close(self) -> None:
        """End the connection; it is over when this returns, and its session has been told."""


class Session(Protocol):
    """What is done with a connection. The first two may give it up by raising `LinkError`."""

    def opened(self, link: OwnLink) -> None:
        """Begin: all subscriptions are granted, and nothing has been handed over yet."""

    def arrived(self, message: Arrived) -> None:
        """Take one message, in the order of arrival."""

    def closed(self) -> None:
        """Hear, once, that the connection is over that was opened."""


class Dialler(Protocol):
    """Makes connections."""

    async def dial(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        """Connect one phone, subscribe its own topics and the next root's, and open the session.

        Raises:
            LinkError: the connection could not be made, or the session gave it up at once. It has not been opened.
            CancelledError: it may have been.
        """
