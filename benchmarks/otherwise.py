"""The same round trips as a Python team would otherwise write them, and Paylatch's, in one run.

    python benchmarks/otherwise.py --phones 2000 --decisions 10000      prints JSON

Otherwise: aiomqtt, JSON, SQLite by the standard library at the same durability, one transaction and one publish a
decision, and one transaction a report. It reads the lender's file itself, so that no HTTP is measured; nothing is
signed or verified, no order is kept, nothing is published again, its broker keeps nothing and knows nobody, and its
phones are as cheap as phones can be. All of that is in its favour. Both have Mosquitto, as many phones, and the same
decisions.
"""

import argparse
import asyncio
import csv
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiomqtt
import uvloop

from device_sim.identities import simulated_imei
from paylatch.bench.ceiling import DOWN, UP, Connection, bare_broker, be_phones
from paylatch.bench.gauges import cpu_s
from paylatch.bench.plan import Book, as_csv
from paylatch.local.ports import LOOPBACK

AT_A_TIME = 50
"""Publishes under way, so that no PUBACK is waited for alone."""
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE phones (imei TEXT PRIMARY KEY, level TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE decisions (decision_id TEXT PRIMARY KEY, imei TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE commands (imei TEXT, version INTEGER, status TEXT NOT NULL, PRIMARY KEY (imei, version));
"""


def applied(phone: Connection, payload: bytes) -> None:
    """Report a state, as a phone that believes whatever comes."""
    state = json.loads(payload)
    report = {"imei": state["imei"], "version": state["version"], "level": state["level"], "result": "applied"}
    phone.publish(UP + state["topic"], json.dumps(report).encode())


class Service:
    """Decides, publishes, and takes reports."""

    def __init__(self, directory: Path, client: aiomqtt.Client, topics: dict[str, str]) -> None:
        """Take the database's place, a connection, and each phone's topic."""
        self.client, self.topics = client, topics
        self.database = sqlite3.connect(directory / "otherwise.db", isolation_level=None)
        self.database.executescript(SCHEMA)
        self.database.executemany("INSERT INTO phones VALUES (?, 'unlocked', 1)", [(imei,) for imei in topics])
        self.proven = 0

    async def decide(self, row: dict[str, str]) -> None:
        """Take one decision: a transaction, then a publish."""
        imei, level = row["imei"], "locked" if row["days_overdue"] else "unlocked"
        self.database.execute("BEGIN IMMEDIATE")
        self.database.execute("INSERT INTO decisions VALUES (?, ?, ?)", (row["decision_id"], imei, json.dumps(row)))
        query = "UPDATE phones SET level = ?, version = version + 1 WHERE imei = ? RETURNING version"
        (version,) = self.database.execute(query, (level, imei)).fetchone()
        self.database.execute("INSERT INTO commands VALUES (?, ?, 'queued')", (imei, version))
        self.database.execute("COMMIT")
        notice = {name: row[name] for name in ("amount_due", "currency", "pay_url")} if row["days_overdue"] else None
        topic = self.topics[imei]
        state = {"imei": imei, "topic": topic, "version": version, "level": level, "notice": notice}
        await self.client.publish(DOWN + topic, json.dumps(state), qos=1, retain=True)

    async def listen(self, total: int) -> None:
        """Take reports: a transaction each, until all decisions are proven."""
        async for message in self.client.messages:
            report = json.loads(message.payload)
            key = (report["imei"], report["version"])
            self.database.execute("UPDATE commands SET status = 'succeeded' WHERE imei = ? AND version = ?", key)
            self.proven += 1
            if self.proven == total:
                return


async def serve(port: int, directory: Path, phones: int) -> dict[str, Any]:
    """Take all decisions of the file; return what it took."""
    topics = {simulated_imei(number): f"{number:015d}" for number in range(phones)}
    places = asyncio.Semaphore(AT_A_TIME)
    async with aiomqtt.Client(LOOPBACK, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        client.pending_calls_threshold = 10 * AT_A_TIME
        service = Service(directory, client, {str(imei): topic for imei, topic in topics.items()})
        await client.subscribe(f"{UP}+", qos=1)
        rows = list(csv.DictReader((directory / "decisions.csv").read_text().splitlines()))

        async def decide(row: dict[str, str]) -> None:
            async with places:
                await service.decide(row)

        start, used = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.listen(len(rows)))
            for row in rows:
                tasks.create_task(decide(row))
        seconds, used = time.perf_counter() - start, time.process_time() - used
    return {"round_trips_per_s": round(len(rows) / seconds, 1), "service": used, "rows": len(rows)}


def otherwise(phones: int, decisions: int) -> dict[str, Any]:
    """Measure the other way."""
    with tempfile.TemporaryDirectory(prefix="paylatch-otherwise-") as name, bare_broker() as broker:
        directory = Path(name)
        book = Book("otherwise", [simulated_imei(number) for number in range(phones)], datetime.now(UTC))
        (directory / "decisions.csv").write_bytes(as_csv(book.rounds(decisions)))
        again = [sys.executable, __file__, "--phones", str(phones), "--port", str(broker.phones_port)]
        with subprocess.Popen(
            [*again, "--be-phones"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as fleet:
            fleet.stdout.readline()
            before = cpu_s(broker.pid), cpu_s(fleet.pid)
            told = subprocess.run([*again, "--serve", name], check=True, stdout=subprocess.PIPE, text=True).stdout
            after = cpu_s(broker.pid), cpu_s(fleet.pid)
            fleet.communicate()
    found = json.loads(told)
    used = {"service": found.pop("service"), "broker": after[0] - before[0], "fleet": after[1] - before[1]}
    rows = found.pop("rows")
    return found | {"cpu_us": {name: round(seconds / rows * 1e6, 1) for name, seconds in used.items()}}


def paylatch(phones: int, decisions: int) -> dict[str, Any]:
    """Measure Paylatch."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "figures.json"
        size = ["--phones", str(phones), "--decisions", str(decisions)]
        command = [sys.executable, "-m", "paylatch", "bench", *size, "--json", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures = json.loads(path.read_text())
    return {name: figures[name] for name in ("round_trips_per_s", "cpu_us", "ceiling_per_s", "ratio", "lost")}


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phones", type=int, default=2_000, metavar="N")
    parser.add_argument("--decisions", type=int, default=10_000, metavar="K")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--be-phones", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.be_phones:
        uvloop.run(be_phones(options.port, options.phones, applied))
    elif options.serve:
        print(json.dumps(asyncio.run(serve(options.port, options.serve, options.phones))))
    else:
        other, ours = (measure(options.phones, options.decisions) for measure in (otherwise, paylatch))
        times = {
            "in_time": ours["round_trips_per_s"] / other["round_trips_per_s"],
            "in_processor_time": sum(other["cpu_us"].values()) / sum(ours["cpu_us"].values()),
        }
        faster = {name: round(value, 2) for name, value in times.items()}
        print(json.dumps({"otherwise": other, "paylatch": ours, "paylatch_is_faster": faster}, indent=2))


if __name__ == "__main__":
    main()
