"""Hearing more at once than is committed together."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import MAX_TOGETHER, Listener, Received
from device_sim.identities import simulated_imei
from lock_protocol.topics import PhoneTopic, Topics

TOPICS = Topics()
COUNT = 3 * MAX_TOGETHER + 7


class ReadyStore:
    """A store that commits everything at once, and remembers how much of it together."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def commit_each(self, jobs: Sequence[object]) -> Sequence[None]:
        self.batches.append(len(jobs))
        return [None] * len(jobs)


async def test_every_message_is_committed_and_acknowledged_however_many_come_at_once() -> None:
    acknowledged, done = list[int](), asyncio.Event()

    def acknowledge(number: int) -> None:
        acknowledged.append(number)
        if number == COUNT - 1:
            done.set()

    messages: asyncio.Queue[Received] = asyncio.Queue()
    for number in range(COUNT):
        topic = TOPICS.phone(simulated_imei(number), PhoneTopic.REPORTED)
        told = Received(topic, b"", retained=False, acknowledge=partial(acknowledge, number))
        messages.put_nowait(told)
    store: Any = ReadyStore()
    unused: Any = None
    deliverer = Deliverer(
        store=store, outbox=unused, topics=TOPICS, judge=unused, clock=unused, log=unused, new_token=unused
    )
    listening = asyncio.create_task(Listener(store, deliverer, unused).session(unused, messages))
    await asyncio.wait_for(done.wait(), 10)
    listening.cancel()
    await asyncio.wait([listening])
    assert sorted(acknowledged) == list(range(COUNT))
    assert (sum(store.batches), max(store.batches)) == (COUNT, MAX_TOGETHER)
