"""Hear: takes what comes in from the broker and gives the answers.

Jobs are submitted in the order of arrival, so that two messages of one phone are judged in the order it sent them.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from broker_bridge.app.confirm import HearHello, HearReport, HelloAnswer, Judge, UnknownDeviceError
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.jobs import OnePhone
from broker_bridge.app.pauses import pauses
from broker_bridge.app.ports.broker import Broker, BrokerUnavailableError, PublishRefusedError, Received
from broker_bridge.app.ports.store import Commits, Job, OverloadedError, StoreUnavailableError, Transaction
from broker_bridge.app.ports.surroundings import Log
from broker_bridge.app.records import outgoing
from broker_bridge.domain.phones import Phone
from lock_protocol.acceptance.rules import FRESH_RULES, HELLO_RULES, REPORT_RULES, STATE_RULES
from lock_protocol.imei import Imei
from lock_protocol.levels import Result
from lock_protocol.messages import Fresh, Reported
from lock_protocol.refusals import BadRoot, Refusal, RootNotNext
from lock_protocol.topics import InvalidTopicError, PhoneTopic

ANSWER_WINDOW = 100
"""How many answers to hellos are unacknowledged at a time, beside the outbox's window."""

MAX_UNDER_WAY = 2000
"""How many messages are being judged or answered at a time; more wait in the connection."""

MAX_TOGETHER = 50
"""How many of them share a submission to the store: more would have payments wait longer for their own commit."""

MAX_OF_ONE_PHONE = 8
"""How many of these may be one phone's hellos, and how many its reports; what is more is dropped.

A phone that is in its senses never has so many, and one that is not shall not make all others wait.
"""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""How long what the database does not take waits until it is tried again. Longer each time: where somebody holds a
phone's row, each try has all others wait."""

MOST_TRIES = 35
"""In a quarter of an hour; then it is dropped. A closed phone has said hello once more by then, which says the same."""

ANSWERS_REMEMBERED = 50_000
"""How many answers are remembered while the bridge is behind; then they are forgotten, and repetitions answered."""

ANSWER_STANDS_S = 60.0
"""For how long an answer stands while the bridge is behind: it may have been lost, and one may be behind for long."""

_FLOOD, _RETAINED, _UNKNOWN_DEVICE = "Flood", "Retained", "UnknownDevice"
REFUSED_BY_BRIDGE = frozenset(
    {rule.refusal.__name__ for rule in HELLO_RULES}
    | {rule.refusal.__name__ for rule in REPORT_RULES}
    | {_FLOOD, _RETAINED, _UNKNOWN_DEVICE}
)
"""Names of all that a bridge can refuse. The last are not the protocol's: they judge the way that a message came."""

REFUSED_BY_PHONES = frozenset(
    {rule.refusal.__name__ for rule in STATE_RULES}
    | {rule.refusal.__name__ for rule in FRESH_RULES}
    | {BadRoot.__name__, RootNotNext.__name__}
)
"""Names of all that a phone can refuse."""

_MADE_UP = "MadeUp"
"""What stands for every other name: a phone has 64 characters to make them up of, and shall not fill the memory."""


@dataclass(frozen=True, slots=True)
class SeeForeignState(OnePhone):
    """The job of one message that somebody else put on a phone's `desired` topic."""

    imei: Imei
    payload: bytes
    judge: Judge

    def run(self, tx: Transaction) -> None:
        """Publish the newest state over it, unless it is the newest state."""
        phone = tx.phone(self.imei)
        if phone is not None and phone.desired.envelope != self.payload:
            self.judge.cover(tx, phone, size=len(self.payload))


_NOT_NOW = (StoreUnavailableError, OverloadedError)
"""What is no fault of a message, and passes."""

_Heard = tuple[Received, Job[HelloAnswer | Reported | None]]


@dataclass(slots=True)
class _Places:
    """How many more messages may be judged or answered at a time; those of a submission are taken together."""

    free: int = MAX_UNDER_WAY
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, count: int) -> None:
        """Wait until there are so many, and take them."""
        while self.free < count:
            self._freed.clear()
            await self._freed.wait()
        self.free -= count

    def give_back(self, count: int) -> None:
        """Have that many more."""
        self.free += count
        self._freed.set()


