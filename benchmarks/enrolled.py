"""What more enrolled phones cost, when as many are connected and as much is decided as before.

    python benchmarks/enrolled.py                    10,000 and 1,000,000 phones, five runs of each: JSON, a line a run
    python benchmarks/enrolled.py --directory DIR    keeps the sites there, or uses those that are there already

Each number of phones has a site of its own: a database on disk at synchronous=FULL, a broker, keys. It is prepared
once: phones are enrolled many in a commit, then a bridge publishes all their states, and as many as are asked for
connect and prove theirs; they are spread evenly over all that are enrolled. The others never connect, and their
commands have timed out. Then come the runs, one of each site in turns, each with a broker, a bridge and a fleet that
have just started on what the last run left, and with the machine's ceiling before and after. All decisions are about
phones that are connected. The last line has each site's medians, and the last site's divided by the first one's.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from benchmarks.waiting import until
from broker_bridge.adapters.signing.keys import FileSigner
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.confirm import Judge, TimeOut
from broker_bridge.app.phones_log import PhonesLog
from device_sim.identities import simulated_imei
from paylatch.bench.audit import audit
from paylatch.bench.gauges import require_proc, rss_bytes
from paylatch.bench.lender import Lender
from paylatch.bench.options import BenchError
from paylatch.bench.phones import write_spread
from paylatch.bench.plan import Book
from paylatch.bench.run import ceiling_of, stages_of
from paylatch.bench.system import System, bridge_of, system_of
from paylatch.bench.throughput import Throughput, compared, measure_throughput
from paylatch.local.enrolment import enrol_in, replaying
from paylatch.local.files import Files
from paylatch.local.open_files import require_files
from paylatch.local.processes import output_of
from paylatch.local.quiet_log import quiet_log
from paylatch.local.site import LENDER, Ports, Site, broker_running, new_site
from paylatch.steps import PlainSteps

BEFORE = timedelta(hours=12)
"""The first decision's time: a run makes one a millisecond, and none may lie ahead of the bridge's clock."""
SHARDS = 1
MIB = 2**20
COMPARED = ("ratio", "cpu_ratio", "round_trips_per_s", "ceiling_per_s", "bridge_cpu_us", "bridge_mib_after")
TOGETHER = 2000
"""Commands in a commit."""
STEPS = PlainSteps()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a site's directory says of it."""

    phones: int
    connected: int
    state_bytes: int
    """How large a signed state is."""
    newest: str
    """The time of the newest decision: those of the next run are later."""
    ports: dict[str, int]
    key: str

    @staticmethod
    def path(directory: Path) -> Path:
        """Return its file."""
        return directory / "enrolled.json"

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Return what is there."""
        return cls(**json.loads(cls.path(directory).read_text(encoding="utf-8")))

    def write(self, directory: Path) -> None:
        """Keep it, for its owner alone: the lender's API key is in it."""
        beside = self.path(directory).with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(asdict(self)), encoding="utf-8")
        beside.replace(self.path(directory))

    def site(self, directory: Path) -> Site:
        """Return the site, where nothing runs."""
        files = Files(directory)
        return Site(files=files, ports=Ports(**self.ports), database=database_of(files), api_key=self.key)


def database_of(files: Files) -> str:
    """Return the URL of a site's database."""
    return f"sqlite:///{files.bridge_database}"


