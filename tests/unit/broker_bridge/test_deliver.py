"""Delivering across two connections, where what the first one learnt is not yet in the database."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from broker_bridge.app.acknowledged import MOST
from broker_bridge.app.confirm import Judge
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.broker import OnPublished, PublishRefusedError
from broker_bridge.app.records import Outgoing
from broker_bridge.app.sent import Ack
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei, luhn_digit, parse_imei
from lock_protocol.messages import LenderId
from lock_protocol.topics import Topics
from tests.bridge_rig import KeptLog, SetClock
from tests.conftest import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_BODY = "00999901000001"
STATE = Outgoing(
    lender=LenderId("acme-mobile"),
    imei=parse_imei(_BODY + luhn_digit(_BODY)),
    lane=Lane.OPENING,
    order=(1, 1),
    envelope=b"signed",
)


@dataclass
class SlowStore:
    """A store that tells in which order it was asked, and commits nothing before it is let."""

    asked: list[str] = field(default_factory=list)
    may_commit: asyncio.Event = field(default_factory=asyncio.Event)
    was_asked_what_is_lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, _: object) -> None:
        await self.may_commit.wait()
        self.asked.append("commit")

    async def published_after(self, *_: object, **__: object) -> Sequence[Outgoing]:
        self.asked.append("what is lost")
        self.was_asked_what_is_lost.set()
        return ()

    async def newest(self, imeis: Sequence[Imei]) -> Sequence[Outgoing]:
        del imeis
        return ()

    async def claim(self, *_: object, **__: object) -> Sequence[Outgoing]:
        return ()

    async def sent_before(self, *_: object) -> Sequence[object]:
        return ()

    async def put(self, *_: object) -> None:
        return

    async def newest_publish_number(self) -> int:
        return 0


class WillingBroker:
    """A broker that acknowledges everything at once."""

    window = 1000

    def __init__(self) -> None:
        self.acknowledged = asyncio.Event()
        self.states: list[bytes] = []

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        del topic, payload, retain

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        del topic, retain
        self.states.append(payload)
        on_published(None)
        self.acknowledged.set()


@asynccontextmanager
async def connected(deliverer: Deliverer) -> "AsyncIterator[WillingBroker]":
    broker = WillingBroker()
    session = asyncio.create_task(deliverer.session(broker, None))
    yield broker
    session.cancel()
    with pytest.raises(asyncio.CancelledError):
        await session


def delivering(store: Any) -> Deliverer:
    clock, log, no_queue = SetClock(), KeptLog(), cast("Any", None)  # nothing is signed here
    return Deliverer(
        store=store,
        states=store,
        canaries=store,
        outbox=Outbox(window=2, lane_limit=2),
        topics=Topics(),
        judge=Judge(no_queue, clock, PhonesLog(log, clock)),
        clock=clock,
        log=log,
        new_token=lambda: "token",
    )


async def test_what_a_lost_broker_acknowledged_is_committed_before_asking_what_it_lost() -> None:
    store: Any = SlowStore()
    deliverer = delivering(store)
    async with connected(deliverer) as broker:
        deliverer.offer(STATE)
        await broker.acknowledged.wait()
    store.asked.clear()
    store.was_asked_what_is_lost.clear()
    async with connected(deliverer):
        store.may_commit.set()
        await store.was_asked_what_is_lost.wait()
    assert store.asked[:2] == ["commit", "what is lost"]


async def test_a_database_that_does_not_keep_up_holds_up_all_but_openings() -> None:
    store: Any = SlowStore()
    deliverer = delivering(store)
    acks = [Ack(simulated_imei(number), (1, 1), deliverer.numbers.take()) for number in range(MOST)]
    async with connected(deliverer) as broker:
        await store.was_asked_what_is_lost.wait()
        for ack in acks:
            deliverer.acknowledged.add(ack, deliverer.clock.monotonic())
        deliverer.offer(replace(STATE, lane=Lane.CLOSING, imei=simulated_imei(MOST), envelope=b"lock"))
        deliverer.offer(replace(STATE, envelope=b"opening"))
        await broker.acknowledged.wait()
        assert broker.states == [b"opening"]
        broker.acknowledged.clear()
        deliverer.marked(acks[:2])
        await broker.acknowledged.wait()
        assert broker.states == [b"opening", b"lock"]


async def test_what_a_commit_wants_published_has_gone_when_it_is_handed_over_openings_first() -> None:
    store: Any = SlowStore()
    deliverer = delivering(store)
    lock = replace(STATE, lane=Lane.CLOSING, imei=simulated_imei(0), envelope=b"lock")
    async with connected(deliverer) as broker:
        await store.was_asked_what_is_lost.wait()
        deliverer.publish([lock, replace(STATE, envelope=b"opening")])
        assert broker.states == [b"opening", b"lock"]


async def test_what_is_committed_before_a_connection_has_caught_up_waits_and_nothing_is_published_without_one() -> None:
    store: Any = SlowStore()
    deliverer = delivering(store)
    deliverer.offer(LOCK)
    catching_up, caught_up = asyncio.Event(), asyncio.Event()

    async def newest(_: Sequence[Imei]) -> Sequence[Outgoing]:
        catching_up.set()
        await caught_up.wait()
        return ()

    store.newest = newest
    async with connected(deliverer) as broker:
        await catching_up.wait()
        deliverer.publish([OPENING])
        assert broker.states == []
        caught_up.set()
        await broker.acknowledged.wait()
    deliverer.publish([replace(OPENING, order=(1, 3), envelope=b"later")])
    assert broker.states == [b"opening"]


LOCK = replace(STATE, lane=Lane.CLOSING, order=(1, 1), envelope=b"lock")
OPENING = replace(STATE, order=(1, 2), envelope=b"opening")


class OnePhone(SlowStore):
    """A database with one phone, which is locked until it is paid for."""

    is_paid = False

    async def commit(self, _: object) -> None:
        return

    async def newest(self, imeis: Sequence[Imei]) -> Sequence[Outgoing]:
        return [OPENING if self.is_paid else LOCK] if LOCK.imei in imeis else []

    async def published_after(self, *_: object, **asked: object) -> Sequence[Outgoing]:
        is_there = asked["after"] is None and asked["opening"] is self.is_paid
        return await self.newest([LOCK.imei]) if is_there else []


class SlowWithLocks(WillingBroker):
    """A broker that acknowledges other phones' locks when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[OnPublished] = []

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        if payload == b"other lock":
            self.held.append(on_published)
        else:
            super().send(topic, payload, retain=retain, on_published=on_published)

    async def go_on(self) -> None:
        while self.held:
            self.held.pop()(None)
            await turns()


