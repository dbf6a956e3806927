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
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from broker_bridge.adapters.signing.keys import FileSigner, init_development_keys
from broker_bridge.adapters.store.store import SqlStore
from device_sim.identities import simulated_imei
from lock_protocol.keys import SigningKey
from lock_protocol.messages import LenderId
from paylatch.bench.stopwatch import Stopwatch, import_timed
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.enrolment import enrol_in, enrol_together, replaying
from paylatch.local.files import Files
from paylatch.local.secret_file import write_secret
from paylatch.local.site import LENDER, Site, new_site
from paylatch.oracle import required_levels
from paylatch.resources import HISTORIES

MONTHS = 6
STAGES_LENDER = LenderId("bench-stages")
OTHER_PHONES = 500_000
CONNECTIONS = 64
ENROLLED_OVER_HTTP = 500
"""So many are enrolled as lenders do it, which is measured; the others with many in a commit, as it is much faster."""
POLL_S = 0.02
PATIENCE_S = 900

T = TypeVar("T")


@dataclass
class Runner:
    """Runs the bridge and its lender's commands."""

    site: Site

    @property
    def key_file(self) -> Path:
        """The lender's API key."""
        return self.site.files.directory / "lender.key"

    def paylatch(self, *arguments: str) -> str:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "paylatch", *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command."""
        log = self.site.files.log("commands").open("a")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", "paylatch", *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )

    @contextmanager
    def bridge(self) -> "Iterator[subprocess.Popen[str]]":
        """Run the bridge; it may be killed meanwhile."""
        process = self.start("bridge", "run", "--config", str(self.site.files.bridge_settings))
        try:
            until(lambda: self.get("/readyz").status_code == httpx.codes.OK)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Ask the bridge."""
        headers = {"Authorization": f"Bearer {self.site.api_key}"}
        return httpx.get(self.site.url + path, params=query, headers=headers, timeout=60, trust_env=False)

    def start_import(self, file: Path) -> "subprocess.Popen[str]":
        """Start the import."""
        where = ("--url", self.site.url, "--key-file", str(self.key_file))
        return self.start("import", str(file), *where, "--json", "--results", f"{file}.results.ndjson")


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
    headers = {"Authorization": f"Bearer {site.api_key}"}
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


def run_import(runner: Runner, file: Path, rows: int, *, kill: bool) -> dict[str, Any]:
    """Import the file; return the import as it ended, with the seconds from the first command to the last answer."""
    start = time.perf_counter()
    if kill:
        with runner.bridge() as bridge:
            client = runner.start_import(file)
            until(lambda: any(one["done"] >= rows / 2 for one in runner.get("/v1/imports").json()["imports"]))
            bridge.kill()
            client.kill()
            client.communicate()
    with runner.bridge():
        began = time.perf_counter()
        client = runner.start_import(file)
        output, _ = client.communicate()
        end = time.perf_counter()
        if client.returncode:
            raise RuntimeError(f"paylatch import ended with {client.returncode}: {output}")
        check_phones(runner)
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


def check_phones(runner: Runner) -> None:
    """Refuse phones whose level is not what the oracle requires at the end of the last month."""
    found, token = dict[str, str](), ""
    while token is not None:
        page = runner.get("/v1/phones", page_size=500, page_token=token).json()
        found |= {phone["imei"]: phone["desired"]["level"] for phone in page["phones"]}
        token = page["next_page_token"]
    required = {}
    for row, _, _, level in required_levels(HISTORIES, len(found), MONTHS):
        required[simulated_imei(row - 1)] = level
    if found != required:
        differ = [imei for imei in required if found.get(imei) != required[imei]]
        raise RuntimeError(f"{len(differ)} phones are not what their history requires, the first is {differ[0]}")


# --- stages ---


async def stages(database: str, directory: Path, file: Path, phones: int) -> dict[str, float]:
    """Return microseconds of processor time a row of each stage, from an import in this process."""
    keys, watch = directory / "stages-keys", Stopwatch()
    init_development_keys(keys, STAGES_LENDER, now=int(time.time()), hosts=["pay.example"])
    signer = FileSigner(keys, development=True)
    reconsider = replaying(signer)
    async with SqlStore(database) as store:
        await store.lenders.add(STAGES_LENDER, secrets.token_bytes(32), reconsider.clock.now())
        others = [simulated_imei(OTHER_PHONES + number) for number in range(phones)]
        await enrol_together(store, reconsider, signer, STAGES_LENDER, others)
        content = await asyncio.to_thread(file.read_bytes)
        one = await import_timed(store, reconsider, STAGES_LENDER, directory / "stages", content, watch)
    seconds = {**watch.seconds, "commit_and_all_else": watch.commit_s}
    return {name: round(each / one.rows * 1e6, 1) for name, each in seconds.items()}


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
    files, file = Files(directory), directory / "decisions.csv"
    database = options.database or f"sqlite:///{files.bridge_database}"
    site = asyncio.run(new_site(files, database))
    runner = Runner(site)
    write_secret(runner.key_file, site.api_key)
    with MosquittoProcess(files.broker.directory, site.ports.phones, site.ports.services):
        runner.paylatch("histories", "decisions", "--phones", str(options.phones), "--out", str(file))
        rows = len(file.read_text().splitlines()) - 1
        over_http = min(ENROLLED_OVER_HTTP, options.phones)
        with runner.bridge():
            enrolled_s = asyncio.run(enrol(site, over_http))
        others = [simulated_imei(number) for number in range(over_http, options.phones)]
        asyncio.run(enrol_in(database, files.keys, LENDER, others))
        one = run_import(runner, file, rows, kill=options.kill)
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