def connected_of(phones: int, connected: int) -> list[int]:
    """Return the numbers of the phones that connect: evenly spread, as neighbours share the database's pages."""
    return [number * phones // connected for number in range(connected)]


async def prepared(directory: Path, phones: int, connected: int) -> Path:
    """Return the directory of a site, prepared now unless it has been before.

    Raises:
        BenchError: what is there was prepared for another number of connected phones, or not to its end.
    """
    place = directory / str(phones)
    if not Record.path(place).exists():
        if place.exists():
            raise BenchError(f"{place} was not prepared to its end: remove it, and it is prepared anew")
        place.mkdir(parents=True, mode=0o700)
        await prepare(place, phones, connected)
    elif (there := Record.read(place).connected) != connected:
        raise BenchError(f"{place} was prepared for {there} connected phones; ask for as many, or remove it")
    else:
        files = Files(place)
        async with SqlStore(f"sqlite:///{files.bridge_database}"):
            pass  # another version may have made it, and opening it brings its tables up to date
        confirm = ["bridge", "confirm-clock", "--yes", "--config", str(files.bridge_settings)]
        await output_of(confirm, files.log("clock"))  # it may have rested for weeks
    return place


async def prepare(directory: Path, phones: int, connected: int) -> None:
    """Prepare a site, and print what that took."""
    files = Files(directory)
    site = await new_site(files, database_of(files))
    async with broker_running(site):
        STEPS.step("measuring a state's size")
        state_bytes = (await stages_of(site, phones)).state_bytes
    found = await enrol(site, phones, connected) | await publish(site, phones, connected)
    STEPS.step("timing out those that never connect")
    await time_out(site)
    Record(
        phones=phones,
        connected=connected,
        state_bytes=state_bytes,
        newest=(datetime.now(UTC) - BEFORE).isoformat(),
        ports=asdict(site.ports),
        key=site.api_key,
    ).write(directory)
    print(json.dumps({"prepared": phones} | {name: round(value, 1) for name, value in found.items()}), flush=True)


async def enrol(site: Site, phones: int, connected: int) -> dict[str, float]:
    """Enrol all phones, and write the file of those that connect."""
    STEPS.step(f"enrolling {phones:,} phones")
    began = time.perf_counter()
    imeis = [simulated_imei(number) for number in range(phones)]
    lines = await enrol_in(site.database, site.files.keys, LENDER, imeis)
    write_spread(site.files.fleet_phones, [lines[number] for number in connected_of(phones, connected)], SHARDS)
    size = site.files.bridge_database.stat().st_size
    return {"enrolled_s": time.perf_counter() - began, "database_mib": size / MIB}


async def publish(site: Site, phones: int, connected: int) -> dict[str, float]:
    """Have a bridge publish all states, and another one hear of those that connect."""
    began = time.perf_counter()
    async with broker_running(site) as broker:
        async with bridge_of(site) as (process, _, progress):
            STEPS.step("publishing their states")
            # Published is not enough: what is timed out next is what the database says has been sent.
            await until(progress, lambda counts: counts.by_status.get("sent", 0) >= phones)
            took = time.perf_counter() - began
            memory = {"bridge_mib": rss_bytes(process.pid) / MIB, "broker_mib": rss_bytes(broker.pid) / MIB}
        async with system_of(site, broker, SHARDS, STEPS) as system:
            await system.progress.until_finished(connected)
    return {"published_s": took} | memory


async def time_out(site: Site) -> None:
    """Stop waiting for phones that have been sent their states and do not connect.

    The bridge does so a quarter of an hour later, 500 a second, and does other things more slowly meanwhile.
    """
    reconsider = replaying(FileSigner(site.files.keys, development=True))
    clock = reconsider.clock
    judge, soon = Judge(reconsider.queue, clock, PhonesLog(quiet_log(), clock)), clock.now() + 1
    async with SqlStore(site.database) as store:
        while silent := await store.outgoing.sent_before(soon, TOGETHER):
            await store.commits.commit(TimeOut(silent, soon, judge))


async def run(directory: Path, decisions: int) -> dict[str, Any]:
    """Make one run on a prepared site, and return what was found."""
    record = Record.read(directory)
    site, ceilings = record.site(directory), []

    async def measure_ceiling() -> None:
        STEPS.step("measuring the ceiling")
        ceilings.append(await ceiling_of(site.files, record.connected, decisions, record.state_bytes))

    await measure_ceiling()
    STEPS.step(f"starting broker and bridge with {record.phones:,} phones enrolled")
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(broker_running(site))
        system = await stack.enter_async_context(system_of(site, broker, SHARDS, STEPS))
        found, figures = await measure(record, directory, system, decisions)
    await measure_ceiling()
    return figures | asdict(compared(found, ceilings))


async def measure(record: Record, directory: Path, system: System, decisions: int) -> tuple[Throughput, dict[str, Any]]:
    """Measure round trips, audit every phone that is connected, and return both with all other figures."""
    control, progress = system.fleet.control, system.progress
    levels = {phone.imei: phone.level for phone in await control.dump()}
    # Its ids are this run's alone, as those of earlier runs are in the database.
    book = Book(secrets.token_hex(4), list(levels), datetime.fromisoformat(record.newest), levels)
    lender = Lender(bridge=system.bridge, progress=progress, start=await progress.until_idle())
    memory = {"bridge_mib_before": system.bridge_rss / MIB}
    try:
        STEPS.step("locking every second phone")
        await lender.send(book.alternate())
        await lender.proven()
        STEPS.step(f"importing {decisions:,} decisions")
        found = await measure_throughput(lender, book.rounds(decisions), len(levels), system.pids, lambda _: None)
    finally:
        Record(**asdict(record) | {"newest": book.newest.isoformat()}).write(directory)
    memory |= {"bridge_mib_after": system.bridge_rss / MIB, "broker_mib": rss_bytes(system.broker.pid) / MIB}
    STEPS.step("auditing every phone")
    lost = (await audit(lender, control, book.levels)).lost
    figures = {"phones": record.phones, "connected": len(levels), "decisions": decisions}
    rounded = {name: round(value, 1) for name, value in memory.items()}
    return found, figures | figures_of(found) | rounded | {"lost": lost}


def figures_of(found: Throughput) -> dict[str, Any]:
    """Return what was measured by the names of `paylatch bench`."""
    cpu_us = {name: round(us, 1) for name, us in found.cpu_us.items()}
    return {
        "round_trips_per_s": round(found.per_s, 1),
        "seconds": round(found.seconds, 3),
        "superseded": found.superseded,
        "cpu_us": cpu_us,
        "bridge_cpu_us": cpu_us["bridge"],
    }


def compared_sizes(runs: Sequence[dict[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """Return each size's medians, and the last one's divided by the first one's."""
    medians = {
        size: {name: statistics.median(run[name] for run in runs if run["phones"] == size) for name in COMPARED}
        for size in sizes
    }
    first, last = medians[sizes[0]], medians[sizes[-1]]
    return {
        "medians": medians,
        "last_of_first": {name: round(last[name] / first[name], 3) for name in COMPARED},
        "lost": sum(run["lost"] for run in runs),
    }


async def measure_all(directory: Path, options: argparse.Namespace) -> None:
    """Prepare what is not there, make all runs in turns, and print what was found."""
    places = [await prepared(directory, phones, options.connected) for phones in options.phones]
    runs = []
    for _ in range(options.runs):
        for place in places:
            runs.append(await run(place, options.decisions))
            print(json.dumps(runs[-1]), flush=True)
    if runs:
        print(json.dumps(compared_sizes(runs, options.phones)), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, nargs="+", default=[10_000, 1_000_000], metavar="N", help="enrolled")
    parser.add_argument("--connected", type=int, default=10_000, metavar="N", help="of these, each time")
    parser.add_argument("--decisions", type=int, default=50_000, metavar="K", help="in each run")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of each; 0 only prepares")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="where the sites are, and stay")
    options = parser.parse_args()
    if not 0 < options.connected <= min(options.phones):
        parser.error("more phones cannot be connected than are enrolled, nor fewer than one")
    require_proc()
    require_files(options.connected)
    if options.directory is not None:
        asyncio.run(measure_all(options.directory.resolve(), options))
        return
    with tempfile.TemporaryDirectory(prefix="paylatch-enrolled-") as name:
        asyncio.run(measure_all(Path(name), options))


if __name__ == "__main__":
    main()
