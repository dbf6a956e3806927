"""The lender's side of a scenario: reports decisions in every way that there is, and counts what is answered."""

import asyncio
import io
import json
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.client import (
    Bridge,
    Decided,
    Import,
    Outcome,
    Patience,
    PaylatchError,
    Problem,
    RefusedError,
    UnavailableError,
)
from paylatch.client.errors import problem_in
from paylatch.fleet.book import Asked, Book
from paylatch.fleet.tally import Tally
from paylatch.local.kept_connections import CONNECTIONS

_PATIENCE = Patience(total_s=60.0)
_IMPORT_S = 3600.0
_MS_PER_S = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Order:
    """A decision to be reported, and what it has to lead to."""

    imei: Imei
    level: Level
    fields: Mapping[str, Any]
    """What is said beside the phone; without an id and a time it gets them when it is sent."""


@dataclass(slots=True)
class Lender:
    """Reports decisions until they are answered for. What the bridge does not want now is sent again, and counted.

    Args:
        bridge: one that tries once only.
        book: told of every decision.
        tally: counts and measures.
    """

    bridge: Bridge
    book: Book
    tally: Tally
    _run: str = field(default_factory=lambda: secrets.token_hex(6))
    _numbers: Callable[[], int] = field(default_factory=lambda: count(1).__next__)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))
    """One for each connection: a request waits here, and not unseen in the transport, until it can go out."""

    async def report(self, order: Order, due_ns: int) -> None:
        """Report one decision in a request of its own."""
        asked, body = self._prepare(order, due_ns)
        try:
            await self._insist(lambda: self.bridge.decide(body), due_ns)
        except PaylatchError as error:
            self._failed(asked, error)
        else:
            self._taken(asked)
        self._answered(due_ns)

    async def report_list(self, orders: Sequence[Order], due_ns: int) -> None:
        """Report decisions in one request, and those again that were not taken for want of time or room."""
        left = [self._prepare(order, due_ns) for order in orders]

        async def send_what_is_left() -> None:
            outcomes = await self.bridge.decide_all([body for _, body in left])
            again = [pair for pair, outcome in zip(left, outcomes, strict=True) if not self._settle(pair[0], outcome)]
            left[:] = again
            if again:
                raise next(one for one in outcomes if isinstance(one, UnavailableError))

        try:
            await self._insist(send_what_is_left, due_ns, len(orders))
        except PaylatchError as error:
            for asked, _ in left:
                self._failed(asked, error)
        self._answered(due_ns)

    async def report_file(self, orders: Sequence[Order], due_ns: int) -> None:
        """Report decisions as one file, and wait until the bridge has worked it off."""
        prepared = [self._prepare(order, due_ns) for order in orders]
        file = io.BytesIO("".join(json.dumps(body) + "\n" for _, body in prepared).encode())
        try:
            one = await self._insist(lambda: self._upload(file), due_ns, len(orders))
            done = await self.bridge.imports.finished(one.import_id, timeout_s=_IMPORT_S, seen=self._seen)
            if done.problem is not None:
                raise RefusedError(done.problem)
            refused = await self._refused_in(one.import_id) if done.refused else {}
        except (PaylatchError, TimeoutError) as error:
            for asked, _ in prepared:
                self._failed(asked, error)
            return
        finally:
            self.tally.in_files = 0
        for number, (asked, _) in enumerate(prepared, start=1):
            self._settle_row(asked, refused.get(number))
        self._answered(due_ns)

    def _seen(self, one: Import) -> None:
        # Which rows these are is known in the end; that they are so many, meanwhile.
        self.tally.in_files = one.done - one.refused

    async def _upload(self, file: io.BytesIO) -> Any:
        file.seek(0)
        return await self.bridge.imports.upload(file, "ndjson", f"fleet-{self._run}-{self._numbers()}")

    async def _refused_in(self, import_id: str) -> dict[int, str]:
        """Return the rows that were refused, with the kind of the problem."""
        pieces = [piece async for piece in self.bridge.imports.results(import_id, "ndjson", outcome="refused")]
        rows = [json.loads(line) for line in b"".join(pieces).splitlines()]
        return {row["row"]: _named(problem_in(row["problem"], row["status"])) for row in rows}

    # --- what becomes of them ---

    def _prepare(self, order: Order, due_ns: int) -> tuple[Asked, Mapping[str, Any]]:
        asked = self.book.ask(order.imei, order.level, due_ns)
        if asked.overtaken is not None:
            self.tally.overtake(asked.overtaken.trend, asked.overtaken.ns)
        self.tally.due += 1
        named = {
            "decision_id": f"fleet-{self._run}-{self._numbers()}",
            "occurred_at": _written(asked.occurred_ms),
        }
        return asked, {**named, **order.fields, "imei": order.imei}

    def _settle(self, asked: Asked, outcome: Outcome) -> bool:
        """Take what became of one decision of a list; return whether that is final."""
        match outcome:
            case Decided():
                self._taken(asked)
            case UnavailableError():
                return False
            case RefusedError():
                self._failed(asked, outcome)
        return True

    def _settle_row(self, asked: Asked, refused: str | None) -> None:
        if refused is None:
            self._taken(asked)
        else:
            self.tally.failed[refused] += 1
            self.book.refused(asked)

    def _taken(self, asked: Asked) -> None:
        self.tally.decisions += 1
        self.book.taken(asked)

    def _failed(self, asked: Asked, error: Exception) -> None:
        self.tally.failed[name_of(error)] += 1
        if isinstance(error, RefusedError):
            self.book.refused(asked)
        else:
            self.book.unknown(asked)

    def _answered(self, due_ns: int) -> None:
        self.tally.measure("answer_ms", time.monotonic_ns() - due_ns)

    async def _insist(self, ask: Callable[[], Coroutine[Any, Any, T]], due_ns: int, decisions: int = 1) -> T:
        """Ask until there is an answer; note how late so many decisions go out for the first time."""
        unsent = decisions

        async def ask_and_count() -> T:
            nonlocal unsent
            async with self._places:
                for _ in range(unsent):
                    self.tally.measure("late_ms", time.monotonic_ns() - due_ns)
                unsent = 0
                try:
                    return await ask()
                except UnavailableError as error:
                    self.tally.pushed_back[name_of(error)] += 1
                    raise

        return await _PATIENCE.insist(ask_and_count)


def name_of(error: Exception) -> str:
    """Return a short name of what went wrong, for counting."""
    problem = getattr(error, "problem", None)
    if problem is not None:
        return _named(problem)
    return "no answer" if isinstance(error, UnavailableError | TimeoutError) else type(error).__name__


def _named(problem: Problem) -> str:
    return f"{problem.status} {problem.kind}"


def _written(ms: int) -> str:
    return datetime.fromtimestamp(ms / _MS_PER_S, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
