"""Hearing more at once than is committed together, and again after a connection that ended in between."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import MAX_OF_ONE_PHONE, MAX_TOGETHER, Listener
from broker_bridge.app.ports.broker import Received
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


class SlowStore:
    """A store whose commits do not end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def commit_each(self, jobs: Sequence[object]) -> Sequence[None]:
        del jobs
        self.asked.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody sets it")


def listener_with(store: Any) -> Listener:
    unused: Any = None
    deliverer = Deliverer(
        store=store,
        states=unused,
        canaries=unused,
        outbox=unused,
        topics=TOPICS,
        judge=unused,
        clock=unused,
        log=unused,
        new_token=unused,
    )
    return Listener(store, deliverer, unused)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


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
    store, line = ReadyStore(), cast("Any", None)
    listening = asyncio.create_task(listener_with(store).session(line, messages))
    await asyncio.wait_for(done.wait(), 10)
    await end(listening)
    assert sorted(acknowledged) == list(range(COUNT))
    assert (sum(store.batches), max(store.batches)) == (COUNT, MAX_TOGETHER)


async def test_a_retained_report_is_acknowledged_counted_and_not_judged() -> None:
    """A phone may leave one with the broker, which then says it again at any time: old words prove nothing."""
    acknowledged, done = list[PhoneTopic](), asyncio.Event()
    messages: asyncio.Queue[Received] = asyncio.Queue()
    for kind in (PhoneTopic.REPORTED, PhoneTopic.HELLO):
        topic = TOPICS.phone(simulated_imei(1), kind)
        messages.put_nowait(Received(topic, b"", retained=True, acknowledge=partial(acknowledged.append, kind)))
    barrier = TOPICS.phone(simulated_imei(2), PhoneTopic.REPORTED)
    messages.put_nowait(Received(barrier, b"", retained=False, acknowledge=done.set))
    store, line = ReadyStore(), cast("Any", None)
    listener = listener_with(store)
    listening = asyncio.create_task(listener.session(line, messages))
    await asyncio.wait_for(done.wait(), 10)
    await end(listening)
    assert acknowledged == [PhoneTopic.REPORTED, PhoneTopic.HELLO]
    assert (store.batches, listener.refusals["Retained"]) == ([1], 2)


async def test_what_a_connection_had_under_way_when_it_ended_is_no_flood_on_the_next_ones() -> None:
    store, line = SlowStore(), cast("Any", None)
    listener = listener_with(store)
    for _ in range(MAX_OF_ONE_PHONE + 1):
        messages: asyncio.Queue[Received] = asyncio.Queue()
        messages.put_nowait(Received(TOPICS.phone(simulated_imei(1), PhoneTopic.REPORTED), b"", retained=False))
        store.asked.clear()
        listening = asyncio.create_task(listener.session(line, messages))
        await asyncio.wait_for(store.asked.wait(), 10)
        await end(listening)
    assert not listener.refusals


async def test_nothing_that_somebody_puts_on_a_phones_desired_topic_is_one_too_many() -> None:
    """The last of it is what has to be covered."""
    messages: asyncio.Queue[Received] = asyncio.Queue()
    for _ in range(MAX_OF_ONE_PHONE + 1):
        messages.put_nowait(Received(TOPICS.phone(simulated_imei(1), PhoneTopic.DESIRED), b"foreign", retained=False))
    done = asyncio.Event()
    barrier = TOPICS.phone(simulated_imei(2), PhoneTopic.REPORTED)
    messages.put_nowait(Received(barrier, b"", retained=False, acknowledge=done.set))
    store, line = ReadyStore(), cast("Any", None)
    listener = listener_with(store)
    listening = asyncio.create_task(listener.session(line, messages))
    await asyncio.wait_for(done.wait(), 10)
    await end(listening)
    assert (store.batches, dict(listener.refusals)) == ([MAX_OF_ONE_PHONE + 2], {})
