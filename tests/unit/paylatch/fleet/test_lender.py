"""What a lender's decisions count as, whatever the bridge makes of them."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, cast

import pytest

from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from paylatch.client import Bridge, Decided, Import, InvalidError, Outcome, Problem, UnavailableError
from paylatch.client.answers import read
from paylatch.fleet.book import Book
from paylatch.fleet.lender import Lender, Order
from paylatch.fleet.tally import Tally
from paylatch.local.kept_connections import CONNECTIONS
from tests.conftest import PATIENCE_S
from tests.loopback.virtual_time import VirtualTimeLoop

IMEIS = [simulated_imei(number) for number in range(4)]
BUSY = Problem(type="urn:paylatch:problem:busy", title="", status=503, detail="later")
WRONG = Problem(type="urn:paylatch:problem:invalid", title="", status=422, detail="no")
OVERDUE = {"type": "payment_overdue", "days_overdue": 90}


def decided(body: Mapping[str, Any]) -> Decided:
    said = {"decision_id": body["decision_id"], "imei": body["imei"], "type": body["type"], "effect": "applied"}
    rest = {"level": "locked", "wanted_level": "locked", "held": None, "command_id": None, "repeated": False}
    return read(Decided, {**said, **rest})


@dataclass
class ScriptedBridge:
    """A bridge that answers each request as it is told, and then takes everything; files it takes but for some rows."""

    answers: list[Exception | Mapping[str, Exception]] = field(default_factory=list)
    refused_rows: tuple[int, ...] = ()
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    requests: int = 0

    @property
    def imports(self) -> "ScriptedBridge":
        return self

    async def decide(self, body: Mapping[str, Any]) -> Decided:
        (outcome,) = await self.decide_all([body])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def decide_all(self, bodies: Iterable[Mapping[str, Any]]) -> list[Outcome]:
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        self.asked += (listed := list(bodies))
        return [cast("Outcome", answer.get(body["imei"]) or decided(body)) for body in listed]

    async def upload(self, file: IO[bytes], file_format: str, key: str) -> Import:
        del file_format, key
        self.asked = [json.loads(line) for line in file]
        return self._import("queued")

    async def finished(self, import_id: str, *, timeout_s: float, seen: Callable[[Import], object]) -> Import:
        del import_id, timeout_s
        seen(self._import("running"))
        return self._import("done")

    async def results(self, import_id: str, file_format: str, *, outcome: str) -> AsyncIterator[bytes]:
        assert (import_id, file_format, outcome) == ("imp_1", "ndjson", "refused")
        rows = io.BytesIO()
        for row in self.refused_rows:
            problem = {"type": WRONG.type, "title": "", "status": 422, "detail": "no"}
            rows.write(json.dumps({"row": row, "status": 422, "problem": problem}).encode() + b"\n")
        yield rows.getvalue()

    def _import(self, state: str) -> Import:
        counts = dict.fromkeys(("size_bytes", "rows", "done", "applied", "unchanged", "held", "repeated"), 0)
        nothing = dict.fromkeys(("waiting_for", "problem", "created_at", "started_at", "finished_at"))
        names = {"import_id": "imp_1", "state": state, "format": "ndjson", "idempotency_key": "k", "dry_run": False}
        return read(Import, {**names, **counts, **nothing, "refused": len(self.refused_rows)})


@dataclass
class Desk:
    bridge: ScriptedBridge
    book: Book = field(default_factory=lambda: Book(dict.fromkeys(IMEIS, Level.UNLOCKED)))
    tally: Tally = field(default_factory=Tally)

    @property
    def lender(self) -> Lender:
        return Lender(cast("Bridge", self.bridge), self.book, self.tally)

    def orders(self) -> list[Order]:
        return [Order(imei, Level.LOCKED, OVERDUE) for imei in IMEIS]

    @property
    def levels(self) -> list[Level | None]:
        required = self.book.required()
        return [required.get(imei) for imei in IMEIS]


def desk(*answers: Exception | Mapping[str, Exception], refused_rows: tuple[int, ...] = ()) -> Desk:
    return Desk(ScriptedBridge(list(answers), refused_rows))


def busy() -> UnavailableError:
    return UnavailableError("later", BUSY)


async def test_a_decision_that_is_taken_is_counted_and_required() -> None:
    one = desk()
    await one.lender.report(one.orders()[0], time.monotonic_ns())
    (body,) = one.bridge.asked
    assert (body["imei"], body["type"], body["days_overdue"]) == (IMEIS[0], "payment_overdue", 90)
    assert body["occurred_at"].endswith("Z")
    assert one.levels[:2] == [Level.LOCKED, Level.UNLOCKED]
    assert (one.tally.due, one.tally.decisions, one.tally.trends["answer_ms"].count) == (1, 1, 1)


async def test_a_change_that_nobody_saw_is_counted_and_measured_when_the_next_is_decided() -> None:
    one = desk()
    long_ago, now = time.monotonic_ns() - 40 * 10**9, time.monotonic_ns()
    await one.lender.report(one.orders()[0], long_ago)
    await one.lender.report(Order(IMEIS[0], Level.UNLOCKED, {"type": "payment_received", "cures": True}), now)
    assert (one.tally.overtaken, one.tally.trends["lock_ms"].count) == (1, 1)
    assert one.tally.trends["lock_ms"].percentile(100) >= 30_000


async def test_one_that_the_bridge_does_not_want_now_is_sent_again_as_it_was() -> None:
    one = desk(busy(), UnavailableError("nobody there"))
    await one.lender.report(one.orders()[0], time.monotonic_ns())
    assert one.levels[0] is Level.LOCKED
    assert one.tally.pushed_back == {"503 busy": 1, "no answer": 1}
    assert (one.tally.decisions, one.tally.failed) == (1, {})


async def test_one_that_is_refused_is_counted_by_name_and_changes_nothing() -> None:
    one = desk({IMEIS[0]: InvalidError(WRONG)})
    await one.lender.report(one.orders()[0], time.monotonic_ns())
    assert one.levels[0] is Level.UNLOCKED
    assert (one.tally.decisions, one.tally.failed) == (0, {"422 invalid": 1})


def test_after_one_that_is_never_answered_both_levels_are_right() -> None:
    loop = VirtualTimeLoop()
    one = desk(*(UnavailableError("nobody there") for _ in range(1000)))
    monotonic, time.monotonic = time.monotonic, loop.time
    try:
        loop.run(one.lender.report(one.orders()[0], 0))
    finally:
        time.monotonic = monotonic
        loop.close()
    assert one.levels[0] is None
    assert [one.book.permits(IMEIS[0], level) for level in (Level.LOCKED, Level.UNLOCKED)] == [True, True]
    assert one.tally.failed == {"no answer": 1}


async def test_of_a_list_only_what_was_not_taken_is_sent_again() -> None:
    one = desk({IMEIS[0]: InvalidError(WRONG), IMEIS[2]: busy()})
    await one.lender.report_list(one.orders(), time.monotonic_ns())
    assert [body["imei"] for body in one.bridge.asked] == [*IMEIS, IMEIS[2]]
    assert one.bridge.asked[2] == one.bridge.asked[4]
    assert one.levels == [Level.UNLOCKED, Level.LOCKED, Level.LOCKED, Level.LOCKED]
    assert (one.tally.decisions, one.tally.failed, one.tally.pushed_back) == (3, {"422 invalid": 1}, {"503 busy": 1})


async def test_of_a_file_every_row_counts() -> None:
    one = desk(refused_rows=(2,))
    await one.lender.report_file(one.orders(), time.monotonic_ns())
    assert [body["imei"] for body in one.bridge.asked] == IMEIS
    assert one.levels == [Level.LOCKED, Level.UNLOCKED, Level.LOCKED, Level.LOCKED]
    assert (one.tally.decisions, one.tally.in_files, one.tally.failed) == (3, 0, {"422 invalid": 1})


async def test_a_decision_is_late_until_a_connection_is_free_for_it() -> None:
    one, busy_now, answered = desk(), asyncio.Event(), asyncio.Event()

    class SlowBridge(ScriptedBridge):
        async def decide_all(self, bodies: Iterable[Mapping[str, Any]]) -> list[Outcome]:
            outcomes = await super().decide_all(bodies)
            if self.requests == CONNECTIONS:
                busy_now.set()
            await answered.wait()
            return outcomes

    one.bridge = SlowBridge()
    lender = one.lender
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS + 3):
            tasks.create_task(lender.report(one.orders()[0], time.monotonic_ns()))
        await busy_now.wait()
        assert one.tally.trends["late_ms"].count == CONNECTIONS
        answered.set()
    assert one.tally.trends["late_ms"].count == one.bridge.requests == CONNECTIONS + 3


async def test_what_is_sent_again_was_late_once() -> None:
    one = desk(busy())
    await one.lender.report_list(one.orders(), time.monotonic_ns())
    assert one.tally.trends["late_ms"].count == len(IMEIS)


async def test_every_decision_of_a_run_has_its_own_id() -> None:
    one = desk()
    lender = one.lender
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(lender.report_list(one.orders(), time.monotonic_ns()))
    assert len({body["decision_id"] for body in one.bridge.asked}) == 12


@pytest.mark.parametrize("said", [{"occurred_at": "2005-04-10T09:00:00+08:00"}])
async def test_a_history_keeps_its_own_dates(said: Mapping[str, str]) -> None:
    one = desk()
    await one.lender.report(Order(IMEIS[0], Level.LOCKED, {**OVERDUE, **said}), time.monotonic_ns())
    assert one.bridge.asked[0]["occurred_at"] == said["occurred_at"]