@dataclass(slots=True)
class _Hearing:
    """What one connection has under way, which ends with it, and what its answers need."""

    broker: Broker
    tasks: asyncio.TaskGroup
    places: _Places = field(default_factory=_Places)
    under_way: dict[str, int] = field(default_factory=dict)
    """How many messages of a topic are being judged or answered, where there are any."""
    judging: int = 0
    """How many messages are being judged."""
    answered: dict[tuple[Imei, bytes], float] = field(default_factory=dict)
    """When hellos were answered, by phone and nonce, since a message last came to a bridge that had judged all others.

    What repeats such a hello may have been said before the answer came, and have waited since. A second answer would be
    refused, and the refusal reported: the more load, the longer phones wait. If the answer was lost, its phone goes on
    repeating, and has another one when the bridge has caught up, or after `ANSWER_STANDS_S`.
    """

    def enter(self, topic: str) -> None:
        """Note that a message of this topic is under way."""
        self.under_way[topic] = self.under_way.get(topic, 0) + 1

    def leave(self, topic: str) -> None:
        """Note that one is not any more."""
        left = self.under_way[topic] - 1
        if left:
            self.under_way[topic] = left
        else:
            del self.under_way[topic]

    def answers(self, asked: tuple[Imei, bytes], now: float) -> bool:
        """Note that a hello is being answered; return whether it is: not when it has just been."""
        if now - self.answered.get(asked, -ANSWER_STANDS_S) < ANSWER_STANDS_S:
            return False
        if len(self.answered) >= ANSWERS_REMEMBERED:
            self.answered.clear()
        self.answered[asked] = now
        return True