async def turns() -> None:
    """Let everything happen that is about to."""
    for _ in range(20):
        await asyncio.sleep(0)


def fill_with_locks(deliverer: Deliverer) -> None:
    """Give it a small outbox, whose lane of locks is full."""
    deliverer.outbox = Outbox(window=4, lane_limit=8)
    for number in range(10, 18):
        deliverer.offer(replace(LOCK, imei=simulated_imei(number), envelope=b"other lock"))


async def test_what_has_waited_for_room_is_looked_at_again_before_it_goes_out() -> None:
    """A lane is full while the broker gets everything again, and the phone that would have to wait is paid for."""
    store: Any = OnePhone()
    deliverer, broker = delivering(store), SlowWithLocks()
    fill_with_locks(deliverer)
    session = asyncio.create_task(deliverer.session(broker, None))
    await turns()
    store.is_paid = True
    deliverer.offer(OPENING)
    for number in range(20, 60):  # more than the outbox remembers
        deliverer.offer(replace(STATE, imei=simulated_imei(number), envelope=b"other"))
        await turns()
    await broker.go_on()
    session.cancel()
    await asyncio.wait([session])
    assert b"opening" in broker.states
    assert b"lock" not in broker.states


async def test_an_opening_is_published_again_however_many_locks_wait() -> None:
    store: Any = OnePhone()
    store.is_paid = True
    deliverer, broker = delivering(store), SlowWithLocks()
    fill_with_locks(deliverer)
    session = asyncio.create_task(deliverer.session(broker, None))
    await turns()
    session.cancel()
    await asyncio.wait([session])
    assert broker.states == [b"opening"]


async def test_whoever_waits_for_a_state_has_it_when_a_newer_one_is_acknowledged() -> None:
    store: Any = SlowStore()
    store.may_commit.set()
    deliverer = delivering(store)
    waiting = asyncio.create_task(deliverer.deliver(LOCK))
    await turns()
    deliverer.offer(OPENING)
    async with asyncio.timeout(10), connected(deliverer) as broker:
        await waiting
    assert broker.states == [b"opening"]


async def test_a_canary_that_the_broker_refuses_does_not_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker_bridge.app.reconcile.REFUSED_PAUSE_S", 0.01)
    monkeypatch.setattr("broker_bridge.app.reconcile.CANARY_S", 0.01)
    tried = asyncio.Semaphore(0)

    class Refusing(WillingBroker):
        async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
            del topic, payload, retain
            tried.release()
            raise PublishRefusedError("Not authorized")

    store: Any = SlowStore()
    store.may_commit.set()
    deliverer = delivering(store)
    deliverer.numbers.settle(deliverer.numbers.take())
    session = asyncio.create_task(deliverer.session(Refusing(), None))
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(3):
            await tried.acquire()
    assert not session.done()
    session.cancel()
    await asyncio.wait([session])
