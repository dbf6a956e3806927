"""What importing costs: all decisions of the repayment histories, by `paylatch import`, through a real bridge.

    python benchmarks/imports.py                                   SQLite
    python benchmarks/imports.py --kill                            bridge and client are killed half-way, and run again
    python benchmarks/imports.py --database postgresql://…         another database, which has to be empty

Prints JSON. At the end every row has exactly one result, and every phone the level that the oracle requires, or this
fails. The stages are measured after that in this process, with phones and a lender of their own, on the same database:
one row's reading, parsing and validating, deciding and signing, and the rest of its way into a durable commit, in
microseconds. Machines differ and are shared, so compare figures of one run with one another.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import structlog

from broker_bridge.adapters.imports.desk import import_worker
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.metrics.metrics import Metrics
from broker_bridge.adapters.mqtt.passwords import SALT_BYTES, hash_password
from broker_bridge.adapters.policies.profiles import profile
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.adapters.signing.keys import FileSigner, init_development_keys
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.import_rows import Desk
from broker_bridge.app.import_worker import DAY_S
from broker_bridge.app.policies import Policies
from broker_bridge.app.ports import Job
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.domain.imports import Format, Upload
from broker_bridge.main import SystemClock
from device_sim.identities import simulated_imei
from lock_protocol.keys import SigningKey
from lock_protocol.messages import LenderId
from paylatch.broker_config import write_instance
from paylatch.broker_process import MosquittoProcess
from paylatch.oracle import required_levels
from paylatch.ports import LOOPBACK, free_ports
from paylatch.resources import HISTORIES

MONTHS = 6
LENDER, STAGES_LENDER = LenderId("bench"), LenderId("bench-stages")
OTHER_PHONES = 500_000
CONNECTIONS = 64
ENROLLED_OVER_HTTP = 500
"""So many are enrolled as lenders do it, which is measured; the others with many in a commit, as it is much faster."""
POLL_S = 0.02
PATIENCE_S = 900

T = TypeVar("T")


@dataclass
class Site:
    """A bridge's files, and how it and its lender's commands are run."""

    directory: Path
    database: str
    broker: MosquittoProcess
    secret: str
    port: int = field(default_factory=lambda: free_ports(1)[0])

    @property
    def url(self) -> str:
        """Where the bridge listens."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def key_file(self) -> Path:
        """The lender's API key."""
        return self.directory / "lender.key"

    def install(self) -> None:
        """Make keys, settings and the lender."""
        init_development_keys(self.directory / "keys", LENDER, now=int(time.time()), hosts=["pay.example"])
        (self.directory / "bridge.secret").write_text(self.secret)
        settings = f"""
development = true
policy = "replay"
database = {json.dumps(self.database)}
keys = "{self.directory}/keys"
[http]
port = {self.port}
[broker]
port = {self.broker.services_port}
password_file = "{self.directory}/bridge.secret"
phones_port = {self.broker.phones_port}
phones_passwords = "{self.broker.files.phones_passwords}"
pid_file = "{self.broker.files.pid}"
[imports]
directory = "{self.directory}/imports"
"""
        (self.directory / "bridge.toml").write_text(settings)
        self.key_file.write_text(
            self.paylatch("lender", "add", LENDER, "--config", str(self.directory / "bridge.toml"))
        )

    def paylatch(self, *arguments: str) -> str:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "paylatch", *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        log = (self.directory / "commands.log").open("a")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "paylatch", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )

    @contextmanager
    def bridge(self) -> "Iterator[subprocess.Popen[str]]":
        """Run the bridge; it may be killed meanwhile."""
        process = self.start("bridge", "run", "--config", str(self.directory / "bridge.toml"))
        try:
            until(lambda: self.get("/readyz").status_code == httpx.codes.OK)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Ask the bridge."""
        headers = {"Authorization": f"Bearer {self.key_file.read_text().strip()}"}
        return httpx.get(self.url + path, params=query, headers=headers, timeout=60, trust_env=False)

    def start_import(self, file: Path) -> "subprocess.Popen[str]":
        """Start the import."""
        more = ("--url", self.url, "--key-file", str(self.key_file), "--json", "--results", f"{file}.results.ndjson")
        return self.start("import", str(file), *more)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; a bridge that does not listen yet is asked again."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            if is_so():
                return
        time.sleep(POLL_S)
    raise TimeoutError("the bridge did not come so far")


async def enrol(site: Site, phones: int) -> float:
    """Enrol phones one by one over HTTP; return the seconds it took."""
    key = base64.b64encode(SigningKey.from_seed(b"b" * 32).public).decode()
    numbers = iter(range(phones))
    headers = {"Authorization": f"Bearer {site.key_file.read_text().strip()}"}
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    start = time.perf_counter()
    async with httpx.AsyncClient(
        base_url=site.url, headers=headers, timeout=60, limits=limits, trust_env=False
    ) as http:

        async def one_after_the_other() -> None:
            for number in numbers:
                body = {"imei": simulated_imei(number), "loan_id": f"l{number}", "device_key": key, "consent": "c"}
                (await http.post("/v1/phones", json=body)).raise_for_status()

        await asyncio.gather(*(one_after_the_other() for _ in range(CONNECTIONS)))
    return time.perf_counter() - start


def run_import(site: Site, file: Path, rows: int, *, kill: bool) -> dict[str, Any]:
    """Import the file; return the import as it ended, with the seconds from the first command to the last answer."""
    start = time.perf_counter()
    if kill:
        with site.bridge() as bridge:
            client = site.start_import(file)
            until(lambda: any(one["done"] >= rows / 2 for one in site.get("/v1/imports").json()["imports"]))
            bridge.kill()
            client.kill()
            client.communicate()
    with site.bridge():
        began = time.perf_counter()
        client = site.start_import(file)
        output, _ = client.communicate()
        end = time.perf_counter()
        if client.returncode:
            raise RuntimeError(f"paylatch import ended with {client.returncode}: {output}")
        check_phones(site)
    return json.loads(output) | {"seconds": end - began, "seconds_with_restarts": end - start}


def check_rows(file: Path, one: dict[str, Any], rows: int) -> dict[str, int]:
    """Refuse results that do not account for each row once; return how many rows had which effect."""
    effects: defaultdict[str, int] = defaultdict(int)
    seen = []
    with Path(f"{file}.results.ndjson").open() as results:
        for line in results:
            result = json.loads(line)
            seen.append(result["row"])
            effects["repeated" if result["repeated"] else result["effect"]] += 1
    if seen != list(range(1, rows + 1)) or one["done"] != rows or one["refused"]:
        raise RuntimeError(f"rows are not accounted for: {len(seen)} results, {one}")
    return dict(effects)


def check_phones(site: Site) -> None:
    """Refuse phones whose level is not what the oracle requires at the end of the last month."""
    found, token = dict[str, str](), ""
    while token is not None:
        page = site.get("/v1/phones", page_size=500, page_token=token).json()
        found |= {phone["imei"]: phone["desired"]["level"] for phone in page["phones"]}
        token = page["next_page_token"]
    required = {}
    for row, _, _, level in required_levels(HISTORIES, len(found), MONTHS):
        required[simulated_imei(row - 1)] = level
    if found != required:
        differ = [imei for imei in required if found.get(imei) != required[imei]]
        raise RuntimeError(f"{len(differ)} phones are not what their history requires, the first is {differ[0]}")


# --- stages ---


@dataclass
class Watch:
    """Adds up the seconds of each stage."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, stage: str, call: Callable[..., T]) -> Callable[..., T]:
        """Return a function that does the same and is timed: its own thread's time, not that of others meanwhile."""

        def measured(*arguments: Any) -> T:
            start = time.thread_time()
            try:
                return call(*arguments)
            finally:
                self.seconds[stage] += time.thread_time() - start

        return measured


