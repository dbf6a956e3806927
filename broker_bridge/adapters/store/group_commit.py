"""Group commit: one thread writes, and jobs that come while a commit is under way share the next one.

A single commit costs as much as one with fifty jobs, so the busier the bridge, the cheaper each decision; and an idle
bridge waits for nobody.
"""

import asyncio
import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from broker_bridge.adapters.store.errors import unavailable, unstorable
from broker_bridge.adapters.store.transaction import SharedTransaction
from broker_bridge.app.ports.metrics import Commit
from broker_bridge.app.ports.store import Job, OverloadedError, StoreUnavailableError
from broker_bridge.app.records import Command, Outgoing

T = TypeVar("T")

MAX_BATCH = 100
"""Jobs in a commit, about: a payment waits for the one under way, then for its own. Larger ones are hardly cheaper."""
OVERTAKES = 1000
"""How many submissions of many jobs a single job overtakes, and of single jobs one that goes first.

A bound, so that lists, reports and overdue figures get on as well.
"""
MAX_WAITING = 20_000

# The database itself, not what it was given: each job of a batch would meet the same.
_AWAY = (OperationalError, InternalError, PoolTimeoutError, StoreUnavailableError)

_ROWS_HELD = frozenset({"55P03", "40P01", "40001"})
"""lock_not_available, deadlock_detected, serialization_failure: somebody else holds rows of some of the jobs."""


@dataclass(slots=True)
class Submitted:
    """A job, and what came of it."""

    job: Job[Any]
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """Jobs that were submitted together, and who waits for them."""

    jobs: Sequence[Submitted]
    over: "asyncio.Future[None]"

    def settle(self) -> None:
        """Say that it is over. Runs in the event loop; a submitter that was cancelled does not want to know."""
        if not self.over.done():
            self.over.set_result(None)


