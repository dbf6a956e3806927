"""One run of the benchmark, from an empty directory to its figures."""

import json
import os
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from broker_bridge.adapters.store.store import SqlStore
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from paylatch.bench.audit import Audit, audit
from paylatch.bench.ceiling import Ceiling
from paylatch.bench.enrolment import enrol_in
from paylatch.bench.gauges import require_proc, rss_bytes
from paylatch.bench.limits import raise_open_files
from paylatch.bench.machine import machine
from paylatch.bench.options import Options
from paylatch.bench.plan import Book
from paylatch.bench.progress import Counts, Progress
from paylatch.bench.result import Result, UnlockMs
from paylatch.bench.shards import Fleet, fleet_of
from paylatch.bench.stages import Stages, measure_stages
from paylatch.bench.throughput import Importer, Throughput, measure_throughput
from paylatch.bench.unlocks import Unlocks, measure_unlocks
from paylatch.broker_process import MosquittoProcess
from paylatch.client import Bridge
from paylatch.demo.lender import connected
from paylatch.demo.processes import ChildProcess, output_of, running
from paylatch.demo.result import Latency
from paylatch.demo.stage import LENDER, Files, Ports, directory_of, prepare, started_broker
from paylatch.ports import LOOPBACK, free_ports

_BEFORE = timedelta(hours=12)
_STAGED_PHONES, _OTHER_PHONES = 1_000, 500_000
_FEWEST_TRIPS, _MOST_TRIPS = 2_000, 30_000

