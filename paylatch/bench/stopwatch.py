"""What importing costs, stage by stage: the bridge's own code, timed from outside."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.app.import_rows import Desk
from broker_bridge.app.ports import Job

T = TypeVar("T")


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

    def timed_desk(self, desk: Desk) -> Desk:
        """Return a desk whose parsing, deciding and signing are timed."""
        return replace(
            desk,
            read=self.timed("parse_and_validate", desk.read),
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
        return self.watch.timed("decide_and_sign", self.job.run)(tx)


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
        step = self.watch.timed("read", lambda: next(rows, None))
        return iter(step, None)
