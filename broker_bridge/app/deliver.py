"""Deliver: keeps the outbox moving while there is a connection, and the database told of what went out.

One `Deliverer` lives as long as the bridge; each connection runs `session` once. What a broken connection had in flight
becomes ready again, so nothing is lost between two of them.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from broker_bridge.app.acknowledged import Acknowledged
from broker_bridge.app.batches import Batches
from broker_bridge.app.canary import PublishNumbers
from broker_bridge.app.confirm import Judge
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.ports.broker import BrokerUnavailableError, PhonesLine, PublishRefusedError
from broker_bridge.app.ports.queries import Canaries, OutgoingStates
from broker_bridge.app.ports.store import Commits, OverloadedError, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.reconcile import Reconciler
from broker_bridge.app.records import Outgoing
from broker_bridge.app.sent import Ack, MarkSent
from broker_bridge.app.sweep import Sweeper
from broker_bridge.domain.lanes import Lane
from lock_protocol.imei import Imei
from lock_protocol.topics import PhoneTopic, Topics

NEWEST_PAGE = 500
MARK_BATCH = 500
MARK_AGAIN_S = 1.0
"""How long after the database has not taken acknowledgements they are committed again."""


class Outcome(StrEnum):
    """What became of a publish."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """By the broker; it is tried again soon."""
    SET_ASIDE = "set_aside"
    """Refused once too often; it is tried again much later."""


@dataclass(slots=True)
class Deliverer:
    """Publishes signed states, openings first, and remembers what the broker acknowledged."""

    store: Commits
    states: OutgoingStates
    canaries: Canaries
    outbox: Outbox
    topics: Topics
    judge: Judge
    clock: Clock
    log: Log
    new_token: Callable[[], str]
    """A fresh unguessable canary token."""
    numbers: PublishNumbers = field(default_factory=PublishNumbers)
    outcomes: Counter[Outcome] = field(default_factory=lambda: Counter(dict.fromkeys(Outcome, 0)))
    """What has become of publishes so far."""
    _line: PhonesLine | None = None
    """The connection, once what waits for it has been held against the database."""
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    """What is not durable yet."""
    _acked: asyncio.Event = field(default_factory=asyncio.Event)
    _waiters: defaultdict[Imei, list[tuple[tuple[int, int], "asyncio.Future[None]"]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def publish(self, states: Iterable[Outgoing]) -> None:
        """Take the states of a commit, and publish at once what may go out; the rest waits its turn.

        At once, as a payer waits: tasks that are ready have theirs first. All are taken before any goes out, so that no
        lock goes before an opening of its own commit.
        """
        for state in states:
            self.outbox.offer(state)
        if self._line is not None:
            self._send_ready(self._line)

    def offer(self, state: Outgoing) -> bool:
        """Take a state to publish; False when its lane is full (the database still has it)."""
        taken = self.outbox.offer(state)
        self._work.set()
        return taken

    def look_again(self) -> None:
        """Have every lane filled from the database: it may hold states that nobody has offered."""
        self.outbox.overflowed.update(Lane)

    async def deliver(self, state: Outgoing) -> None:
        """Publish a state and return when the broker has acknowledged it, or a newer one of the same phone.

        Raises:
            OverloadedError: its lane is full.
            PublishRefusedError: the broker still refuses it; it is tried again later, and nobody has to wait for that.
        """
        if self.outbox.is_overtaken(state):
            return
        if not self.offer(state):
            raise OverloadedError(f"the {state.lane.name.lower()} lane is full")
        self.outbox.try_once_more(state.imei)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (state.order, done)
        self._waiters[state.imei].append(waiter)
        try:
            await done
        finally:
            self._forget(state.imei, waiter)

    async def session(self, broker: PhonesLine, known_to_broker: int | None) -> None:
        """Run while one connection lives; ends by an exception of its tasks or by cancellation.

        Args:
            broker: the connection.
            known_to_broker: the publish number up to which the broker has everything; None when that is not known.
        """
        self.outbox.limit(broker.window)
        # What the last connection acknowledged may be lost with its broker: the database has to know of it before it
        # is asked what to publish again.
        while acks := self.acknowledged.due(math.inf, MARK_BATCH):
            await self._commit_acks(acks)
        # Another bridge on the same database may have had the connection, and numbered what it published.
        self.numbers.go_on_from(await self.canaries.newest_publish_number())
        await self._catch_up()
        self._line = broker
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(broker), name="deliver.pump")
                tasks.create_task(self._mark_sent(), name="deliver.mark")
                tasks.create_task(self._sweeper().run(), name="deliver.sweep")
                tasks.create_task(self._reconciler().run(broker, known_to_broker), name="deliver.canary")
        finally:
            self._line = None
            self.outbox.connection_lost()

    def _batches(self) -> Batches:
        return Batches(self.store, self.judge.log)

    def _sweeper(self) -> Sweeper:
        return Sweeper(
            states=self.states,
            outbox=self.outbox,
            acknowledged=self.acknowledged,
            offer=self.offer,
            batches=self._batches(),
            judge=self.judge,
            clock=self.clock,
            log=self.log,
        )

    def _reconciler(self) -> Reconciler:
        return Reconciler(
            states=self.states,
            canaries=self.canaries,
            numbers=self.numbers,
            deliver=self._deliver_in_time,
            topics=self.topics,
            log=self.log,
            new_token=self.new_token,
        )

    async def _catch_up(self) -> None:
        """Take the newest states of phones of which older ones wait.

        Another bridge on the same database may have gone on from there while it had the connection, and what it has
        published must not be followed by what waits here.
        """
        waiting = sorted(self.outbox.waiting)
        for start in range(0, len(waiting), NEWEST_PAGE):
            for state in await self.states.newest(waiting[start : start + NEWEST_PAGE]):
                self.offer(state)

    async def _pump(self, broker: PhonesLine) -> None:
        """Publish whenever the outbox has something to give. The connection's end is told to whoever made it."""
        while True:
            self._work.clear()
            self._send_ready(broker)
            await self._wait_for_work()

    def _send_ready(self, broker: PhonesLine) -> None:
        while (state := self._next()) is not None:
            number = self.numbers.take()
            topic = self.topics.phone(state.imei, PhoneTopic.DESIRED)
            booked = partial(self._book, state, number)
            broker.send(topic, state.envelope, retain=True, on_published=booked)

    def _next(self) -> Outgoing | None:
        return self.outbox.take(self.clock.monotonic(), only_openings=self.acknowledged.is_full)

    async def _wait_for_work(self) -> None:
        wake = self.outbox.next_wake()
        timeout = None if wake is None else max(wake - self.clock.monotonic(), 0)
        try:
            async with asyncio.timeout(timeout):
                await self._work.wait()
        except TimeoutError:
            return  # a state that backed off is ready

    def _book(self, state: Outgoing, number: int, error: PublishRefusedError | BrokerUnavailableError | None) -> None:
        """Book what came of a publish. Whatever it is, its number is settled, soon, and its place free."""
        match error:
            case None:
                self.outbox.acknowledged(state)
                self.outcomes[Outcome.ACKNOWLEDGED] += 1
                self.acknowledged.add(Ack(state.imei, state.order, number), self.clock.monotonic())
                self._acked.set()
                self._tell_waiters(state)
            case PublishRefusedError():
                self.numbers.settle(number)
                self._book_refusal(state, error)
            case BrokerUnavailableError():
                self.numbers.settle(number)  # the outbox takes the state back when the session ends
        self._work.set()
        self._moved.set()

    def _book_refusal(self, state: Outgoing, error: PublishRefusedError) -> None:
        set_aside = self.outbox.refused(state, self.clock.monotonic())
        self.outcomes[Outcome.SET_ASIDE if set_aside else Outcome.REFUSED] += 1
        event = "publish_set_aside" if set_aside else "publish_refused"
        log = self.judge.log.about(state.imei, imei=state.imei, lender=state.lender)
        log.warning(event, error=str(error))
        if set_aside:
            for _, done in self._waiters.get(state.imei, ()):
                if not done.done():
                    done.set_exception(error)

    def _tell_waiters(self, state: Outgoing) -> None:
        for order, done in self._waiters.get(state.imei, ()):
            if order <= state.order and not done.done():
                done.set_result(None)

    def _forget(self, imei: Imei, waiter: "tuple[tuple[int, int], asyncio.Future[None]]") -> None:
        self._waiters[imei].remove(waiter)
        if not self._waiters[imei]:
            del self._waiters[imei]

    def marked(self, acks: Sequence[Ack]) -> None:
        """Note that acknowledgements are durable."""
        was_full = self.acknowledged.is_full
        for ack in self.acknowledged.durable(acks):
            self.numbers.settle(ack.number)
        if was_full:
            self._work.set()

    async def _mark_sent(self) -> None:
        """Commit acknowledgements that no phone's word has come for, as many at a time as there are."""
        while True:
            self._acked.clear()
            now = self.clock.monotonic()
            wait = self.acknowledged.wait(now)
            if wait is None:
                await self._acked.wait()
            elif wait:
                await asyncio.sleep(wait)
            else:
                await self._commit_acks(self.acknowledged.due(now, MARK_BATCH))

    async def _commit_acks(self, acks: Sequence[Ack]) -> None:
        """Commit acknowledgements. They are forgotten only when they are durable."""
        try:
            await self._batches().commit(acks, lambda some: MarkSent(some, self.clock))
        except (StoreUnavailableError, OverloadedError) as error:
            self.log.warning("mark_sent_delayed", error=str(error))
            await asyncio.sleep(MARK_AGAIN_S)
            return
        self.marked(acks)

    async def _deliver_in_time(self, state: Outgoing) -> None:
        """Deliver a state however long its lane stays full; one that the broker refuses is left to the next hello."""
        while not self.outbox.has_room(state.lane):
            await self._room_in(state.lane)
            # What waited may have been overtaken since, by more than the outbox remembers: it must not go out after it.
            (state,) = await self.states.newest([state.imei])
        try:
            await self.deliver(state)
        except PublishRefusedError as error:
            self.log.warning("reconcile_refused", imei=state.imei, error=str(error))

    async def _room_in(self, lane: Lane) -> None:
        while not self.outbox.has_room(lane):
            self._moved.clear()
            await self._moved.wait()
