"""The connection by which phones are reached: everything that is published to phones, and all that they say.

What phones say is acknowledged when its commit is over, so with a broker that keeps to our Receive Maximum no more of
it is in the bridge, and the rest waits at the broker, which has a bound of its own. Acknowledging late brings back
nothing that a broken connection has lost: the session starts clean, and phones say again what has had no effect.

Mosquitto 2.0.11 keeps to it only until something is acknowledged. Where messages wait at the broker, each
acknowledgement in their order then has it send as many again as Receive Maximum says, whatever is unacknowledged still.
Seen with 20: 20 messages before the first acknowledgement, 240 after eleven; and here, with 10,000 phones that came
back at once, 10,800 unread. A lower figure only takes a few acknowledgements more. So what bounds the memory is how
many packet identifiers there are, 65,535, and each phone's share.

Reading is not paused for that. What the broker acknowledges comes by the same connection: answers to hellos wait for
it, and what has been read waits for places that those answers have, so that nothing would go on any more.
"""

import asyncio

from broker_bridge.adapters.mqtt.client import BrokerConnection
from broker_bridge.app.hear import MAX_OF_ONE_PHONE, MAX_UNDER_WAY
from broker_bridge.app.ports.broker import Received
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
