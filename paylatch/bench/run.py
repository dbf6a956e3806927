"""One run of the benchmark, from an empty directory to its figures."""

import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker_bridge.adapters.store.store import SqlStore
from device_sim.identities import simulated_imei
from paylatch.bench.audit import Audit, audit
from paylatch.bench.ceiling import Ceiling
from paylatch.bench.gauges import require_proc
from paylatch.bench.lender import Lender
from paylatch.bench.options import Options
from paylatch.bench.phones import write_spread
from paylatch.bench.plan import Book
from paylatch.bench.result import Result, UnlockMs
from paylatch.bench.stages import Stages, measure_stages
from paylatch.bench.system import System, system_of
from paylatch.bench.throughput import Throughput, compared, measure_throughput
from paylatch.bench.unlocks import Unlocks, measure_unlocks
from paylatch.latency import Latency
from paylatch.local.broker_process import mosquitto_version
from paylatch.local.database import database_of
from paylatch.local.enrolment import enrol_in
from paylatch.local.files import Files, directory_of
from paylatch.local.open_files import require_files
from paylatch.local.processes import output_of
from paylatch.local.site import LENDER, Site, broker_running, new_site
from paylatch.machine import machine
from paylatch.steps import Steps

_BEFORE = timedelta(hours=12)
"""The first decision's time: a run makes one a millisecond, and none may lie ahead of the bridge's clock."""
_STAGED_PHONES, _OTHER_PHONES = 1_000, 500_000
_FEWEST_TRIPS, _MOST_TRIPS = 2_000, 30_000
_SHOWN_FAULTS = 20


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


async def run(options: Options, steps: Steps) -> Result:
    """Measure everything.

    Args:
        options: of what size.
        steps: show what happens.

    Raises:
        LocalRunUsageError: it cannot begin with these options.
        BenchError, LocalRunError, StoreUnavailableError, PaylatchError, FleetControlError: it cannot be
            measured; the message says why.
    """
    started = time.monotonic()
    require_proc()
    require_files(options.phones)
    imeis = [simulated_imei(number) for number in range(options.phones)]
    async with (
        directory_of(options.keep) as files,
        database_of(options.database, files.bridge_database) as database,
    ):
        site = await new_site(files, database)
        async with broker_running(site) as broker:
            steps.step("measuring each stage by itself")
            stages = await stages_of(site, options.phones)
            # Before and after, as the machine may be shared: what it can do changes meanwhile.
            steps.step("measuring the ceiling")
            ceilings = [await ceiling_of(files, options.phones, options.decisions, stages.state_bytes)]
            steps.step(f"enrolling {options.phones:,} phones")
            lines = await enrol_in(site.database, files.keys, LENDER, imeis)
            write_spread(files.fleet_phones, lines, options.shards)
            async with system_of(site, broker, options.shards, steps) as system:
                found = await _measure(options, system, Book("bench", imeis, datetime.now(UTC) - _BEFORE), steps)
        steps.step("measuring the ceiling again")
        ceilings.append(await ceiling_of(files, options.phones, options.decisions, stages.state_bytes))
    return _result(options, found, ceilings, stages, time.monotonic() - started)


async def stages_of(site: Site, phones: int) -> Stages:
    """Measure each stage by itself, on a site where the broker runs and no phone is enrolled yet.

    Args:
        site: it.
        phones: how many will be; this takes others, a thousand at most.
    """
    database = site.database
    if database.startswith("sqlite"):
        # One of its own costs nothing, and the bridge that is measured begins with an empty one.
        database = f"sqlite:///{site.files.directory / 'stages.db'}"
        async with SqlStore(database) as store:
            await store.lenders.add(LENDER, secrets.token_bytes(32), int(time.time()))
    imeis = [simulated_imei(_OTHER_PHONES + number) for number in range(min(phones, _STAGED_PHONES))]
    return await measure_stages(database, site.files, site.ports, LENDER, imeis)


async def ceiling_of(files: Files, phones: int, decisions: int, state_bytes: int) -> Ceiling:
    """Measure what this machine can do at best, with so many phones.

    Args:
        files: its log is among them.
        phones: how many are connected.
        decisions: about how many round trips are made.
        state_bytes: how large a signed state is.
    """
    trips = min(max(decisions, _FEWEST_TRIPS), _MOST_TRIPS)
    arguments = {"--phones": phones, "--trips": trips, "--state-bytes": state_bytes}
    flags = [str(part) for pair in arguments.items() for part in pair]
    # A process of its own, as the bridge has one: this one has an event loop already, and another kind of it.
    return Ceiling(**json.loads(await output_of(flags, files.log("ceiling"), module="paylatch.bench.ceiling")))


async def _measure(options: Options, system: System, book: Book, steps: Steps) -> Measured:
    phones, rss = system.fleet.control, system.rss_per_phone
    # A phone's first state is proven by its first report, which follows the answer to its hello.
    await system.progress.until_finished(system.fleet.count)
    lender = Lender(bridge=system.bridge, progress=system.progress, start=await system.progress.until_idle())
    steps.step("locking every second phone")
    await lender.send(book.alternate())
    await lender.proven()
    steps.step(f"importing {options.decisions:,} decisions")
    throughput = await measure_throughput(
        lender,
        book.rounds(options.decisions),
        len(book.imeis),
        system.pids,
        lambda proven: steps.moved(f"importing {options.decisions:,} decisions, {proven:,} of them proven"),
    )
    steps.step("paying for phones one by one, then while locks are queued")
    unlocks = await measure_unlocks(lender, book, phones, options.decisions)
    steps.step("auditing every phone")
    return Measured(
        throughput=throughput,
        unlocks=unlocks,
        audit=await audit(lender, phones, book.levels),
        connect_s=system.fleet.connect_s,
        rss_per_phone=rss,
        rss_per_phone_after=system.rss_per_phone,
        bridge_rss=system.bridge_rss,
    )


def _result(options: Options, found: Measured, ceilings: list[Ceiling], stages: Stages, wall_s: float) -> Result:
    throughput, unlocks = found.throughput, found.unlocks
    beside = compared(throughput, ceilings)
    return Result(
        phones=options.phones,
        decisions=options.decisions,
        round_trips_per_s=round(throughput.per_s, 1),
        ceiling_per_s=beside.ceiling_per_s,
        ratio=round(beside.ratio, 3),
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
        cpu_us={name: round(us, 1) for name, us in throughput.cpu_us.items()},
        ceiling_cpu_us=beside.ceiling_cpu_us,
        cpu_ratio=round(beside.cpu_ratio, 3),
        ceilings_per_s=tuple(one.ceiling_per_s for one in ceilings),
        state_bytes=stages.state_bytes,
        rss_per_phone_after_bytes=found.rss_per_phone_after,
        shards=options.shards,
        database=(options.database or "sqlite").partition(":")[0],
        machine={"date": datetime.now(UTC).date().isoformat(), **machine(), "mosquitto": mosquitto_version()},
        wall_s=round(wall_s, 1),
        faults=tuple(found.audit.faults[:_SHOWN_FAULTS]),
    )
