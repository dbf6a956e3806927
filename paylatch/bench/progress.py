"""How far the bridge is, by its own metrics: the interface that operators watch it by."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

_COMMANDS, _PUBLISHES = "paylatch_commands_total", "paylatch_publishes_total"
_QUEUES = ("paylatch_outbox_depth", "paylatch_outbox_in_flight", "paylatch_commit_jobs_waiting")
_ASKED = {"name[]": [_COMMANDS, _PUBLISHES, *_QUEUES]}
"""All of them would take a twentieth of a busy bridge's time."""
_STATUS = f'{_COMMANDS}{{status="'
_PUBLISHED = f'{_PUBLISHES}{{outcome="acknowledged"}} '
STALLED_S = 30.0
"""A bridge that proves nothing for so long is not waited for."""
_SOONEST_S, _LATEST_S = 0.025, 0.2
_SHORTLY = 0.9


@dataclass(frozen=True, slots=True)
class Counts:
    """Commands so far, by the status that they have come to, and when that was read."""

    by_status: Mapping[str, int]
    published: int
    """States that the broker has acknowledged."""
    waiting: int
    """States and jobs in the bridge's queues."""
    at: float

    @property
    def succeeded(self) -> int:
        """Commands that their phones have proven."""
        return self.by_status.get("succeeded", 0)

    @property
    def superseded(self) -> int:
        """Commands that a newer one has overtaken before they were proven."""
        return self.by_status.get("superseded", 0)

    @property
    def finished(self) -> int:
        """Both."""
        return self.succeeded + self.superseded

    def since(self, before: "Counts") -> "Counts":
        """Return what has been added."""
        added = {status: count - before.by_status.get(status, 0) for status, count in self.by_status.items()}
        return Counts(added, self.published - before.published, self.waiting, self.at)


@dataclass(frozen=True, slots=True)
class Progress:
    """Reads a bridge's metrics."""

    http: httpx.AsyncClient

    async def counts(self) -> Counts:
        """Return the counts as they are now."""
        page = (await self.http.get("/metrics", params=_ASKED)).raise_for_status().text
        at = time.perf_counter()
        return read_counts(page, at)

    async def until_finished(self, total: int) -> Counts:
        """Wait until so many commands are finished since the bridge started; return the counts as they are then.

        It ends as well when nothing has moved for `STALLED_S`.
        """
        first = seen = last = await self.counts()
        while last.finished < total:
            await asyncio.sleep(_pause_s(total - last.finished, last.finished - first.finished, last.at - first.at))
            last = await self.counts()
            if last.finished > seen.finished:
                seen = last
            elif last.at - seen.at > STALLED_S:
                break
        return last

    async def until_idle(self) -> Counts:
        """Wait until nothing waits in the bridge's queues."""
        last = await self.counts()
        end = last.at + STALLED_S
        while last.waiting and last.at < end:
            await asyncio.sleep(_LATEST_S)
            last = await self.counts()
        return last


def read_counts(page: str, at: float) -> Counts:
    """Return what a page of metrics, in Prometheus' text format, says of commands and queues."""
    by_status, published, waiting = {}, 0, 0.0
    for line in page.splitlines():
        if line.startswith(_STATUS):
            status, _, value = line.removeprefix(_STATUS).partition('"} ')
            by_status[status] = int(float(value))
        elif line.startswith(_PUBLISHED):
            published = int(float(line.removeprefix(_PUBLISHED)))
        elif line.startswith(_QUEUES):
            waiting += float(line.rpartition(" ")[2])
    return Counts(by_status, published, int(waiting), at)


def _pause_s(left: int, done: int, in_s: float) -> float:
    """Return when to look again: shortly before what is waited for is expected. Looking costs the bridge time."""
    expected = left * in_s / done if done else _SOONEST_S
    return min(max(_SHORTLY * expected, _SOONEST_S), _LATEST_S)
