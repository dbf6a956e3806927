"""What importing costs, stage by stage: the bridge's own code, timed from outside."""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from broker_bridge.adapters.imports.desk import import_worker
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.metrics.metrics import Metrics
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.import_rows import Desk
from broker_bridge.app.ports.store import Job
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.domain.imports import Format, Import, SpoolId, Upload
from broker_bridge.domain.policy import DAY_S
from lock_protocol.messages import LenderId
from paylatch.local.quiet_log import quiet_log

T = TypeVar("T")

READ, PARSE, DECIDE = "read", "parse_and_validate", "decide_and_sign"
IMPORT = "import"
"""All of the process's time during an import."""
_POLL_S = 0.02


@dataclass
class Stopwatch:
    """Adds up the processor seconds of each stage."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, stage: str, call: Callable[..., T]) -> Callable[..., T]:
        """Return a function that does the same and is timed: its own thread's time, not that of others meanwhile."""

        def measured(*arguments: Any) -> T:
            start = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds[stage] += time.thread_time() - start

        return measured

    @contextmanager
    def process(self, stage: str) -> Iterator[None]:
        """Time a stage by all of the process's threads: while it lasts, nothing else is done."""
        start = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - start

    @property
    def commit_s(self) -> float:
        """What importing has taken beside reading, parsing, deciding and signing: commits, above all."""
        return self.seconds[IMPORT] - sum(self.seconds[stage] for stage in (READ, PARSE, DECIDE))

    def timed_desk(self, desk: Desk) -> Desk:
        """Return a desk whose parsing, deciding and signing are timed."""
        return replace(
            desk,
            read=self.timed(PARSE, desk.read),
            decide=lambda decision: TimedJob(desk.decide(decision), self),
        )


@dataclass(frozen=True)
class TimedJob:
    """A job whose run is timed."""

    job: Job[Any]
    watch: Stopwatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    def run(self, tx: Any) -> Any:
        """Run the job."""
        return self.watch.timed(DECIDE, self.job.run)(tx)


@dataclass(frozen=True)
class TimedSpool:
    """A spool whose reading is timed."""

    spool: DirectorySpool
    watch: Stopwatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spool, name)

    def rows(self, *which: Any) -> Iterator[Any]:
        """Yield the rows."""
        rows = self.spool.rows(*which)
        step = self.watch.timed(READ, lambda: next(rows, None))
        return iter(step, None)


async def import_timed(
    store: SqlStore, reconsider: Reconsider, lender: LenderId, directory: Path, content: bytes, watch: Stopwatch
) -> Import:
    """Import a file of CSV in this process, and return the import as it ended.

    Args:
        store: where, and where nobody else imports.
        reconsider: judges its phones.
        lender: whose phones.
        directory: where the file waits.
        content: the file.
        watch: times reading, parsing, deciding and signing; `IMPORT` is all of the process meanwhile, commits included.
    """
    spool = DirectorySpool(
        directory=directory, spool_id=SpoolId("bench"), max_bytes=1 << 30, max_rows=1_000_000, idle_s=60, upload_s=600
    )
    worker = import_worker(
        store=store.commits,
        imports=store.imports,
        spool=TimedSpool(spool, watch),
        reconsider=reconsider,
        meters=Metrics(reconsider.clock).meters,
        log=quiet_log(),
        keep_s=DAY_S,
    )
    worker.desk = watch.timed_desk(worker.desk)
    upload = Upload(lender=lender, idempotency_key=secrets.token_hex(8), format=Format.CSV, dry_run=False)
    with watch.process(IMPORT):
        async with beside(worker.run()):
            one = await worker.uploads.take(upload, _pieces(content))
            while not one.state.is_final:
                await asyncio.sleep(_POLL_S)
                one = await store.imports.one(lender, one.import_id) or one
    return one


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something while what is inside is done; what fails in it fails here."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name="beside")
        yield
        task.cancel()


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content
