"""What is measured: a real broker, bridge and fleet, each a process of its own, or more."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from lock_protocol.imei import Imei
from paylatch.bench.enrolment import enrol_in
from paylatch.bench.gauges import rss_bytes
from paylatch.bench.phones import Fleet, fleet_of
from paylatch.bench.progress import Progress
from paylatch.broker_process import MosquittoProcess
from paylatch.client import Bridge
from paylatch.demo.lender import connected
from paylatch.demo.processes import ChildProcess, running
from paylatch.demo.stage import LENDER, Files, Ports, prepare
from paylatch.ports import LOOPBACK, free_ports
from paylatch.steps import Steps

_METRICS_TIMEOUT_S = 60.0
"""A bridge that is overloaded is what is measured, and answers late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is, and listens."""

    files: Files
    ports: Ports
    database: str = field(repr=False)
    key: str = field(repr=False)
    """The lender's API key."""

    @property
    def url(self) -> str:
        """The bridge's address."""
        return f"http://{LOOPBACK}:{self.ports.http}"


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


async def new_site(files: Files, database: str) -> Site:
    """Make keys, settings and the lender, in an empty directory and an empty database."""
    ports = Ports(**dict(zip(("phones", "services", "http"), free_ports(3), strict=True)))
    key = await prepare(files, database, ports, {"bridge": secrets.token_urlsafe(24)})
    return Site(files=files, ports=ports, database=database, key=key)


@asynccontextmanager
async def broker_of(site: Site) -> AsyncIterator[MosquittoProcess]:
    """Give the broker."""
    async with AsyncExitStack() as stack:
        broker = MosquittoProcess(site.files.broker.directory, site.ports.phones, site.ports.services)
        await asyncio.to_thread(stack.enter_context, broker)
        yield broker


@asynccontextmanager
async def system_of(
    site: Site, broker: MosquittoProcess, imeis: Sequence[Imei], shards: int, steps: Steps
) -> AsyncIterator[System]:
    """Give a bridge and its fleet; every phone is connected, open, and has proven it.

    Args:
        site: nothing runs there but the broker.
        broker: it.
        imeis: the phones.
        shards: over how many processes they are spread.
        steps: show what happens.

    Raises:
        BenchError, DemoError: something did not start, or phones did not connect.
    """
    steps.step(f"enrolling {len(imeis):,} phones")
    lines = await enrol_in(site.database, site.files.keys, LENDER, imeis)
    async with AsyncExitStack() as stack:
        steps.step("starting the bridge")
        arguments = ["bridge", "run", "--config", str(site.files.bridge_settings)]
        process = await stack.enter_async_context(running("bridge", arguments, site.files.log("bridge")))
        bridge = await stack.enter_async_context(connected(site.url, site.key))
        await process.wait_until(bridge.is_ready)
        http = httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=_METRICS_TIMEOUT_S)
        progress = Progress(await stack.enter_async_context(http))
        await progress.until_idle()
        steps.step(f"connecting {len(imeis):,} phones")
        fleet = await stack.enter_async_context(fleet_of(lines, shards, site.files.directory, site.ports.phones))
        # A phone's first state is proven by its first report, which follows the answer to its hello.
        await progress.until_finished(len(imeis))
        yield System(broker=broker, process=process, bridge=bridge, progress=progress, fleet=fleet)