Step = Callable[[str], object]
"""Shows what is being done from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is, and listens."""

    files: Files
    ports: Ports
    database: str
    key: str = field(repr=False)
    """The lender's API key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Everything that runs and is measured."""

    broker: MosquittoProcess
    process: ChildProcess
    """The bridge's."""
    bridge: Bridge
    progress: Progress
    fleet: Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found while the system ran."""

    throughput: Throughput
    unlocks: Unlocks
    audit: Audit
    connect_s: float
    rss_per_phone: int
    rss_per_phone_after: int
    bridge_rss: int


async def run(options: Options, step: Step) -> Result:
    """Measure everything.

    Args:
        options: of what size.
        step: shows what happens.

    Raises:
        BenchError, DemoError, BrokerError, StoreUnavailableError, PaylatchError, FleetControlError: it cannot be
            measured; the message says why.
    """
    started = time.monotonic()
    require_proc()
    raise_open_files(options.phones)
    imeis = [simulated_imei(number) for number in range(options.phones)]
    async with directory_of(options.keep) as files:
        site = await _site(options, files)
        async with _broker(site) as broker:
            step("measuring each stage by itself")
            stages = await _stages(options, site)
            step("measuring the ceiling")
            ceilings = [await _ceiling(options, files, stages.state_bytes)]
            found = await _measured(options, site, broker, imeis, step)
        step("measuring the ceiling again")
        ceilings.append(await _ceiling(options, files, stages.state_bytes))
    return _result(options, found, ceilings, stages, time.monotonic() - started)


async def _site(options: Options, files: Files) -> Site:
    ports = Ports(**dict(zip(("phones", "services", "http"), free_ports(3), strict=True)))
    database = options.database or f"sqlite:///{files.bridge_database}"
    key = await prepare(files, database, ports, {"bridge": secrets.token_urlsafe(24)})
    return Site(files=files, ports=ports, database=database, key=key)


@asynccontextmanager
async def _broker(site: Site) -> AsyncIterator[MosquittoProcess]:
    async with AsyncExitStack() as stack:
        yield await started_broker(stack, site.files, site.ports)


async def _stages(options: Options, site: Site) -> Stages:
    database = options.database or f"sqlite:///{site.files.directory / 'stages.db'}"
    if options.database is None:
        # One of its own costs nothing, and the bridge that is measured begins with an empty one.
        async with SqlStore(database) as store:
            await store.add_lender(LENDER, secrets.token_bytes(32), int(time.time()))
    imeis = [simulated_imei(_OTHER_PHONES + number) for number in range(min(options.phones, _STAGED_PHONES))]
    return await measure_stages(database, site.files, site.ports, LENDER, imeis)


async def _ceiling(options: Options, files: Files, state_bytes: int) -> Ceiling:
    trips = min(max(options.decisions, _FEWEST_TRIPS), _MOST_TRIPS)
    arguments = {"--phones": options.phones, "--trips": trips, "--state-bytes": state_bytes}
    flags = [str(part) for pair in arguments.items() for part in pair]
    # A process of its own, as the bridge has one: this one has an event loop already, and another kind of it.
    return Ceiling(**json.loads(await output_of(flags, files.log("ceiling"), module="paylatch.bench.ceiling")))


async def _measured(options: Options, site: Site, broker: MosquittoProcess, imeis: list[Imei], step: Step) -> Measured:
    book = Book(imeis, datetime.now(UTC) - _BEFORE)
    async with _system(options, site, broker, imeis, step) as system:
        phones = system.fleet.phones
        rss = phones.rss_bytes
        importer = Importer(system.bridge, system.progress, [])
        before = await system.progress.until_idle()
        step("locking every second phone")
        await importer.send_and_prove([book.locked(imei) for imei in imeis[1::2]])
        step(f"importing {options.decisions} decisions")
        throughput = await measure_throughput(
            importer,
            book.rounds(options.decisions),
            len(imeis),
            {
                "bridge": [system.process.pid],
                "broker": [system.broker.pid],
                "fleet": phones.pids,
                "client": [os.getpid()],
            },
            lambda proven: step(f"importing {options.decisions} decisions, {proven} proven"),
        )
        step("paying for phones one by one, then while locks are queued")
        unlocks = await measure_unlocks(importer, book, phones, options.decisions)
        step("auditing every phone")
        after = (await system.progress.until_idle()).since(before)
        found = await audit(importer, phones, book.levels, _unfinished(after))
        return Measured(
            throughput=throughput,
            unlocks=unlocks,
            audit=found,
            connect_s=system.fleet.connect_s,
            rss_per_phone=(rss - system.fleet.empty_rss_bytes) // len(imeis),
            rss_per_phone_after=(phones.rss_bytes - system.fleet.empty_rss_bytes) // len(imeis),
            bridge_rss=rss_bytes(system.process.pid),
        )


def _unfinished(counts: Counts) -> int:
    return max(0, counts.by_status["queued"] - counts.finished)


@asynccontextmanager
async def _system(
    options: Options, site: Site, broker: MosquittoProcess, imeis: list[Imei], step: Step
) -> AsyncIterator[System]:
    files, ports = site.files, site.ports
    step(f"enrolling {len(imeis)} phones")
    lines = await enrol_in(site.database, files.keys, LENDER, imeis)
    async with AsyncExitStack() as stack:
        step("starting the bridge")
        url = f"http://{LOOPBACK}:{ports.http}"
        arguments = ["bridge", "run", "--config", str(files.bridge_settings)]
        process = await stack.enter_async_context(running("bridge", arguments, files.log("bridge")))
        bridge = await stack.enter_async_context(connected(url, site.key))
        await process.wait_until(bridge.is_ready)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=60))
        progress = Progress(http)
        at_start = await progress.until_idle()
        step(f"connecting {len(imeis)} phones")
        fleet = await stack.enter_async_context(fleet_of(lines, options.shards, files.directory, ports.phones))
        # A phone's first states are proven by its first report, which follows the answer to its hello.
        await progress.until_finished(at_start, len(imeis))
        yield System(broker=broker, process=process, bridge=bridge, progress=progress, fleet=fleet)


def _result(options: Options, found: Measured, ceilings: list[Ceiling], stages: Stages, wall_s: float) -> Result:
    throughput, unlocks = found.throughput, found.unlocks
    per_s, ceiling = throughput.succeeded / throughput.seconds, statistics.mean(one.ceiling_per_s for one in ceilings)
    cpu_us = {name: round(s / throughput.succeeded * 1e6, 1) for name, s in throughput.cpu_s.items()}
    ceiling_cpu_us = statistics.mean(one.cpu_us for one in ceilings)
    return Result(
        phones=options.phones,
        decisions=options.decisions,
        round_trips_per_s=round(per_s, 1),
        ceiling_per_s=ceiling,
        ratio=round(per_s / ceiling, 3),
        stages_us=stages.us,
        unlock_ms=UnlockMs(
            idle=Latency.of(unlocks.idle),
            during_locks=Latency.of(unlocks.during_locks),
            payments_idle=len(unlocks.idle),
            payments_during_locks=len(unlocks.during_locks),
            locks=unlocks.locks,
        ),
        connect_per_s=round(options.phones / found.connect_s, 1),
        rss_per_phone_bytes=found.rss_per_phone,
        bridge_rss_mb=round(found.bridge_rss / 2**20, 1),
        lost=found.audit.lost,
        superseded=throughput.superseded,
        seconds=round(throughput.seconds, 3),
        cpu_us=cpu_us,
        ceiling_cpu_us=round(ceiling_cpu_us, 1),
        cpu_ratio=round(ceiling_cpu_us / sum(cpu_us.values()), 3),
        ceilings_per_s=tuple(one.ceiling_per_s for one in ceilings),
        state_bytes=stages.state_bytes,
        rss_per_phone_after_bytes=found.rss_per_phone_after,
        shards=options.shards,
        database=(options.database or "sqlite").partition(":")[0],
        machine=machine(),
        wall_s=round(wall_s, 1),
        faults=tuple(found.audit.faults[:20]),
    )