class GroupCommit:
    """Commits jobs on a thread of its own, between `start` and `close`."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine that writes."""
        self._engine = engine
        self._inbox: queue.PriorityQueue[tuple[float, int, Submission | None]] = queue.PriorityQueue(MAX_WAITING)
        self._numbers = itertools.count()
        self._writer = threading.Thread(target=self._write_until_closed, name="store.writer", daemon=True)
        self._on_committed: Callable[[Sequence[Outgoing]], object] = lambda _: None
        self._on_doubt: Callable[[], object] = lambda: None
        self._on_step: Callable[[Command], object] = lambda _: None
        self._on_commit: Callable[[Commit], object] = lambda _: None

    def start(self) -> None:
        """Begin to commit."""
        self._writer.start()

    async def close(self) -> None:
        """Finish what has been submitted, and end."""
        await asyncio.to_thread(self._inbox.put, (math.inf, next(self._numbers), None))
        await asyncio.to_thread(self._writer.join)

    @property
    def waiting(self) -> int:
        """How many submissions wait for the next commit."""
        return self._inbox.qsize()

    def on_committed(self, publish: Callable[[Sequence[Outgoing]], object]) -> None:
        """Say who takes the states that committed jobs want published: those of a commit together, before its answers.

        In the event loop, and ahead of all that is told otherwise: a phone waits for them.
        """
        self._on_committed = publish

    def on_doubt(self, look_again: Callable[[], object]) -> None:
        """Say who is told that a commit has failed in a way that leaves open whether it was made.

        A connection may end between PostgreSQL's commit and its answer. What it wrote is there then, waits to be
        published, and nobody has offered it.
        """
        self._on_doubt = look_again

    def on_step(self, tell: Callable[[Command], object]) -> None:
        """Say who takes each committed change of a command's status whose lender is told of it."""
        self._on_step = tell

    def on_commit(self, observe: Callable[[Commit], object]) -> None:
        """Say who is told of every commit, in the event loop, when it is over."""
        self._on_commit = observe

    async def commit(self, job: Job[T], *, first: bool = False) -> T:
        """Run a job and return its result once it is durable."""
        submitted = Submitted(job)
        await self._submit([submitted], overtakes=2 * OVERTAKES if first else OVERTAKES)
        if submitted.error is not None:
            raise submitted.error
        return cast("T", submitted.result)

    async def commit_each(self, jobs: Sequence[Job[T]]) -> list[T | Exception]:
        """Run jobs in their order, and return the result of each, or its error, once all that succeeded is durable."""
        submitted = [Submitted(job) for job in jobs]
        if submitted:
            await self._submit(submitted)
        return [one.result if one.error is None else one.error for one in submitted]

    async def _submit(self, jobs: Sequence[Submitted], *, overtakes: int = 0) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            number = next(self._numbers)
            self._inbox.put_nowait((number - overtakes, number, Submission(jobs, over)))
        except queue.Full:
            raise OverloadedError(f"{MAX_WAITING} submissions are waiting for the database") from None
        await over

    def _write_until_closed(self) -> None:
        while True:
            batch, closing = self._next_batch()
            if batch:
                self._commit_batch(batch)
            if closing:
                return

    def _next_batch(self) -> tuple[list[Submission], bool]:
        """Wait for a submission and take with it all that have come meanwhile; tell whether the store is closing."""
        batch: list[Submission] = []
        jobs = 0
        *_, submission = self._inbox.get()
        while submission is not None:
            batch.append(submission)
            jobs += len(submission.jobs)
            if jobs >= MAX_BATCH:
                return batch, False
            try:
                *_, submission = self._inbox.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit_batch(self, batch: list[Submission]) -> None:
        jobs = [submitted for submission in batch for submitted in submission.jobs]
        started = time.perf_counter()
        try:
            commit = self._run_together(jobs, started)
        except _AWAY as error:
            if len(jobs) > 1 and _is_about_rows(error):
                self._commit_alone(batch)
                return
            self._hand_over(batch, [_in_doubt(jobs, error, started)])
        except Exception:  # noqa: BLE001 - the writer outlives whatever a batch holds
            # One of them has a row that cannot be read, or wrote what the database will not take: a phone that another
            # bridge has enrolled meanwhile, say. Alone, and knowing that by then, each answers for itself.
            self._commit_alone(batch)
        else:
            self._hand_over(batch, [commit])

    def _commit_alone(self, batch: list[Submission]) -> None:
        for submission in batch:
            self._hand_over([submission], [self._commit_one(submitted) for submitted in submission.jobs])

    def _commit_one(self, submitted: Submitted) -> Commit:
        commit = self._try_one(submitted)
        if isinstance(submitted.error, IntegrityError):
            # Another bridge has inserted a row since this job looked for it: now the job finds it, and says so.
            commit = self._try_one(submitted)
        return commit

    def _try_one(self, submitted: Submitted) -> Commit:
        started = time.perf_counter()
        try:
            return self._run_together([submitted], started)
        except _AWAY as error:
            return _in_doubt([submitted], error, started)
        except IntegrityError as error:
            submitted.error = error
        except (DataError, OverflowError) as error:  # the first is PostgreSQL's, the second SQLite's
            submitted.error = unstorable(error)
        except SQLAlchemyError as error:
            submitted.error = unavailable(error)
        except Exception as error:  # noqa: BLE001 - the same
            submitted.error = error
        return Commit(jobs=1, duration_s=0, failed=True)

    def _run_together(self, jobs: Sequence[Submitted], started: float) -> Commit:
        with self._engine.begin() as connection:
            tx = SharedTransaction(connection, [submitted.job for submitted in jobs])
            for submitted in jobs:
                submitted.result, submitted.error = None, None
                try:
                    submitted.result = tx.run(submitted.job)
                except SQLAlchemyError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a job raises is its submitter's answer
                    submitted.error = error
            tx.flush()
        return Commit(
            jobs=len(jobs),
            duration_s=time.perf_counter() - started,
            to_publish=tx.to_publish,
            moved=tx.moved(),
            to_tell=tx.to_tell,
        )

    def _hand_over(self, batch: Sequence[Submission], commits: Sequence[Commit]) -> None:
        batch[0].over.get_loop().call_soon_threadsafe(self._settle, batch, commits)

    def _settle(self, batch: Sequence[Submission], commits: Sequence[Commit]) -> None:
        if to_publish := [state for commit in commits for state in commit.to_publish]:
            self._on_committed(to_publish)
        for commit in commits:
            if commit.in_doubt:
                self._on_doubt()
            for step in commit.to_tell:
                self._on_step(step)
        for submission in batch:
            submission.settle()
        for commit in commits:
            self._on_commit(commit)


def _is_about_rows(error: Exception) -> bool:
    """Return whether the database is there, and only what some jobs need is held by somebody else."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _ROWS_HELD


def _in_doubt(jobs: Sequence[Submitted], error: SQLAlchemyError | StoreUnavailableError, started: float) -> Commit:
    for submitted in jobs:
        submitted.error = unavailable(error)
    return Commit(jobs=len(jobs), duration_s=time.perf_counter() - started, failed=True, in_doubt=True)
