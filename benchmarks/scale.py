"""How cost grows with the phones that are enrolled, none of them connected.

    python benchmarks/scale.py                             prints JSON, for 1,000, 10,000 and 100,000 phones
    python benchmarks/scale.py --phones 1000 1000000

For each number: the database's size, how long the bridge takes to start, how long it takes until the broker has every
phone's state (a broker that has lost all of it, at the worst), and what bridge and broker hold in memory meanwhile.
"""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.waiting import until
from device_sim.identities import simulated_imei
from paylatch.bench.gauges import rss_bytes
from paylatch.bench.progress import Progress
from paylatch.local.broker_process import MosquittoProcess
from paylatch.local.enrolment import enrol_in
from paylatch.local.files import Files
from paylatch.local.site import LENDER, bridge_running, broker_running, new_site

METRICS_TIMEOUT_S = 60.0
MIB = 1024 * 1024


async def measure(phones: int, directory: Path) -> dict[str, Any]:
    """Measure with one number of phones."""
    files = Files(directory)
    site = await new_site(files, f"sqlite:///{files.bridge_database}")
    began = time.perf_counter()
    await enrol_in(site.database, files.keys, LENDER, [simulated_imei(number) for number in range(phones)])
    found: dict[str, Any] = {"phones": phones, "enrolled_per_s": round(phones / (time.perf_counter() - began))}
    found["database_bytes_per_phone"] = round(files.bridge_database.stat().st_size / phones)
    async with broker_running(site) as broker:
        for what in ("first", "broker_lost_all"):
            began = time.perf_counter()
            async with (
                bridge_running(site) as (process, _),
                httpx.AsyncClient(base_url=site.url, trust_env=False, timeout=METRICS_TIMEOUT_S) as http,
            ):
                found[f"{what}_start_s"] = round(time.perf_counter() - began, 2)
                await until(Progress(http), lambda counts: counts.published >= phones and not counts.waiting)
                found[f"{what}_published_s"] = round(time.perf_counter() - began, 2)
                found[f"{what}_bridge_mib"] = round(rss_bytes(process.pid) / MIB, 1)
            found["broker_mib"] = round(rss_bytes(broker.pid) / MIB, 1)
            await asyncio.to_thread(lose_all, broker)
    found["password_file_bytes_per_phone"] = round(files.broker.phones_passwords.stat().st_size / phones)
    return found


def lose_all(broker: MosquittoProcess) -> None:
    """Kill the broker and start it without anything that it has kept."""
    broker.kill()
    broker.files.database.unlink(missing_ok=True)
    broker.start()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    for phones in parser.parse_args().phones:
        directory = Path(tempfile.mkdtemp(prefix="paylatch-scale-"))
        try:
            print(json.dumps(asyncio.run(measure(phones, directory))), flush=True)
        finally:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
