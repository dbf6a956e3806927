"""Whole round trips: decisions imported over HTTP, each proven by its phone's signed report."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from paylatch.bench.gauges import cpu_s
from paylatch.bench.plan import Planned, as_csv, parts_of
from paylatch.bench.progress import Progress
from paylatch.client import Bridge

PARTS_OF_BOOK = 4
"""Decisions come in parts of a quarter of the book.

At most half of the book is under way: openings overtake closings, so that those under way are at worst every second
decision of the last round, and none of them is overtaken by the next round's decision about its own phone.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What was measured from the first byte sent to the last report committed."""

    sent: int
    succeeded: int
    superseded: int
    seconds: float
    cpu_s: Mapping[str, float]
    """Processor seconds by process."""

    @property
    def per_s(self) -> float:
        """Whole round trips a second."""
        return self.succeeded / self.seconds

    @property
    def cpu_us(self) -> dict[str, float]:
        """Microseconds of processor time a round trip, by process."""
        return {name: seconds / max(self.succeeded, 1) * 1e6 for name, seconds in self.cpu_s.items()}


@dataclass(slots=True)
class Importer:
    """Sends decisions as files."""

    bridge: Bridge
    progress: Progress
    taken: list[str]
    """The ids of the imports so far."""

    async def send(self, decisions: Iterable[Planned]) -> None:
        """Send one file; when this returns, the bridge has it."""
        name = f"bench-{len(self.taken)}"
        one = await self.bridge.imports.upload(io.BytesIO(as_csv(decisions)), "csv", name)
        self.taken.append(one.import_id)

    async def send_and_prove(self, decisions: Sequence[Planned]) -> None:
        """Send one file and wait until each of its decisions is proven or overtaken."""
        if decisions:
            before = await self.progress.counts()
            await self.send(decisions)
            await self.progress.until_finished(before, len(decisions))


async def measure_throughput(
    importer: Importer,
    decisions: Iterable[Planned],
    book: int,
    pids: Mapping[str, Sequence[int]],
    shown: Callable[[int], object],
) -> Throughput:
    """Import decisions about a book of so many phones, and wait for the last proof.

    Args:
        importer: sends them.
        decisions: so made that each causes a round trip, phone after phone.
        book: how many phones there are.
        pids: the processes whose processor time is told, by name.
        shown: told how many are proven, now and then.
    """
    size = max(1, book // PARTS_OF_BOOK)
    # Files are made before the clock starts: that is the benchmark's work, not the bridge's.
    parts = list(parts_of(decisions, size))
    before, sent = await importer.progress.counts(), 0
    cpu_before = _cpu(pids)
    first = before.at
    for part in parts:
        now = await importer.progress.until_finished(before, sent + len(part) - max(book // 2, len(part)))
        shown(now.finished - before.finished)
        await importer.send(part)
        sent += len(part)
    end = await importer.progress.until_finished(before, sent)
    cpu_after = _cpu(pids)
    added = end.since(before)
    return Throughput(
        sent=sent,
        succeeded=added.succeeded,
        superseded=added.superseded,
        seconds=end.at - first,
        cpu_s={name: cpu_after[name] - cpu_before[name] for name in pids},
    )


def _cpu(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(map(cpu_s, some)) for name, some in pids.items()}