@dataclass(frozen=True)
class TimedJob:
    """A job whose run is timed."""

    job: Job[Any]
    watch: Watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.job, name)

    def run(self, tx: Any) -> Any:
        """Run the job."""
        return self.watch.timed("decide_and_sign", self.job.run)(tx)


@dataclass(frozen=True)
class TimedSpool:
    """A spool whose reading is timed."""

    spool: DirectorySpool
    watch: Watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spool, name)

    def rows(self, *which: Any) -> Iterator[Any]:
        """Yield the rows."""
        rows = self.spool.rows(*which)
        step = self.watch.timed("read", lambda: next(rows, None))
        return iter(step, None)


@dataclass(frozen=True)
class TimedImports:
    """Imports whose recording of a group is timed."""

    imports: Any
    watch: Watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.imports, name)

    async def add(self, *arguments: Any) -> None:
        """Record a group."""
        start = time.perf_counter()
        await self.imports.add(*arguments)
        self.watch.seconds["results"] += time.perf_counter() - start


async def stages(database: str, directory: Path, file: Path, phones: int) -> dict[str, float]:
    """Return microseconds a row of each stage, from an import in this process."""
    keys, watch = directory / "stages-keys", Watch()
    init_development_keys(keys, STAGES_LENDER, now=int(time.time()), hosts=["pay.example"])
    reconsider = replaying(keys)
    async with SqlStore(database) as store:
        await store.add_lender(STAGES_LENDER, secrets.token_bytes(32), reconsider.clock.now())
        await enrol_together(store, reconsider, STAGES_LENDER, range(OTHER_PHONES, OTHER_PHONES + phones))
        limits = {"max_bytes": 1 << 30, "max_rows": 1_000_000, "idle_s": 60.0, "upload_s": 600.0}
        spool = DirectorySpool(directory=directory / "stages", **limits)  # type: ignore[arg-type]  # whole bytes and rows, and seconds
        worker = import_worker(
            store=store,
            imports=TimedImports(store.imports, watch),  # type: ignore[arg-type]  # it is one, by __getattr__
            spool=TimedSpool(spool, watch),  # type: ignore[arg-type]  # the same
            reconsider=reconsider,
            meters=Metrics(SystemClock()).meters,
            log=structlog.get_logger(),
            keep_s=DAY_S,
        )
        worker.desk = timed_desk(worker.desk, watch)
        running = asyncio.create_task(worker.run())
        upload = Upload(lender=STAGES_LENDER, idempotency_key="k", format=Format.CSV, dry_run=False)
        start = time.perf_counter()
        taken = await worker.intake.take(upload, pieces(file))
        one = taken
        while not one.state.is_final:
            await asyncio.sleep(POLL_S)
            one = await store.imports.one(STAGES_LENDER, taken.import_id) or one
        total = time.perf_counter() - start
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    watch.seconds["commit_and_all_else"] = total - sum(watch.seconds.values())
    watch.seconds["total"] = total
    return {name: round(seconds / one.rows * 1e6, 1) for name, seconds in watch.seconds.items()}


