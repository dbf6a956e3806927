"""One fleet in several processes: how many it needs, and how all of them are directed as one."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from device_sim.fleet import control_messages as ask
from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import CountersDump
from device_sim.fleet.journal import Entry
from device_sim.fleet.process import RESERVED_FILES
from lock_protocol.imei import Imei

PHONES_A_CORE = 4000
"""Up to so many phones one process, hence one core, is enough for."""

T = TypeVar("T")


class TooFewFilesError(Exception):
    """Not even one phone fits into what a process may open."""


def shards_for(phones: int, *, cores: int, files: int) -> int:
    """Return in how many processes so many phones are held best.

    As many as their connections need, each process having `files` of them; and beyond `PHONES_A_CORE` phones another
    one for every core that there is, but no more: the broker and the bridge need cores too.

    Raises:
        TooFewFilesError: a process may not open enough files for anything.
    """
    room = files - RESERVED_FILES
    if room < 1:
        raise TooFewFilesError(f"{files} open files a process leave no room for phones; raise the limit (ulimit -n)")
    by_files = math.ceil(phones / room)
    by_cores = min(cores, math.ceil(phones / PHONES_A_CORE))
    return max(by_files, by_cores, 1)


def split(items: Sequence[T], shards: int) -> list[Sequence[T]]:
    """Return the items in so many parts, one after the other, which differ by one at most in size."""
    size, larger = divmod(len(items), shards)
    ends = [size * (n + 1) + min(n + 1, larger) for n in range(shards)]
    return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class ShardedControl(FleetControl):
    """Directs several fleet processes as if they were one: each request goes to those whose phones it is about.

    Args:
        shards: the control socket of each, with its phones.
    """

    def __init__(self, shards: Mapping[Path, Iterable[Imei]]) -> None:
        self._shards = {path: FleetControl(path) for path in shards}
        self._home = {imei: path for path, imeis in shards.items() for imei in imeis}

    async def counters(self) -> CountersDump:
        """Return the totals of all of them."""
        totals: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        happenings: Counter[str] = Counter()
        for one in await self._counters():
            numbers = one.model_dump(exclude={"refusals", "happenings"})
            totals.update(numbers)
            refusals.update(one.refusals)
            happenings.update(one.happenings)
        return CountersDump(refusals=dict(refusals), happenings=dict(happenings), **totals)

    async def news(self) -> list[Entry]:
        """Return what has happened to the phones of all of them since this was asked last, in the order of time."""
        parts = await asyncio.gather(*(shard.news() for shard in self._shards.values()))
        return sorted(entry for part in parts for entry in part)

    @property
    def missed(self) -> int:
        """How many events were lost because `news` was asked too seldom."""
        return sum(shard.missed for shard in self._shards.values())

    async def await_refusals(self, total: int, timeout_s: float) -> int:
        """Wait until so many messages have been refused, by all of them together; return how many were."""
        deadline = time.monotonic() + timeout_s
        while True:
            counts = [sum(one.refusals.values()) for one in await self._counters()]
            left = deadline - time.monotonic()
            if sum(counts) >= total or left <= 0:
                return sum(counts)
            await self._await_one_more(counts, left)

    async def _await_one_more(self, counts: Sequence[int], timeout_s: float) -> None:
        """Wait until any of them has refused one message more than it had."""
        waiting = [
            asyncio.create_task(shard.await_refusals(count + 1, timeout_s), name="await refusals")
            for shard, count in zip(self._shards.values(), counts, strict=True)
        ]
        _, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()

    async def _counters(self) -> list[CountersDump]:
        return await asyncio.gather(*(shard.counters() for shard in self._shards.values()))

    async def _ask(self, request: BaseModel) -> Any:
        parts = self._parts(request)
        answers = await asyncio.gather(*(self._shards[path]._ask(part) for path, part in parts.items()))  # noqa: SLF001 - its own kind
        return _joined(answers)

    def _parts(self, request: BaseModel) -> dict[Path, BaseModel]:
        """Return what each process is asked; those whose phones it is not about are asked nothing."""
        match request:
            case ask.AwaitLevels(levels=levels):
                return {
                    path: request.model_copy(update={"levels": {imei: levels[imei] for imei in imeis}})
                    for path, imeis in self._at_home(levels).items()
                }
            case ask.Tamper(imei=imei):
                return dict.fromkeys(self._at_home([imei]), request)
            case BaseModel() if (imeis := getattr(request, "imeis", None)) is not None:
                homes = self._at_home(imeis).items()
                return {path: request.model_copy(update={"imeis": part}) for path, part in homes}
        return dict.fromkeys(self._shards, request)

    def _at_home(self, imeis: Iterable[Imei]) -> dict[Path, list[Imei]]:
        homes: dict[Path, list[Imei]] = {}
        anywhere = next(iter(self._shards))
        for imei in imeis:
            # Whoever is asked about a phone that it does not have says so best.
            homes.setdefault(self._home.get(imei, anywhere), []).append(imei)
        return homes or {anywhere: []}


def _joined(answers: Sequence[Any]) -> Any:
    """Return the answers of several processes as one: lists one after the other, objects with all their keys."""
    if any(isinstance(answer, dict) for answer in answers):
        return {key: value for answer in answers for key, value in answer.items()}
    if any(isinstance(answer, list) for answer in answers):
        return [one for answer in answers for one in answer]
    return None
