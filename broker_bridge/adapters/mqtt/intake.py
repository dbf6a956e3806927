"""The way in for lenders that speak MQTT: from a message to decisions, and from decisions to results.

MQTT acknowledges a message when it arrives, before anybody has read it. So nothing here is a promise until its result
says so, and whatever cannot be taken is answered, as far as there is room for an answer: a lender that sees no result
sends its decision again.

Two bounds keep one lender from another's way, and all of them from the phones': what waits is bounded for each lender,
who take turns; and only so many decisions are with the database at a time, however many a message holds.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from broker_bridge.adapters.http.bodies import MAX_LIST, decision_of
from broker_bridge.adapters.http.documented import OF_DATA, OF_SIGNING
from broker_bridge.adapters.http.problems import EXPECTED, ProblemError, problem_of
from broker_bridge.adapters.mqtt.wording import decided_message, refused_message, step_message
from broker_bridge.adapters.strict_json import NotJsonError, parse_json
from broker_bridge.app.decide import Decided
from broker_bridge.app.hear import Received
from broker_bridge.app.ports.store import OverloadedError, Store, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.records import Command
from broker_bridge.app.results import Results
from broker_bridge.app.turns import Turns
from broker_bridge.domain.decisions import Decision, DecisionId
from lock_protocol.messages import LenderId
from lock_protocol.topics import InvalidTopicError, Topics

MAX_UNDER_WAY = 200
"""How many decisions are being taken at a time; more would have phones' reports wait for the database."""

MAX_WAITING = 5_000
"""How many messages of one lender wait to be read; what comes then is answered with `overloaded`, unread."""

MAX_BYTES_WAITING = 8 * 1024 * 1024

REFUSALS: Final = frozenset(
    {"retained", "not-json", "too-many", "invalid-body", "unknown-phone", "decision-conflict", "from-the-future"}
    | {"link-not-delegated", "internal", *OF_DATA, *OF_SIGNING}
)
"""Why something can be refused here, by the last part of the problem's type."""

TELL_LOST_S = 1.0
"""While a lender floods, it is told so no more often than this."""

_ID_CHARACTERS = 64


def _waiting() -> Turns[Received]:
    return Turns(most=MAX_WAITING, most_bytes=MAX_BYTES_WAITING)