def timed_desk(desk: Desk, watch: Watch) -> Desk:
    """Return a desk whose work is timed."""
    return replace(
        desk,
        read=watch.timed("parse_and_validate", desk.read),
        decide=lambda decision: TimedJob(desk.decide(decision), watch),
    )


def replaying(keys: Path) -> Reconsider:
    """Return what judges phones as the bridge of this benchmark does."""
    clock = SystemClock()
    queue = Queue(FileSigner(keys, development=True), SigningClock(clock), clock)
    return Reconsider(Policies(profile("replay"), read_policy), queue, clock)


async def enrol_together(store: SqlStore, reconsider: Reconsider, lender: LenderId, numbers: range) -> None:
    """Enrol phones with many in a commit."""
    device_key = SigningKey.from_seed(b"b" * 32).public
    credential = hash_password(secrets.token_urlsafe(24), os.urandom(SALT_BYTES))
    for first in range(0, len(numbers), 1000):
        jobs = (
            Enrol(
                lender=lender,
                imei=simulated_imei(number),
                loan_id=f"l{number}",
                device_key=device_key,
                consent="c",
                credential=credential,
                evidence={},
                time_zone="",
                reconsider=reconsider,
            )
            for number in numbers[first : first + 1000]
        )
        await asyncio.gather(*map(store.commit, jobs))


async def enrol_the_others(site: Site, numbers: range) -> None:
    """Enrol phones of the bridge's lender while the bridge does not run."""
    async with SqlStore(site.database) as store:
        await enrol_together(store, replaying(site.directory / "keys"), LENDER, numbers)


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """Yield a file as one piece."""
    yield await asyncio.to_thread(path.read_bytes)


def other_phones(file: Path, phones: int) -> Path:
    """Return the same file about the stages' phones."""
    names = {simulated_imei(number): simulated_imei(OTHER_PHONES + number) for number in range(phones)}
    header, *rows = file.read_text().splitlines()
    shifted = [",".join(names.get(cell, cell) for cell in row.split(",")) for row in rows]
    target = file.with_name("other-phones.csv")
    target.write_text("\n".join([header, *shifted, ""]))
    return target


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Do everything and return the figures."""
    phones_port, services_port = free_ports(2)
    secret = secrets.token_urlsafe(24)
    services = {"bridge": hash_password(secret, os.urandom(SALT_BYTES))}
    write_instance(directory / "broker", phones_port=phones_port, services_port=services_port, services=services)
    file = directory / "decisions.csv"
    with MosquittoProcess(directory / "broker", phones_port, services_port) as broker:
        database = options.database or f"sqlite:///{directory / 'paylatch.db'}"
        site = Site(directory, database, broker, secret)
        site.install()
        site.paylatch("histories", "decisions", "--phones", str(options.phones), "--out", str(file))
        rows = len(file.read_text().splitlines()) - 1
        over_http = min(ENROLLED_OVER_HTTP, options.phones)
        with site.bridge():
            enrolled_s = asyncio.run(enrol(site, over_http))
        asyncio.run(enrol_the_others(site, range(over_http, options.phones)))
        one = run_import(site, file, rows, kill=options.kill)
        effects = check_rows(file, one, rows)
    per_row = asyncio.run(stages(database, directory, other_phones(file, options.phones), options.phones))
    return {
        "database": database.partition(":")[0],
        "killed": options.kill,
        "phones": options.phones,
        "enrolled_over_http_per_s": round(over_http / enrolled_s),
        "rows": rows,
        "effects": effects,
        "seconds": round(one["seconds"], 2),
        "seconds_with_restarts": round(one["seconds_with_restarts"], 2),
        "rows_per_s": None if options.kill else round(rows / one["seconds"]),
        "us_per_row": per_row,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=20_000, metavar="N", help="how many accounts, from the first")
    parser.add_argument("--database", metavar="URL", help="an empty database; default: SQLite in a temporary directory")
    parser.add_argument("--kill", action="store_true", help="SIGKILL bridge and client half-way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="paylatch-bench-") as directory:
        print(json.dumps(measure(options, Path(directory)), indent=2))


if __name__ == "__main__":
    main()
