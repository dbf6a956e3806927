"""The phones of a run, connected and confirmed, and what their connections took."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from device_sim.fleet.shards import ShardedControl
from device_sim.identities import FleetLine, read_fleet, write_fleet
from paylatch.bench.gauges import rss_bytes
from paylatch.local.phones import (
    BrokerAddress,
    Knocking,
    RunningPhones,
    confirm_all,
    connect_all,
    patience_for,
    phones_running,
)

CONNECTS_PER_S = 4000
"""Attempts a second of each process: more than it can make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet that is connected, and what it took."""

    control: ShardedControl
    pids: Sequence[int]
    count: int
    """How many phones there are."""
    connect_s: float
    """From the first process's start until the last phone was subscribed."""
    empty_rss_bytes: int
    """The memory of as many processes without a phone."""

    @property
    def rss_bytes(self) -> int:
        """The memory of its processes."""
        return sum(map(rss_bytes, self.pids))


@asynccontextmanager
async def fleet_of(file: Path, shards: int, directory: Path, port: int) -> AsyncIterator[Fleet]:
    """Give a fleet whose phones are all connected and confirmed.

    Args:
        file: the phones, as `write_spread` has written them.
        shards: over how many processes they are spread.
        directory: where the processes' files are.
        port: the broker's listener for phones.

    Raises:
        LocalRunError: a process did not start, or phones did not connect.
    """
    count, nobody = len(read_fleet(file)), directory / "nobody.jsonl"
    write_fleet(nobody, [])
    async with _running(nobody, 1, directory / "nobody", port) as none:
        empty = sum(rss_bytes(process.pid) for process in none.processes)
    async with _running(file, shards, directory / "phones", port) as phones:
        control, patience = phones.control, patience_for(count)
        await connect_all(control, patience)
        took = time.monotonic() - phones.began_s
        await confirm_all(control, patience)
        yield Fleet(
            control=control,
            pids=[process.pid for process in phones.processes],
            count=count,
            connect_s=took,
            empty_rss_bytes=empty * shards,
        )


def write_spread(file: Path, lines: Sequence[FleetLine], shards: int) -> None:
    """Write a fleet's file whose neighbours come to be in different processes.

    Decisions go from phone to phone, so that all processes are busy at any time.
    """
    write_fleet(file, (line for number in range(shards) for line in lines[number::shards]))


@asynccontextmanager
async def _running(file: Path, shards: int, directory: Path, port: int) -> AsyncIterator[RunningPhones]:
    await asyncio.to_thread(directory.mkdir, exist_ok=True)
    knocking = Knocking(connects_per_s=CONNECTS_PER_S * shards)
    async with phones_running(file, directory, BrokerAddress(port=port), knocking, shards=shards) as phones:
        yield phones
