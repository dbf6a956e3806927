"""Results on their way to lenders: in order, few at a time, bounded, and counted when they are lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from broker_bridge.app.ports.broker import BrokerUnavailableError, PublishRefusedError
from broker_bridge.app.results import MAX_RESULTS_WAITING, RESULT_WINDOW, Results
from lock_protocol.messages import LenderId
from lock_protocol.topics import Topics
from tests.bridge_rig import KeptLog

ACME, UMBRELLA = LenderId("acme"), LenderId("umbrella")
TOPICS = Topics()


@dataclass
class HeldBroker:
    """A `Broker` whose PUBACKs come when the test lets them."""

    published: list[tuple[str, bytes, bool]] = field(default_factory=list)
    pubacks: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Exception | None = None

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        self.published.append((topic, payload, retain))
        await self.pubacks.wait()
        if self.answer is not None:
            raise self.answer


@asynccontextmanager
async def session(results: Results, broker: HeldBroker) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(results.session(broker))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled() -> None:
    """Let everything that can go on go on; nothing here waits for a clock."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_results_go_to_their_lender_in_order_and_are_not_retained() -> None:
    results, broker = Results(TOPICS, KeptLog()), HeldBroker()
    for number in range(3):
        results.offer(ACME, b"%d" % number)
    async with session(results, broker):
        await settled()
    assert broker.published == [(TOPICS.results(ACME), b"%d" % number, False) for number in range(3)]


async def test_only_so_many_are_unacknowledged_at_a_time() -> None:
    results, broker = Results(TOPICS, KeptLog()), HeldBroker()
    for number in range(2 * RESULT_WINDOW):
        results.offer(ACME, b"%d" % number)
    async with session(results, broker):
        await settled()
        assert len(broker.published) == RESULT_WINDOW
        broker.pubacks.set()
        await settled()
        assert (len(broker.published), results.dropped) == (2 * RESULT_WINDOW, 0)


async def test_while_the_broker_is_away_results_wait_until_there_are_too_many() -> None:
    results = Results(TOPICS, KeptLog())
    for number in range(MAX_RESULTS_WAITING + 3):
        results.offer(ACME, b"%d" % number)
    results.offer(UMBRELLA, b"another lender's")
    assert results.dropped == 3


async def test_a_result_that_is_cut_off_is_counted_and_what_waits_goes_out_on_the_next_connection() -> None:
    results, broker = Results(TOPICS, KeptLog()), HeldBroker(answer=BrokerUnavailableError("cut"))
    results.offer(ACME, b"cut off")
    async with session(results, broker) as ended:
        broker.pubacks.set()
        await asyncio.wait([ended])
    results.offer(ACME, b"later")
    assert results.dropped == 1
    second = HeldBroker()
    async with session(results, second):
        await settled()
    assert [payload for _, payload, _ in second.published] == [b"later"]


async def test_a_result_that_the_broker_refuses_holds_up_no_other() -> None:
    log = KeptLog()
    results, broker = Results(TOPICS, log), HeldBroker(answer=PublishRefusedError("Not authorized"))
    broker.pubacks.set()
    results.offer(ACME, b"refused")
    async with session(results, broker):
        await settled()
        broker.answer = None
        results.offer(ACME, b"taken")
        await settled()
    assert [payload for _, payload, _ in broker.published] == [b"refused", b"taken"]
    assert (results.refused, log.events("warning")) == (1, ["result_refused"])
