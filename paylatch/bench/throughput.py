"""Whole round trips: decisions imported over HTTP, each proven by its phone's signed report."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from paylatch.bench.ceiling import Ceiling
from paylatch.bench.gauges import cpu_s
from paylatch.bench.lender import Lender
from paylatch.bench.plan import Planned, parts_of

PARTS_OF_BOOK = 4
"""Decisions come in parts of a quarter of the book.

At most half of the book is under way: openings overtake closings, so that those under way are at worst every second
decision of the last round, and none of them is overtaken by the next round's decision about its own phone.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What was measured from the first byte sent to the last report committed."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was measured, beside what the same machine can do at best."""

    ceiling_per_s: float
    ratio: float
    ceiling_cpu_us: float
    cpu_ratio: float


def compared(found: Throughput, ceilings: Sequence[Ceiling]) -> Compared:
    """Return how what was measured compares with the mean of ceilings; there is one at least."""
    per_s = statistics.mean(one.ceiling_per_s for one in ceilings)
    cpu_us = statistics.mean(one.cpu_us for one in ceilings)
    return Compared(
        ceiling_per_s=round(per_s, 1),
        ratio=round(found.per_s / per_s, 4),
        ceiling_cpu_us=round(cpu_us, 1),
        cpu_ratio=round(cpu_us / sum(found.cpu_us.values()), 4),
    )


async def measure_throughput(
    lender: Lender,
    decisions: Iterable[Planned],
    book: int,
    pids: Mapping[str, Sequence[int]],
    shown: Callable[[int], object],
) -> Throughput:
    """Import decisions about a book of so many phones, and wait for the last proof.

    Args:
        lender: has reported nothing that is not proven.
        decisions: so made that each causes a round trip, phone after phone.
        book: how many phones there are.
        pids: the processes whose processor time is told, by name.
        shown: told how many are proven, now and then.
    """
    # Made before the clock starts: that is the benchmark's work, not the bridge's.
    parts = list(parts_of(decisions, max(1, book // PARTS_OF_BOOK)))
    cpu_before, before = _cpu(pids), await lender.proven()
    for part in parts:
        now = await lender.proven(all_but=max(book // 2 - len(part), 0))
        shown(now.finished - before.finished)
        await lender.send(part)
    end = await lender.proven()
    cpu_after, added = _cpu(pids), end.since(before)
    return Throughput(
        succeeded=added.succeeded,
        superseded=added.superseded,
        seconds=end.at - before.at,
        cpu_s={name: cpu_after[name] - cpu_before[name] for name in pids},
    )


def _cpu(pids: Mapping[str, Sequence[int]]) -> dict[str, float]:
    return {name: sum(map(cpu_s, some)) for name, some in pids.items()}
