"""What waits to be read is bounded, whatever comes, and the last of what covers a phone's state is never lost."""

import asyncio
from functools import partial

from broker_bridge.adapters.mqtt.phones_connection import Incoming
from broker_bridge.app.hear import MAX_OF_ONE_PHONE
from broker_bridge.app.ports.broker import Received
from device_sim.identities import simulated_imei
from lock_protocol.topics import PhoneTopic, Topics

DESIRED, HELLO = (Topics().phone(simulated_imei(1), topic) for topic in (PhoneTopic.DESIRED, PhoneTopic.HELLO))
FLOOD = 100


def flooded(topic: str) -> tuple[Incoming, list[int]]:
    """A flood on one topic, and the numbers of the messages that were acknowledged unread."""
    incoming, acknowledged = Incoming(), list[int]()
    for number in range(FLOOD):
        incoming.offer(Received(topic, b"%d" % number, False, partial(acknowledged.append, number)))  # noqa: FBT003
    return incoming, acknowledged


async def read(incoming: Incoming) -> list[int]:
    found = []
    while not incoming.empty():
        found.append(int((await asyncio.wait_for(incoming.get(), 1)).payload))
    return found


async def test_of_a_phones_words_the_first_are_read_and_the_others_dropped() -> None:
    incoming, acknowledged = flooded(HELLO)
    assert await read(incoming) == list(range(MAX_OF_ONE_PHONE))
    assert acknowledged == list(range(MAX_OF_ONE_PHONE, FLOOD))


async def test_of_what_covers_a_phones_state_the_last_is_read() -> None:
    incoming, acknowledged = flooded(DESIRED)
    assert incoming.qsize() == MAX_OF_ONE_PHONE
    assert await read(incoming) == [*range(MAX_OF_ONE_PHONE), FLOOD - 1]
    assert acknowledged == list(range(MAX_OF_ONE_PHONE, FLOOD - 1))
    incoming.offer(Received(DESIRED, b"7", retained=False))
    assert await read(incoming) == [7]
