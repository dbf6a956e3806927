"""Imports over a bridge and a client that are killed: each row is accounted for once, and the phones end the same."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from paylatch.local.ports import LOOPBACK
from tests.broker.bridge_process import BridgeProcess, Installation, install, lender_of, running_bridge
from tests.conftest import PATIENCE_S, RealBroker
from tests.http.conftest import DEVICE_KEY, overdue

PHONES, ROWS = 60, 3000


def days_overdue(row: int) -> int:
    return row * 7 % 100 + 1


def write_file(path: Path, imeis: Sequence[Imei]) -> None:
    """Each phone in turns, each of its rows with another figure of a later moment; one row in a thousand is broken."""
    rows = [
        overdue(
            f"d{row}",
            imeis[row % PHONES],
            days_overdue=days_overdue(row) if row % 1000 else "many",
            occurred_at=f"2023-01-01T{row // 3600:02}:{row // 60 % 60:02}:{row % 60:02}Z",
        )
        for row in range(1, ROWS + 1)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@dataclass
class Site:
    """A bridge that can be started again and again, its phones, and a file about them."""

    installed: Installation
    directory: Path
    imeis: Sequence[Imei]

    @property
    def file(self) -> Path:
        return self.directory / "decisions.ndjson"

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[tuple[BridgeProcess, httpx.AsyncClient]]:
        async with running_bridge(self.installed) as bridge, lender_of(self.installed) as http:
            yield bridge, http

    async def start_import(self, *more: str, file: Path | None = None) -> asyncio.subprocess.Process:
        key_file = self.directory / "lender.key"
        key_file.write_text(self.installed.api_key)
        where = ("--url", self.installed.url, "--key-file", str(key_file), "--json")
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "paylatch", "import", str(file or self.file), *where, *more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run_import(self, *more: str) -> dict[str, Any]:
        return await self.result_of(await self.start_import(*more))

    async def result_of(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            output, said = await process.communicate()
        assert process.returncode == 3, said.decode()
        answer: dict[str, Any] = json.loads(output)
        return answer


@pytest.fixture
async def site(broker: RealBroker, tmp_path: Path) -> Site:
    imeis = [simulated_imei(700_000 + number) for number in range(PHONES)]
    made = Site(await install(broker, tmp_path), tmp_path, imeis)
    write_file(made.file, imeis)
    async with made.bridge() as (_, http):
        answers = await asyncio.gather(*(enrol(http, imei) for imei in imeis))
    assert set(answers) == {201}
    return made


async def enrol(http: httpx.AsyncClient, imei: Imei) -> int:
    body = {"imei": imei, "loan_id": f"loan-{imei}", "device_key": DEVICE_KEY, "consent": "signed on paper"}
    return (await http.post("/v1/phones", json=body, timeout=PATIENCE_S)).status_code


async def the_import_when(http: httpx.AsyncClient, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The only import there is, as soon as something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            imports = (await http.get("/v1/imports")).json()["imports"]
            assert len(imports) <= 1
            if imports and is_so(imports[0]):
                return dict(imports[0])
            await asyncio.sleep(0.01)


async def the_spool_is_empty(site: Site) -> None:
    """Return once no file waits: the last one goes right after its import is done."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not list((site.directory / "imports").glob("imp_*")):
                return
            await asyncio.sleep(0.01)


def results_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def assert_all_is_as_if_nothing_had_happened(http: httpx.AsyncClient, one: dict[str, Any], file: Path) -> None:
    refused = ROWS // 1000
    assert (one["state"], one["rows"], one["done"]) == ("done", ROWS, ROWS)
    assert (one["applied"], one["repeated"], one["refused"]) == (ROWS - refused, 0, refused)
    results = results_in(file)
    assert [result["row"] for result in results] == list(range(1, ROWS + 1))
    taken = [result for result in results if result["status"] == 200]
    assert {(result["effect"], result["repeated"]) for result in taken} == {("applied", False)}
    page = (await http.get("/v1/phones", params={"page_size": 500})).json()["phones"]
    newest = {row % PHONES: days_overdue(row) for row in range(1, ROWS + 1) if row % 1000}
    by_imei = {phone["imei"]: phone["loan"]["days_overdue"] for phone in page}
    assert by_imei == {imei: newest[number] for number, imei in enumerate(sorted(by_imei))}


