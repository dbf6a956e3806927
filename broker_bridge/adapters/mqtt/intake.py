"""The way in for lenders that speak MQTT: from a message to decisions, and from decisions to results.

MQTT acknowledges a message when it arrives, before anybody has read it. So nothing here is a promise until its result
says so, and whatever cannot be taken is answered, as far as there is room for an answer: a lender that sees no result
sends its decision again.

Two bounds keep one lender from another's way, and all of them from the phones': what waits is bounded for each lender,
who take turns, a decision each; and only so many decisions are with the database at a time, however many a message
holds. What may open a phone waits in a lane of its own, so no payment waits behind its own lender's overdue figures.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from broker_bridge.adapters.lender_api.decisions import MAX_LIST, decision_of
from broker_bridge.adapters.lender_api.problem_kinds import OF_DATA, OF_SIGNING
from broker_bridge.adapters.lender_api.problems import EXPECTED, ProblemError, problem_of
from broker_bridge.adapters.lender_api.strict_json import NotJsonError, parse_json
from broker_bridge.adapters.mqtt.wording import decided_message, refused_message, step_message
from broker_bridge.app.decide import Decided
from broker_bridge.app.ports.broker import Received
from broker_bridge.app.ports.queries import Commands
from broker_bridge.app.ports.store import OverloadedError, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.records import Command
from broker_bridge.app.results import Results
from broker_bridge.app.turns import Turns
from broker_bridge.domain.decisions import OPENING, Decision, DecisionId
from lock_protocol.messages import LenderId
from lock_protocol.topics import InvalidTopicError, Topics

MAX_UNDER_WAY = 100
"""How many decisions of a lane are being taken at a time; more would have the next lender's wait for the database."""

MAX_WAITING = 5_000
"""How many messages of one lender wait to be read in a lane; what comes then is answered with `overloaded`, unread."""

MAX_BYTES_WAITING = 8 * 1024 * 1024

REFUSALS: Final = frozenset(
    {"retained", "not-json", "too-many", "invalid-body", "unknown-phone", "decision-conflict", "from-the-future"}
    | {"link-not-delegated", "internal", *OF_DATA, *OF_SIGNING}
)
"""Why something can be refused here, by the last part of the problem's type."""

TELL_LOST_S = 1.0
"""While a lender floods, it is told so no more often than this."""

_ID_CHARACTERS = 64

_OPENING = re.compile("|".join(f'"{one}"' for one in sorted(OPENING)).encode())
"""Finds what may open a phone. A search and no more: a flood has to be dropped faster than it could be read."""

_Values = Iterator[object]
"""What is left of a message: decisions, not yet checked. The message is read when the first one is asked for."""

_OVER: Final = object()


def _lane() -> Turns[_Values]:
    return Turns(most=MAX_WAITING, most_bytes=MAX_BYTES_WAITING)


@dataclass(slots=True)
class Intake:
    """Takes lenders' messages as they come, and works them off for as long as the bridge lives.

    What was received outlives the connection that it came on: the broker was told that it arrived.
    """

    topics: Topics
    commands: Commands
    decide: Callable[[Decision], Awaitable[Decided]]
    results: Results
    clock: Clock
    log: Log
    refusals: Counter[str] = field(default_factory=Counter)
    """What was refused so far, by the last part of the problem's type."""
    _opening: Turns[_Values] = field(default_factory=_lane)
    """Messages with something in them that may open a phone."""
    _other: Turns[_Values] = field(default_factory=_lane)
    _lost: Counter[LenderId] = field(default_factory=Counter)
    _told_lost: dict[LenderId, float] = field(default_factory=dict)
    _steps: dict[tuple[LenderId, DecisionId | None], list[Command]] = field(default_factory=dict)
    """Steps that have to wait until their decision has got its `decided`."""

    def receive(self, received: Received) -> None:
        """Have a message wait to be read, or count it as lost."""
        try:
            lender = self.topics.parse_decisions(received.topic)
        except InvalidTopicError:
            return  # the name in it is no lender's: nobody listens to its results
        lane = self._opening if _OPENING.search(received.payload) else self._other
        if not lane.put(lender, self._values(lender, received), len(received.payload)):
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
        async with asyncio.TaskGroup() as deciding:
            deciding.create_task(self._work_off(self._opening, deciding), name="intake.opening")
            deciding.create_task(self._work_off(self._other, deciding), name="intake.other")

    async def _work_off(self, lane: Turns[_Values], deciding: asyncio.TaskGroup) -> None:
        places = asyncio.Semaphore(MAX_UNDER_WAY)
        while True:
            await places.acquire()
            lender, values = await lane.next()
            self._tell_lost(lender)
            value = next(values, _OVER)
            if value is _OVER:
                places.release()
            else:
                lane.put_back(lender, values)
                task = deciding.create_task(self._take(lender, value), name=f"intake.{lender}")
                task.add_done_callback(lambda _: places.release())
            # Refusing needs nothing that would be waited for, and phones' words come in on the same loop.
            await asyncio.sleep(0)

    def _tell_lost(self, lender: LenderId) -> None:
        """Tell a lender that some of its messages were not read: now and then, and when there is room again."""
        lost, now = self._lost[lender], self.clock.monotonic()
        flooding = self._opening.has(lender) or self._other.has(lender)
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

    def _values(self, lender: LenderId, received: Received) -> _Values:
        """Read a message: the decisions in it, not yet checked; none, and an answer, when it cannot be one."""
        try:
            yield from _values_in(received)
        except ProblemError as problem:
            self._refuse(lender, None, problem)

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
            command = await self.commands.newest_of(lender, decided.imei, decided.decision_id)
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
