"""Working imports off: each row becomes the job of one decision, in small groups beside everybody else's.

A group is as much as an import has in flight, so a payment by another way waits for a group at most, never for a file.
A row's result is recorded in the commit of its decision; so whenever the bridge is killed, each row either has both or
neither, and what is told of it is what it did. Refused rows have nothing to commit: their results follow with the count
of several groups, and are found anew if that did not come about.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from broker_bridge.app.import_rows import Desk, ImportedDecision, JudgedError, refused
from broker_bridge.app.import_tidying import ImportTidier
from broker_bridge.app.imports import GONE_S, Uploads
from broker_bridge.app.pauses import pauses
from broker_bridge.app.ports.imports import (
    FileRow,
    Imports,
    ImportTakenAwayError,
    Spool,
    SpoolUnavailableError,
    UnreadableFileError,
)
from broker_bridge.app.ports.store import Commits, OverloadedError, StoreUnavailableError
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.imports import Counts, Import, ImportId, ImportState, Outcome, RowResult
from lock_protocol.messages import LenderId

GROUP = 50
"""Rows of all imports in flight at a time."""
GROUPS = 10
"""How many groups are read and counted together: each question to the database has the commits wait."""
READ_TOGETHER = 50
"""How many rows are read without a pause before an import begins, when its file is read to its end."""
PAUSE_S = 0.001
"""How long that pause is. Python runs one thread at a time, and gives the next one its turn after 5 ms only: a payment,
whose way has a dozen turns, waited for most of the reading."""
LOOK_S = 60.0
"""How long a worker that was not woken waits before it looks for work by itself."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
"""How long what passes is waited for before the next try; longer each time."""
CLOCK_TRIES = 3
"""How often a row that locks is tried again while the clock cannot be right; then it is refused, to be sent again."""

_Decision = tuple[FileRow, Decision]
"""A row, and the decision that it stands for."""

PASSING = (StoreUnavailableError, OverloadedError, ClockSuspectError)
"""What is no fault of the row, and passes: it is tried until it does."""


@dataclass(slots=True)
class _Tally:
    """What becomes of rows: all their outcomes, and the results that no job records."""

    outcomes: list[Outcome] = field(default_factory=list)
    to_add: list[RowResult] = field(default_factory=list)

    def add(self, result: RowResult) -> None:
        self.outcomes.append(result.outcome)
        self.to_add.append(result)


