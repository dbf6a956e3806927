"""What the broker keeps for each phone, as somebody who comes fresh gets to see it.

Never by a wildcard: a broker silently delivers only a part of many retained messages to one. Each phone's topic is
subscribed by name, at QoS 0 because nothing may be held back for want of acknowledgements. That all have come is known
by a barrier: a topic that always has a retained message, subscribed last and therefore answered last.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import aiomqtt

from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.messages import StateHash
from lock_protocol.topics import PhoneTopic, Topics
from paylatch.demo.options import DemoError
from paylatch.demo.services import connection
from paylatch.local.site import ServiceAccess

_TOPICS_PER_SUBSCRIBE = 100


class RetainedStates:
    """Reads phones' topics, each time by a new connection. All methods raise `DemoError` when that breaks.

    Args:
        access: of a service that may read them.
        topics: under which prefix they are.
    """

    def __init__(self, access: ServiceAccess, topics: Topics) -> None:
        self._access = access
        self._topics = topics

    async def read(self, imeis: Sequence[Imei], timeout_s: float) -> dict[Imei, bytes]:
        """Return what is retained for each of these phones; one that has nothing is left out."""
        found: dict[Imei, bytes] = {}
        try:
            async with asyncio.timeout(timeout_s), aclosing(self._arrivals(imeis)) as arrivals:
                async for arrived in arrivals:
                    if arrived is None:
                        return found
                    found[arrived[0]] = arrived[1]
        except TimeoutError:
            raise DemoError(f"a fresh subscriber did not get all retained states within {timeout_s:g} s") from None
        raise DemoError("the broker ended a fresh subscriber's connection")

    async def await_hashes(self, wanted: Mapping[Imei, StateHash], timeout_s: float) -> list[Imei]:
        """Wait until each phone's topic has the state of this hash; return the phones where it does not in time."""
        lacking = set(wanted)
        try:
            async with asyncio.timeout(timeout_s), aclosing(self._arrivals(list(wanted))) as arrivals:
                async for arrived in arrivals:
                    if arrived is not None:
                        imei, message = arrived
                        note = lacking.discard if hash_of(message) == wanted[imei] else lacking.add
                        note(imei)
                    if not lacking:
                        return []
        except TimeoutError:
            return sorted(lacking)
        raise DemoError("the broker ended a fresh subscriber's connection")

    async def _arrivals(self, imeis: Sequence[Imei]) -> AsyncGenerator[tuple[Imei, bytes] | None, None]:
        """Yield what is retained, then None, then whatever is published."""
        names = [(self._topics.phone(imei, PhoneTopic.DESIRED), 0) for imei in imeis]
        try:
            async with connection(self._access) as client:
                for start in range(0, len(names), _TOPICS_PER_SUBSCRIBE):
                    await client.subscribe(names[start : start + _TOPICS_PER_SUBSCRIBE])
                await client.subscribe(self._topics.status, qos=0)
                async for message in client.messages:
                    yield self._parse(message)
        except aiomqtt.MqttError as error:
            raise DemoError(f"a fresh subscriber cannot read the broker: {error}") from error

    def _parse(self, message: aiomqtt.Message) -> tuple[Imei, bytes] | None:
        topic, payload = str(message.topic), message.payload
        if topic == self._topics.status:
            return None
        imei, _ = self._topics.parse_phone(topic)
        return imei, payload


def hash_of(message: bytes) -> StateHash | None:
    """Return the hash by which a state is known, or None for what is no envelope. Believes nothing."""
    try:
        return read_envelope(message).payload_hash
    except (ValueError, TypeError):
        return None
