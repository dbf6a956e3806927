"""The simulated phones, spread over processes of `device_sim`, and directed as one fleet."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from device_sim.fleet.control_client import FleetControl
from device_sim.fleet.control_messages import Mismatch, PhoneDump, TransitionDump
from device_sim.identities import FleetLine, write_fleet
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.bench.gauges import rss_bytes
from paylatch.bench.options import BenchError
from paylatch.demo.processes import ChildProcess, running
from paylatch.ports import LOOPBACK

T = TypeVar("T")

CONNECTS_PER_S = 4000
"""Attempts a second of each process: more than it can make."""
_DUMPED_AT_A_TIME = 2000
_CONNECT_S = 30.0
_CONNECT_S_PER_PHONE = 0.02


@dataclass(frozen=True, slots=True)
class Shard:
    """One process and its phones."""

    process: ChildProcess
    control: FleetControl
    imeis: Sequence[Imei]


@dataclass(frozen=True, slots=True)
class Shards:
    """All processes together."""

    shards: Sequence[Shard]

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [shard.process.pid for shard in self.shards]

    @property
    def count(self) -> int:
        """How many phones there are."""
        return sum(len(shard.imeis) for shard in self.shards)

    @property
    def rss_bytes(self) -> int:
        """Their resident memory."""
        return sum(map(rss_bytes, self.pids))

    async def connected(self, timeout_s: float) -> list[Imei]:
        """Wait until all phones are connected and subscribed; return those that are not in time."""
        return _flat(await asyncio.gather(*(one.control.await_connected(timeout_s) for one in self.shards)))

    async def settled(self, timeout_s: float) -> list[Imei]:
        """Wait until a `Fresh` has confirmed all phones; return those that are not in time."""
        return _flat(await asyncio.gather(*(one.control.await_settled(timeout_s) for one in self.shards)))

    async def at_levels(self, levels: Mapping[Imei, Level], timeout_s: float) -> list[Mismatch]:
        """Wait until phones show these levels; return those that do not in time."""
        waits = (
            shard.control.await_levels({imei: levels[imei] for imei in mine}, timeout_s)
            for shard, mine in self._split(levels)
        )
        return _flat(await asyncio.gather(*waits))

    async def transitions(self, imeis: Iterable[Imei]) -> dict[Imei, list[TransitionDump]]:
        """Return the last changes of level of these phones, oldest first."""
        found: dict[Imei, list[TransitionDump]] = {}
        for shard, mine in self._split(imeis):
            found |= await shard.control.transitions(mine)
        return found

    async def dump(self) -> AsyncIterator[PhoneDump]:
        """Yield what each phone is."""
        for shard in self.shards:
            for first in range(0, len(shard.imeis), _DUMPED_AT_A_TIME):
                for phone in await shard.control.dump(shard.imeis[first : first + _DUMPED_AT_A_TIME]):
                    yield phone

    def _split(self, imeis: Iterable[Imei]) -> list[tuple[Shard, list[Imei]]]:
        wanted = set(imeis)
        split = [(shard, [imei for imei in shard.imeis if imei in wanted]) for shard in self.shards]
        return [(shard, mine) for shard, mine in split if mine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet that is connected, and what it took."""

    phones: Shards
    connect_s: float
    """From the first attempt until the last phone was subscribed."""
    empty_rss_bytes: int
    """The memory of as many processes without a phone."""


@asynccontextmanager
async def fleet_of(lines: Sequence[FleetLine], count: int, directory: Path, port: int) -> AsyncIterator[Fleet]:
    """Give a fleet whose phones are all connected and confirmed.

    Args:
        lines: the phones.
        count: over how many processes they are spread.
        directory: where the processes' files are.
        port: the broker's listener for phones.

    Raises:
        BenchError, DemoError: a process did not start, or phones did not connect.
    """
    async with _running([[]], directory, "empty", port) as nobody:
        empty = nobody.rss_bytes
    parts = [lines[number::count] for number in range(count)]
    async with _running(parts, directory, "fleet", port) as phones:
        start = time.perf_counter()
        patience = _CONNECT_S + len(lines) * _CONNECT_S_PER_PHONE
        if absent := await phones.connected(patience):
            raise BenchError(f"{len(absent)} phones did not connect within {patience:g} s, {absent[0]} the first")
        took = time.perf_counter() - start
        if absent := await phones.settled(patience):
            raise BenchError(f"{len(absent)} phones were not confirmed within {patience:g} s, {absent[0]} the first")
        yield Fleet(phones=phones, connect_s=took, empty_rss_bytes=empty * count)


@asynccontextmanager
async def _running(
    parts: Sequence[Sequence[FleetLine]], directory: Path, name: str, port: int
) -> AsyncIterator[Shards]:
    """Give processes, one a part, that listen; their phones connect from now on."""
    async with AsyncExitStack() as stack:
        shards = []
        for number, lines in enumerate(parts):
            phones, socket = directory / f"{name}-{number}.jsonl", directory / f"{name}-{number}.sock"
            write_fleet(phones, lines)
            options = {
                "--phones": phones,
                "--control": socket,
                "--host": LOOPBACK,
                "--port": port,
                "--connects-per-s": CONNECTS_PER_S,
            }
            arguments = [str(part) for pair in options.items() for part in pair]
            log = directory / f"{name}-{number}.log"
            process = await stack.enter_async_context(running("fleet", arguments, log, module="device_sim"))
            shards.append(Shard(process, FleetControl(socket), [line.imei for line in lines]))
        for number, shard in enumerate(shards):
            await shard.process.wait_until(_listening(directory / f"{name}-{number}.sock"))
        yield Shards(shards)


def _listening(socket: Path) -> Callable[[], Awaitable[bool]]:
    async def listens() -> bool:
        return await asyncio.to_thread(socket.is_socket)

    return listens


def _flat(lists: Iterable[Iterable[T]]) -> list[T]:
    return [one for part in lists for one in part]
