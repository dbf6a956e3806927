"""How many phones a fleet carries and how fast they answer: `locust[mqtt]` and Paylatch's own simulator, in one run.

    make density                                                     installs Locust for itself, then runs this
    python benchmarks/density.py --locust .venv-locust/bin/locust --phones 1000 --messages 5000

Prints JSON, for each: bytes of memory a phone, connects a second, and microseconds of the fleet's processor time for
one message received and one sent, with the answers a second that follow for a whole core. A Locust user answers with
bytes of a report's size and does nothing else. A phone of Paylatch verifies the state and its delegation, checks it by
all rules, applies it, and signs its report.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvloop

from paylatch.bench.ceiling import DOWN, UP, Connection, bare_broker, connect
from paylatch.bench.gauges import cpu_s, rss_bytes

STATE_BYTES, REPORT_BYTES = 584, 300
"""What real ones have."""
WINDOW = 500
STALLED_S = 60.0
SPAWNED_PER_S = 500


class Ear:
    """Counts what phones say, and tells when it is enough."""

    def __init__(self) -> None:
        self.heard = 0
        self._moved = asyncio.Event()

    def hear(self, _: Connection, __: bytes) -> None:
        """Count a message."""
        self.heard += 1
        self._moved.set()

    async def until(self, count: int) -> None:
        """Wait for so many."""
        while self.heard < count:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), STALLED_S)


async def drive(port: int, phones: int, messages: int, start_fleet: Any) -> dict[str, float]:
    """Start a fleet, wait until all of it is there, and have it answer."""
    ear = Ear()
    await connect(port, "up", f"{UP}+", ear.hear)
    down = await connect(port, "down", "none", ear.hear)
    fleet: subprocess.Popen[bytes] = start_fleet()
    try:
        await ear.until(1)
        empty, start = rss_bytes(fleet.pid), time.perf_counter()
        await ear.until(phones)
        connect_s, memory = time.perf_counter() - start, rss_bytes(fleet.pid) - empty
        used, start = cpu_s(fleet.pid), time.perf_counter()
        for number in range(messages):
            down.publish(f"{DOWN}{number % phones:015d}", b"s" * STATE_BYTES)
            await ear.until(phones + number + 1 - WINDOW)
        await ear.until(phones + messages)
        seconds, used = time.perf_counter() - start, cpu_s(fleet.pid) - used
    finally:
        fleet.terminate()
        fleet.wait()
    return figures(memory / (phones - 1), (phones - 1) / connect_s, used / messages * 1e6, messages / seconds)


def figures(rss: float, connects: float, cpu_us: float, per_s: float) -> dict[str, float]:
    """Return one fleet's figures by the names of both."""
    return {
        "rss_per_phone_bytes": round(rss),
        "connect_per_s": round(connects, 1),
        "cpu_us": round(cpu_us, 1),
        "answers_per_s_and_core": round(1e6 / cpu_us),
        "answers_per_s_measured": round(per_s, 1),
    }


def locust(program: Path, phones: int, messages: int) -> dict[str, float]:
    """Measure Locust."""
    with bare_broker() as broker, tempfile.TemporaryFile() as log:
        environment = os.environ | {
            "DENSITY_PORT": str(broker.phones_port),
            "DENSITY_REPORT_BYTES": str(REPORT_BYTES),
        }
        command = [str(program), "--headless", "--only-summary", "--users", str(phones), "--locustfile"]
        command += [str(Path(__file__).with_name("locustfile.py")), "--spawn-rate", str(SPAWNED_PER_S)]

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

        return uvloop.run(drive(broker.phones_port, phones, messages, start))


def paylatch(phones: int, messages: int) -> dict[str, float]:
    """Measure Paylatch's phones, with a bridge that signs what they get."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "figures.json"
        size = ["--phones", str(phones), "--decisions", str(messages)]
        command = [sys.executable, "-m", "paylatch", "bench", *size, "--json", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found: Mapping[str, Any] = json.loads(path.read_text())
    return figures(
        found["rss_per_phone_bytes"], found["connect_per_s"], found["cpu_us"]["fleet"], found["round_trips_per_s"]
    )


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locust", type=Path, default=Path(".venv-locust/bin/locust"), metavar="PATH")
    parser.add_argument("--phones", type=int, default=1_000, metavar="N")
    parser.add_argument("--messages", type=int, default=5_000, metavar="K")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    theirs = locust(options.locust, options.phones, options.messages)
    ours = paylatch(options.phones, options.messages)
    print(json.dumps({"phones": options.phones, "locust": theirs, "paylatch": ours}, indent=2))


if __name__ == "__main__":
    main()