async def test_a_bridge_killed_in_the_middle_of_an_import_goes_on_where_it_stopped(site: Site) -> None:
    results = site.directory / "results.ndjson"
    async with site.bridge() as (bridge, http):
        importing = await site.start_import("--results", str(results))
        await the_import_when(http, lambda one: one["done"] >= ROWS // 4)
        bridge.process.kill()
        await bridge.process.wait()
    async with site.bridge() as (bridge, http):
        await the_import_when(http, lambda one: one["done"] >= ROWS // 2)
        bridge.process.kill()
        await bridge.process.wait()
    async with site.bridge() as (_, http):
        one = await site.result_of(importing)
        await assert_all_is_as_if_nothing_had_happened(http, one, results)
        await the_spool_is_empty(site)


async def test_a_file_is_sent_when_the_bridge_is_there(site: Site) -> None:
    results = site.directory / "results.ndjson"
    importing = await site.start_import("--results", str(results))
    assert importing.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        assert b"does not answer" in await importing.stderr.readline()
    async with site.bridge() as (_, http):
        await assert_all_is_as_if_nothing_had_happened(http, await site.result_of(importing), results)


@asynccontextmanager
async def cutting_the_first(bridge: httpx.URL, after_s: float) -> AsyncIterator[str]:
    """An address that leads to a bridge, but for the first connection: it hears no answer, and ends after a while."""
    count, ways = 0, set[asyncio.StreamWriter]()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(1 << 16):
            sink.write(piece)
            await sink.drain()
        sink.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        ways.add(writer)
        if count == 1:
            await asyncio.sleep(after_s)
            writer.close()
            return
        theirs, ours = await asyncio.open_connection(bridge.host, bridge.port)
        ways.add(ours)
        with suppress(ConnectionError):
            await asyncio.gather(copy(reader, ours), copy(theirs, writer))

    async with await asyncio.start_server(lead, LOOPBACK, 0) as server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        for way in ways:
            way.close()


async def test_a_file_that_takes_longer_than_the_patience_is_sent_again_all_the_same(site: Site) -> None:
    patience_s, results = 2.0, site.directory / "results.ndjson"
    async with site.bridge() as (_, http), cutting_the_first(http.base_url, patience_s + 0.5) as url:
        one = await site.run_import("--url", url, "--patience", str(patience_s), "--results", str(results))
        await assert_all_is_as_if_nothing_had_happened(http, one, results)


async def test_a_client_that_was_killed_finds_its_import_again(site: Site) -> None:
    results = site.directory / "results.ndjson"
    async with site.bridge() as (_, http):
        importing = await site.start_import()
        begun = await the_import_when(http, lambda one: one["done"] > 0)
        importing.kill()
        await importing.communicate()
        one = await site.run_import("--results", str(results))
        assert one["import_id"] == begun["import_id"]
        await assert_all_is_as_if_nothing_had_happened(http, one, results)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of a command that is through."""
    async with asyncio.timeout(PATIENCE_S):
        output, said = await process.communicate()
    return process.returncode, output.decode(), said.decode()


async def test_the_exit_code_says_how_it_went(site: Site) -> None:
    broken, good, key = (site.directory / name for name in ("broken.csv", "good.csv", "wrong.key"))
    header = "decision_id,imei,type,occurred_at"
    broken.write_text(f"{header},lender\n")
    good.write_text(f"{header}\ns1,{site.imeis[0]},loan_settled,2023-01-01T00:00:00Z\n")
    key.write_text("pl_wrong")
    code, _, said = await ended(await site.start_import("--patience", "0", file=good))
    assert (code, "is a bridge running there?" in said) == (1, True)
    async with site.bridge():
        code, output, said = await ended(await site.start_import(file=broken))
        assert (code, json.loads(output)["state"]) == (1, "failed")
        assert "column 5 is 'lender'" in said
        code, _, said = await ended(await site.start_import("--key-file", str(key), file=good))
        assert (code, "valid API key" in said) == (4, True)
        code, output, _ = await ended(await site.start_import("--dry-run", file=good))
        assert (code, json.loads(output)["dry_run"], json.loads(output)["applied"]) == (0, True, 1)
        code, output, _ = await ended(await site.start_import("--no-wait", file=good))
        assert (code, json.loads(output)["dry_run"]) == (0, False)
        code, output, _ = await ended(await site.start_import(file=good))
        assert (code, json.loads(output)["applied"]) == (0, 1)
        failed = site.directory / "failed.csv"
        assert (await ended(await site.start_import("--failed", str(failed))))[0] == 3
        assert len(failed.read_text().splitlines()) == 1 + ROWS // 1000


async def test_an_upload_that_is_cut_leaves_nothing_behind(site: Site) -> None:
    head = (
        "POST /v1/imports HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/csv\r\nIdempotency-Key: k\r\n"
        f"Authorization: Bearer {site.installed.api_key}\r\nContent-Length: 1000000\r\n\r\n"
    )
    async with site.bridge() as (_, http):
        _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(head.encode() + b"decision_id,imei,type,occurred_at\n")
        await the_import_when(http, lambda one: one["state"] == "receiving")
        writer.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if not (await http.get("/v1/imports")).json()["imports"]:
                    break
                await asyncio.sleep(0.01)
        await the_spool_is_empty(site)
