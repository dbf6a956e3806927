"""Hearing what phones say: nothing of it is lost between one commit and the next."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import MAX_TOGETHER, Listener, Received
from broker_bridge.app.outbox import Outbox
from lock_protocol.imei import luhn_digit, parse_imei
from lock_protocol.topics import PhoneTopic, Topics
from tests.bridge_rig import KeptLog, SetClock
from tests.unit.broker_bridge.test_deliver import WillingBroker

TOPICS = Topics("paylatch/v1")


@dataclass
class CountingStore:
    """A store that counts the jobs it commits."""

    batches: list[int] = field(default_factory=list)
    committed: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit_each(self, jobs: Sequence[object]) -> Sequence[None]:
        self.batches.append(len(jobs))
        self.committed.set()
        return [None for _ in jobs]

    async def until(self, jobs: int) -> None:
        while sum(self.batches) < jobs:
            self.committed.clear()
            await self.committed.wait()


def report(number: int, acknowledged: list[int]) -> Received:
    body = f"00999901{number:06d}"
    topic = TOPICS.phone(parse_imei(body + luhn_digit(body)), PhoneTopic.REPORTED)
    return Received(topic, b"signed", retained=False, acknowledge=lambda: acknowledged.append(number))


@pytest.mark.parametrize("count", [1, MAX_TOGETHER, MAX_TOGETHER + 1, 3 * MAX_TOGETHER + 7])
async def test_however_much_has_come_meanwhile_all_of_it_is_heard_and_acknowledged(count: int) -> None:
    store: Any = CountingStore()
    deliverer = Deliverer(
        store=store,
        outbox=Outbox(window=2, lane_limit=2),
        topics=TOPICS,
        judge=None,  # type: ignore[arg-type]  # nobody asks it here
        clock=SetClock(),
        log=KeptLog(),
        new_token=lambda: "token",
    )
    messages: asyncio.Queue[Received] = asyncio.Queue()
    acknowledged: list[int] = []
    for number in range(count):
        messages.put_nowait(report(number, acknowledged))
    session = asyncio.create_task(Listener(store, deliverer, deliverer.judge).session(WillingBroker(), messages))
    await asyncio.wait_for(store.until(count), 5)
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session
    assert max(store.batches) <= MAX_TOGETHER
    assert sorted(acknowledged) == [*range(count)]