@dataclass(slots=True)
class Intake:
    """Takes lenders' messages as they come, and works them off for as long as the bridge lives.

    What was received outlives the connection that it came on: the broker was told that it arrived.
    """

    topics: Topics
    store: Store
    decide: Callable[[Decision], Awaitable[Decided]]
    results: Results
    clock: Clock
    log: Log
    refusals: Counter[str] = field(default_factory=Counter)
    """What was refused so far, by the last part of the problem's type."""
    _waiting: Turns[Received] = field(default_factory=_waiting)
    _lost: Counter[LenderId] = field(default_factory=Counter)
    _told_lost: dict[LenderId, float] = field(default_factory=dict)
    _steps: dict[tuple[LenderId, DecisionId | None], list[Command]] = field(default_factory=dict)
    """Steps that have to wait until their decision has got its `decided`."""

    @property
    def depth(self) -> int:
        """How many messages wait to be read."""
        return len(self._waiting)

    def receive(self, received: Received) -> None:
        """Have a message wait to be read, or count it as lost."""
        try:
            lender = self.topics.parse_decisions(received.topic)
        except InvalidTopicError:
            return  # the name in it is no lender's: nobody listens to its results
        if not self._waiting.put(lender, received, len(received.payload)):
            self._lost[lender] += 1
            self.refusals["overloaded"] += 1

    def tell(self, command: Command) -> None:
        """Tell a lender of a committed step of a command."""
        steps = self._steps.get((command.lender, command.decision_id))
        if steps is None:
            self.results.offer(command.lender, step_message(command))
        else:
            steps.append(command)

    async def run(self) -> None:
        """Work off what waits until cancelled."""
        places = asyncio.Semaphore(MAX_UNDER_WAY)
        async with asyncio.TaskGroup() as deciding:
            while True:
                lender, received = await self._waiting.next()
                self._tell_lost(lender)
                for value in self._values(lender, received):
                    await places.acquire()
                    task = deciding.create_task(self._take(lender, value), name=f"intake.{lender}")
                    task.add_done_callback(lambda _: places.release())
                # Refusing needs nothing that would be waited for, and phones' words come in on the same loop.
                await asyncio.sleep(0)

    def _tell_lost(self, lender: LenderId) -> None:
        """Tell a lender that some of its messages were not read: now and then, and when there is room again."""
        lost, now = self._lost[lender], self.clock.monotonic()
        flooding = self._waiting.has(lender)
        if not lost or (flooding and now - self._told_lost.get(lender, -TELL_LOST_S) < TELL_LOST_S):
            return
        del self._lost[lender]
        self._told_lost[lender] = now
        self.log.warning("lender_floods", lender=lender, messages=lost)
        error = OverloadedError(
            f"{lost} of your messages came while {MAX_WAITING} waited, and were not read; "
            "wait for results, and send again what got none"
        )
        self.results.offer(lender, refused_message(None, problem_of(error)))

    def _values(self, lender: LenderId, received: Received) -> Iterable[object]:
        """Return the decisions in a message, not yet checked; none, and an answer, when it cannot be one."""
        try:
            return _values_in(received)
        except ProblemError as problem:
            self._refuse(lender, None, problem)
            return ()

    async def _take(self, lender: LenderId, value: object) -> None:
        """Take one decision and tell its lender what came of it; whatever it is, the others' go on."""
        try:
            await self._decide(decision_of(value, lender))
        except EXPECTED as error:
            self._refuse(lender, _id_in(value), problem_of(error))
        except Exception as error:  # noqa: BLE001 - a row that cannot be read, say: as HTTP answers 500 and lives on
            self.log.critical("decision_failed", lender=lender, error=type(error).__name__, detail=str(error))
            problem = ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the bridge could not; it is logged")
            self._refuse(lender, _id_in(value), problem)

    async def _decide(self, decision: Decision) -> None:
        lender, key = decision.lender, (decision.lender, decision.decision_id)
        steps = self._steps.setdefault(key, [])
        try:
            decided = await self.decide(decision)
            self.results.offer(lender, decided_message(decided))
            if decided.repeated:
                await self._tell_present_step(lender, decided)
        finally:
            self._steps.pop(key, None)
            for step in steps:
                self.results.offer(lender, step_message(step))
            steps.clear()

    async def _tell_present_step(self, lender: LenderId, decided: Decided) -> None:
        """Tell how far a repeated decision has come: by the command that stands for it now."""
        try:
            command = await self.store.newest_command(lender, decided.imei, decided.decision_id)
        except StoreUnavailableError as error:
            self.log.warning("result_dropped", lender=lender, error=str(error))
            self.results.dropped += 1
            return
        if command is not None:
            self.results.offer(lender, step_message(command))

    def _refuse(self, lender: LenderId, decision_id: str | None, problem: ProblemError) -> None:
        self.refusals[problem.kind] += 1
        self.results.offer(lender, refused_message(decision_id, problem))


def _values_in(received: Received) -> list[object]:
    if received.retained:
        # A retained decision would come again with every connection, long after whatever it says was true.
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "retained", "a decision is not retained: publish it without the retain flag"
        )
    try:
        value = parse_json(received.payload)
    except NotJsonError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "not-json", f"the message is not JSON: {error}") from error
    values = value if isinstance(value, list) else [value]
    if len(values) > MAX_LIST:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "too-many", f"at most {MAX_LIST} in a list, this has {len(values)}"
        )
    return values


def _id_in(value: object) -> str | None:
    """Return the decision_id of something that may be no decision, so that its sender knows which one it was."""
    decision_id = value.get("decision_id") if isinstance(value, dict) else None
    return decision_id if isinstance(decision_id, str) and len(decision_id) <= _ID_CHARACTERS else None
