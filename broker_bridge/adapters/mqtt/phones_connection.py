"""The connection by which phones are reached: everything that is published to phones, and all that they say.

What phones say is acknowledged when its commit is over, so hardly more of it is in the bridge than the broker may send
without that (it sends a little more at times, and never more than there are packet identifiers); the rest waits at the
broker, which has a bound of its own. Acknowledging late brings back nothing that a broken connection has lost: the
session starts clean, and phones say again what has had no effect.
"""

import asyncio

from broker_bridge.adapters.mqtt.client import BrokerConnection
from broker_bridge.app.hear import MAX_OF_ONE_PHONE, MAX_UNDER_WAY, Received
from lock_protocol.topics import PhoneTopic

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


class PhonesConnection(BrokerConnection):
    """A connection whose messages wait to be read."""

    def __init__(self) -> None:
        self.incoming = Incoming()
        super().__init__(self.incoming.offer)
