"""What is measured: a real broker, bridge and fleet, each a process of its own, or more."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from paylatch.bench.gauges import rss_bytes
from paylatch.bench.phones import Fleet, fleet_of
from paylatch.bench.progress import Progress
from paylatch.client import Bridge
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.processes import ChildProcess
from paylatch.local.site import Site, bridge_running
from paylatch.steps import Steps

_METRICS_TIMEOUT_S = 60.0
"""A bridge that is overloaded is what is measured, and answers late."""
_PASSWORDS_S = 120.0
"""Those of a million phones take some ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Everything that runs."""

    broker: MosquittoProcess
    process: ChildProcess
    """The bridge's."""
    bridge: Bridge
    """As its lender has it."""
    progress: Progress
    fleet: Fleet

    @property
    def rss_per_phone(self) -> int:
        """Bytes of the fleet's memory that each phone takes."""
        fleet = self.fleet
        return (fleet.rss_bytes - fleet.empty_rss_bytes) // fleet.count

    @property
    def bridge_rss(self) -> int:
        """Bytes of the bridge's memory."""
        return rss_bytes(self.process.pid)

    @property
    def pids(self) -> dict[str, list[int]]:
        """Everything's processes, this one among them: it sends the decisions."""
        return {
            "bridge": [self.process.pid],
            "broker": [self.broker.pid],
            "fleet": [*self.fleet.pids],
            "client": [os.getpid()],
        }


@asynccontextmanager
async def system_of(site: Site, broker: MosquittoProcess, shards: int, steps: Steps) -> AsyncIterator[System]:
    """Give a bridge and its fleet; every phone is connected and confirmed.

    Args:
        site: nothing runs there but the broker; the phones are those of its fleet's file, and are enrolled.
        broker: it.
        shards: over how many processes they are spread.
        steps: show what happens.

    Raises:
        LocalRunError: something did not start, or phones did not connect.
    """
    async with AsyncExitStack() as stack:
        steps.step("starting the bridge")
        process, bridge, progress = await stack.enter_async_context(bridge_of(site))
        await progress.until_idle()
        steps.step("connecting the phones")
        fleet = fleet_of(site.files.fleet_phones, shards, site.files.directory, site.ports.phones)
        yield System(
            broker=broker,
            process=process,
            bridge=bridge,
            progress=progress,
            fleet=await stack.enter_async_context(fleet),
        )


@asynccontextmanager
async def bridge_of(site: Site) -> AsyncIterator[tuple[ChildProcess, Bridge, Progress]]:
    """Give a bridge that is ready for lenders and has told the broker which phones there are.

    Raises:
        LocalRunError: it did not start, or did not write the phones' passwords.
    """
    before = _inode_of(site.files.broker.phones_passwords)

    async def replaced() -> bool:
        return _inode_of(site.files.broker.phones_passwords) != before

    http = httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=_METRICS_TIMEOUT_S)
    async with bridge_running(site) as (process, bridge), http:
        await process.wait_until(replaced, _PASSWORDS_S)
        yield process, bridge, Progress(http)


def _inode_of(file: Path) -> int:
    """Return what changes when a file is replaced."""
    return file.stat().st_ino