@dataclass(slots=True, kw_only=True)
class ImportWorker:
    """Works queued imports off: one at a time of each lender, and lenders in turns."""

    store: Commits
    imports: Imports
    spool: Spool
    desk: Desk
    uploads: Uploads
    clock: Clock
    log: Log
    tidier: ImportTidier
    awake: asyncio.Event
    """Set when there may be something to do."""
    waiting_for: dict[ImportId, str] = field(default_factory=dict)
    """Why an import does not move on just now."""
    _at_work: set[LenderId] = field(default_factory=set)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Its waiters are served in order: that is how lenders take turns, a group each."""

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.tidier.run(), name="imports.tidy")
            while True:
                self.awake.clear()
                for one in await self._waiting():
                    self._at_work.add(one.upload.lender)
                    tasks.create_task(self._work_off(one), name=f"imports.{one.import_id}")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self.awake.wait()

    def waits_for(self, one: Import) -> str | None:
        """Return why an import does not move on here just now; None when it does, or is over."""
        if one.state.is_final or one.spool in (self.spool.spool_id, ""):
            return self.waiting_for.get(one.import_id)
        return "another bridge, which has its file"

    async def _waiting(self) -> Sequence[Import]:
        for pause in pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S):
            try:
                await self.imports.alive(self.spool.spool_id, GONE_S)
                return await self.imports.waiting(self._at_work, self.spool.spool_id, GONE_S)
            except StoreUnavailableError as error:
                self.log.warning("imports_wait", reason=str(error))
                await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _work_off(self, one: Import) -> None:
        self.uploads.at_work.add(one.import_id)
        try:
            await self._do_all(one)
        except (StoreUnavailableError, SpoolUnavailableError) as error:
            # What is recorded of it says where to go on.
            self._waits(one, error)
            await asyncio.sleep(LONGEST_PAUSE_S)
        finally:
            self.uploads.at_work.discard(one.import_id)
            self._at_work.discard(one.upload.lender)
            self.awake.set()

    async def _do_all(self, one: Import) -> None:
        try:
            await self._do_and_finish(one)
        except ImportTakenAwayError as error:
            # This bridge was stopped for so long that another one has failed the import: what that told stands.
            self.log.warning("import_taken_away", import_id=one.import_id, reason=str(error))
        self.waiting_for.pop(one.import_id, None)
        with suppress(OSError):  # what is left is removed when it is next tidied up
            self.spool.discard(one.import_id)

    async def _do_and_finish(self, one: Import) -> None:
        try:
            await self._do_rows(one)
        except (StoreUnavailableError, SpoolUnavailableError, ImportTakenAwayError):
            raise
        except UnreadableFileError as error:
            await self._fail(one, self.desk.unreadable(error))
        except Exception as error:  # noqa: BLE001 - one lender's file does not end the bridge
            self.log.critical("import_broke", import_id=one.import_id, error=repr(error))
            await self._fail(one, self.desk.refusal(error)["problem"])
        else:
            await self._finish(one, ImportState.DONE)
            self.log.info("import_done", import_id=one.import_id)

    async def _fail(self, one: Import, problem: dict[str, Any]) -> None:
        await self._finish(one, ImportState.FAILED, json.dumps(problem))
        self.log.info("import_failed", import_id=one.import_id, reason=problem["detail"])

    async def _finish(self, one: Import, state: ImportState, problem: str = "") -> None:
        # Counted from the results themselves, whatever became of the counting on the way.
        counts = await self.imports.counted(one.import_id)
        await self.imports.finish(one, state, self.clock.now(), counts, problem)

    async def _do_rows(self, one: Import) -> None:
        import_id, kind = one.import_id, one.upload.format
        if one.state is ImportState.QUEUED:
            # Read to its end first: a file that is broken somewhere is applied in no part.
            rows = await _length(self.spool.rows(import_id, kind))
            await self.imports.start(one, rows, self.clock.now())
        counts = await self.imports.counted(import_id)
        rows_of_file = self.spool.rows(import_id, kind)
        while some := await asyncio.to_thread(_next_of, rows_of_file, GROUPS * GROUP):
            await self._do_some(one, some, counts)

    async def _do_some(self, one: Import, rows: Sequence[FileRow], counts: Counts) -> None:
        """Take the decisions of rows that have no result yet, in groups, and count what became of them."""
        known = await self.imports.outcomes(one.import_id, rows[0].number, rows[-1].number)
        tally = _Tally()
        new = iter([row for row in rows if row.number not in known])
        while group := list(islice(new, GROUP)):
            async with self._turn:
                await self._do_group(one, group, tally)
        for outcome in tally.outcomes:
            counts[outcome] += 1
        if tally.outcomes:
            await self.imports.add(one, tally.to_add, counts)

    async def _do_group(self, one: Import, rows: Sequence[FileRow], tally: _Tally) -> None:
        decisions: list[_Decision] = []
        for row in rows:
            try:
                decisions.append((row, self.desk.decision(row, one.upload.lender)))
            except self.desk.refusals as error:
                tally.add(refused(self.desk, one.import_id, row, error))
        await self._decide_all(one, decisions, tally)
        self.waiting_for.pop(one.import_id, None)

    async def _decide_all(self, one: Import, decisions: Sequence[_Decision], tally: _Tally) -> None:
        """Take decisions; those about one phone in the file's order, each after the one before, however that went."""
        waiting = list(decisions)
        while waiting:
            first = {pair[1].imei: pair for pair in reversed(waiting)}
            now = [pair for pair in waiting if first[pair[1].imei] is pair]
            waiting = [pair for pair in waiting if first[pair[1].imei] is not pair]
            await self._decide_these(one, now, tally)

    async def _decide_these(self, one: Import, decisions: Sequence[_Decision], tally: _Tally) -> None:
        """Take decisions about as many phones. Those that fail by no fault of theirs are tried until they do not."""
        waiting = list(decisions)
        for tries, pause in enumerate(pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)):
            if tries:  # some may have been committed, and only the answer was lost
                known = await self.imports.outcomes(one.import_id, waiting[0][0].number, waiting[-1][0].number)
                tally.outcomes.extend(known[row.number] for row, _ in waiting if row.number in known)
                waiting = [pair for pair in waiting if pair[0].number not in known]
            waiting = await self._decide_once(one, waiting, tally, last_try=tries >= CLOCK_TRIES)
            if not waiting:
                return
            await asyncio.sleep(pause)

    async def _decide_once(
        self, one: Import, decisions: Sequence[_Decision], tally: _Tally, *, last_try: bool
    ) -> list[_Decision]:
        """Take decisions in one commit; return those that have to be tried again."""
        try:
            results = await self.store.commit_each([self._job(one, row, decision) for row, decision in decisions])
        except OverloadedError as error:
            results = [error for _ in decisions]
        again = []
        for pair, result in zip(decisions, results, strict=True):
            # A payment further down in the file must not wait for a clock.
            if isinstance(result, PASSING) and not (last_try and isinstance(result, ClockSuspectError)):
                self._waits(one, result)
                again.append(pair)
            else:
                self._book(one, *pair, result, tally)
        return again

    def _job(self, one: Import, row: FileRow, decision: Decision) -> ImportedDecision:
        job = self.desk.dry_run(decision) if one.upload.dry_run else self.desk.decide(decision)
        return ImportedDecision(job, self.desk, one, row.number)

    def _book(self, one: Import, row: FileRow, decision: Decision, result: Outcome | Exception, tally: _Tally) -> None:
        """Note what became of a decision."""
        match result:
            case Outcome():
                self.desk.count(decision, result)
                tally.outcomes.append(result)
            case JudgedError():
                tally.add(result.result)
            case ImportTakenAwayError():
                raise result
            case _:
                if isinstance(result, self.desk.refusals):
                    self.desk.count(decision, Outcome.REFUSED)
                else:  # a row that breaks something stops neither file nor bridge
                    self.log.critical("import_row", import_id=one.import_id, row=row.number, error=repr(result))
                tally.add(refused(self.desk, one.import_id, row, result))

    def _waits(self, one: Import, error: Exception) -> None:
        if one.import_id not in self.waiting_for:
            self.log.warning("import_waits", import_id=one.import_id, reason=str(error))
        self.waiting_for[one.import_id] = str(error)


async def _length(rows: Iterator[FileRow]) -> int:
    """Read a file to its end, and return how many rows it has."""
    length = 0
    while some := await asyncio.to_thread(_next_of, rows, READ_TOGETHER):
        length += len(some)
        await asyncio.sleep(PAUSE_S)
    return length


def _next_of(rows: Iterator[FileRow], most: int) -> list[FileRow]:
    return list(islice(rows, most))