@dataclass(slots=True)
class Listener:
    """Dispatches what phones (and intruders) publish."""

    store: Commits
    deliverer: Deliverer
    judge: Judge
    refusals: Counter[str] = field(default_factory=Counter)
    """What was refused so far, by the error's name."""
    phone_refusals: Counter[str] = field(default_factory=Counter)
    """What phones have refused so far, as their reports say, by the error's name."""
    _answers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ANSWER_WINDOW))

    async def session(self, broker: Broker, messages: asyncio.Queue[Received]) -> None:
        """Work off the messages of one connection until it is cancelled; what has come meanwhile, in one commit."""
        async with asyncio.TaskGroup() as tasks:
            hearing = _Hearing(broker, tasks)
            while True:
                all_taken = messages.empty()
                come = [await messages.get()]
                if all_taken and not hearing.judging:
                    # All that had been said before this was judged, at the broker nothing had to wait either.
                    hearing.answered.clear()
                while len(come) < MAX_TOGETHER and not messages.empty():
                    come.append(messages.get_nowait())
                if heard := self._listen(hearing, come):
                    await hearing.places.take(len(heard))
                    hearing.judging += len(heard)
                    tasks.create_task(self._hear(hearing, heard), name=f"hear.{len(heard)}")

    def _listen(self, hearing: _Hearing, come: Sequence[Received]) -> list[_Heard]:
        """Return messages with their jobs, but for those that are not to be listened to."""
        heard: list[_Heard] = []
        for received in come:
            job = self._job(received)
            if job is None or self._is_too_much(hearing, received):
                received.acknowledge()
            else:
                hearing.enter(received.topic)
                heard.append((received, job))
        return heard

    async def _hear(self, hearing: _Hearing, heard: Sequence[_Heard]) -> None:
        """Commit what was heard, acknowledge it, and answer it.

        What the database does not take keeps its place: no phone says twice that it has locked.
        """
        for pause in islice(pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S), MOST_TRIES):
            heard = await self._try(hearing, heard)
            if not heard:
                return
            await asyncio.sleep(pause)
        self._give_up(hearing, heard)

    async def _try(self, hearing: _Hearing, heard: Sequence[_Heard]) -> Sequence[_Heard]:
        """Commit what was heard, and acknowledge and answer what is; return what the database did not take."""
        try:
            outcomes = await self.store.commit_each([job for _, job in heard])
        except OverloadedError as error:
            outcomes = [error for _ in heard]
        delayed: list[_Heard] = []
        over = 0
        for (received, job), outcome in zip(heard, outcomes, strict=True):
            if isinstance(outcome, _NOT_NOW):
                self._log(received, type(outcome).__name__, str(outcome)).warning("message_delayed")
                delayed.append((received, job))
                continue
            received.acknowledge()
            if isinstance(outcome, HelloAnswer):
                hearing.tasks.create_task(self._answer(hearing, received, outcome), name=f"hear.{received.topic}")
                continue
            if isinstance(outcome, Exception):
                self._book(received, outcome)
            elif isinstance(job, HearReport) and isinstance(outcome, Reported):
                self._note(job, outcome)
            hearing.leave(received.topic)
            over += 1
        hearing.judging -= len(heard) - len(delayed)
        hearing.places.give_back(over)
        return delayed

    def _give_up(self, hearing: _Hearing, heard: Sequence[_Heard]) -> None:
        """Drop what the database has not taken for long."""
        for received, _ in heard:
            received.acknowledge()
            self._log(received, "MostTries", f"after {MOST_TRIES} tries").warning("message_dropped")
            hearing.leave(received.topic)
        hearing.judging -= len(heard)
        hearing.places.give_back(len(heard))

    def _note(self, job: HearReport, report: Reported) -> None:
        """Take note of a report that has been acted on."""
        if job.ack is not None:
            self.deliverer.marked([job.ack])
        if report.result is Result.REFUSED:
            self.phone_refusals[report.detail if report.detail in REFUSED_BY_PHONES else _MADE_UP] += 1

    def _is_too_much(self, hearing: _Hearing, received: Received) -> bool:
        """Tell whether a phone has said so much that this is not listened to.

        What intruders put on a `desired` topic is never dropped: the last of it is what has to be covered.
        """
        if hearing.under_way.get(received.topic, 0) < MAX_OF_ONE_PHONE or received.topic.endswith(PhoneTopic.DESIRED):
            return False
        self._refuse(received, _FLOOD, f"{MAX_OF_ONE_PHONE} before it are still being judged")
        return True

    def _job(self, received: Received) -> Job[HelloAnswer | Reported | None] | None:
        """Return what is to be done about a message, or None when nothing is."""
        try:
            imei, kind = self.deliverer.topics.parse_phone(received.topic)
        except InvalidTopicError:
            return None
        if received.retained:
            # Phones can publish retained reports; whatever was kept is old, and old words prove nothing.
            self.refusals[_RETAINED] += 1
            return None
        match kind:
            case PhoneTopic.HELLO:
                return HearHello(imei, received.payload, self.judge)
            case PhoneTopic.REPORTED:
                return HearReport(imei, received.payload, self.judge, self.deliverer.acknowledged.of(imei))
            case PhoneTopic.DESIRED:
                return SeeForeignState(imei, received.payload, self.judge)
            case PhoneTopic.FRESH | PhoneTopic.PRESENCE:
                return None

    async def _answer(self, hearing: _Hearing, received: Received, answer: HelloAnswer) -> None:
        try:
            await self._answer_hello(hearing, answer)
        except BrokerUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - what one phone sends never ends the connection of all others
            self._book(received, error)
        hearing.leave(received.topic)
        hearing.places.give_back(1)

    def _book(self, received: Received, error: Exception) -> None:
        """Note why nothing came of a message."""
        name, detail = type(error).__name__, str(error)
        match error:
            case Refusal():
                self._refuse(received, error.name, detail)
            case UnknownDeviceError():
                self._refuse(received, _UNKNOWN_DEVICE, detail)
            case OverloadedError() | PublishRefusedError():
                # Its hello has been judged, and waits for an answer only: the phone repeats it.
                self._log(received, name, detail).warning("message_dropped")
            case _:  # a row that cannot be read, a state that must not be signed now
                self._log(received, name, detail).critical("message_failed")

    def _refuse(self, received: Received, error: str, detail: str) -> None:
        """Count a refusal, each time, and log it."""
        self.refusals[error] += 1
        self._log(received, error, detail).warning("message_refused")

    def _log(self, received: Received, error: str, detail: str) -> Log:
        """Return the log of why nothing comes of a message."""
        return self.judge.log.about(f"{received.topic} {error}", topic=received.topic, error=error, detail=detail)

    async def _answer_hello(self, hearing: _Hearing, answer: HelloAnswer) -> None:
        if not answer.holds_newest:
            await self.deliverer.deliver(outgoing(answer.phone))
        asked = answer.phone.imei, answer.hello.nonce
        if not hearing.answers(asked, self.judge.clock.monotonic()):
            return
        topic = self.deliverer.topics.phone(answer.phone.imei, PhoneTopic.FRESH)
        envelope = self.judge.queue.signer.sign_fresh(self._fresh(answer))
        try:
            async with self._answers:
                await hearing.broker.publish(topic, envelope, retain=False)
        except PublishRefusedError:
            del hearing.answered[asked]
            raise

    def _fresh(self, answer: HelloAnswer) -> Fresh:
        phone: Phone = answer.phone
        epoch, version = phone.desired.order
        return Fresh(
            lender=phone.lender,
            imei=phone.imei,
            nonce=answer.hello.nonce,
            epoch=epoch,
            version=version,
            delegation_version=self.judge.queue.signer.delegation(phone.lender).version,
            state_hash=phone.desired.state_hash,
            sequence=max(phone.sequence, 0),
            now=answer.now,
        )
