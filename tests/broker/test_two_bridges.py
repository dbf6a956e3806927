"""Two bridge processes on one database and one real broker: one publishes, and the other one waits for its place."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiomqtt
import pytest
from sqlalchemy import make_url

from device_sim.identities import simulated_imei
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.messages import DesiredState
from lock_protocol.topics import PhoneTopic
from paylatch.local.ports import LOOPBACK, free_ports
from paylatch.local.postgres_process import PostgresProcess
from tests.broker.bridge_process import Installation, install, lender_of, running_bridge
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S, RealBroker
from tests.http.conftest import DEVICE_KEY, overdue, payment

IMEIS = [simulated_imei(number) for number in range(20)]
ENROLLED, LOCKED, PAID, LOCKED_AGAIN = 1, 2, 3, 4
"""The versions of a phone's state."""


def beside(installed: Installation, directory: Path) -> Installation:
    """Another bridge on the same database and broker, with a port and a directory for uploads of its own."""
    (port,) = free_ports(1)
    url, settings = f"{installed.url.rpartition(':')[0]}:{port}", directory / "beside.toml"
    text = installed.settings.read_text()
    text = text.replace(f"port = {installed.url.rpartition(':')[2]}\n", f"port = {port}\n")
    settings.write_text(text.replace(str(directory / "imports"), str(directory / "imports-beside")))
    return replace(installed, settings=settings, url=url)


async def enrol(installed: Installation, *imeis: Imei) -> None:
    async with lender_of(installed) as lender:
        for imei in imeis:
            body = {"imei": imei, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
            assert (await lender.post("/v1/phones", json=body)).status_code == 201


async def readiness(installed: Installation) -> tuple[int, str]:
    async with lender_of(installed) as lender:
        response = await lender.get("/readyz")
    return response.status_code, response.json()["broker"]


async def report(installed: Installation, *decisions: dict[str, object]) -> None:
    async with lender_of(installed) as lender:
        response = await lender.post("/v1/decisions", json=list(decisions))
        assert {result["status"] for result in response.json()["results"]} == {200}


async def connections(installed: Installation) -> set[tuple[str, int]]:
    """How many connections of each kind to the broker a bridge has made so far."""
    async with lender_of(installed) as lender:
        metrics = (await lender.get("/metrics")).text
    found = re.findall(r'^paylatch_broker_connections_total\{of="(\w+)"\} (\d+)', metrics, re.MULTILINE)
    return {(of, int(count)) for of, count in found}


@dataclass
class Wire:
    """One bridge's way to the database, which can be cut without the other one's."""

    port: int
    whole: bool = True
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if not self.whole:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self.port)
        self._ends |= {writer, server_writer}
        await asyncio.gather(_pour(reader, server_writer), _pour(server_reader, writer))

    def cut(self) -> None:
        self.whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self.whole = True


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while some := await source.read(65_536):
            into.write(some)
    into.close()


@asynccontextmanager
async def wire_to(database: str) -> AsyncIterator[tuple[str, Wire]]:
    """Yield the database's URL by a wire, and the wire."""
    url = make_url(database)
    assert url.port is not None
    wire = Wire(url.port)
    server = await asyncio.start_server(wire.carry, LOOPBACK)
    try:
        yield url.set(port=server.sockets[0].getsockname()[1]).render_as_string(hide_password=False), wire
    finally:
        wire.cut()
        server.close()


async def published(auditor: aiomqtt.Client) -> AsyncIterator[tuple[Imei, int]]:
    """Yield whose states are published, and which version each is."""
    async for message in auditor.messages:
        imei, _ = TOPICS.parse_phone(message.topic.value)
        assert isinstance(message.payload, bytes)
        yield imei, decode(DesiredState, read_envelope(message.payload).payload).version


async def test_a_bridge_that_was_stopped_wakes_up_and_publishes_nothing_older(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    first = await install(own_broker, tmp_path)
    second = beside(first, tmp_path)
    async with running_bridge(first) as stopped:
        await enrol(first, *IMEIS)
        # With the broker away, the locks wait in the memory of the first one.
        own_broker.process.kill()
        await stopped.logged("broker_disconnected")
        await report(first, *(overdue(f"d-{imei}", imei) for imei in IMEIS))
        stopped.process.send_signal(signal.SIGSTOP)
        own_broker.process.start()
        async with own_broker.service("auditor") as auditor, asyncio.timeout(PATIENCE_S):
            await auditor.subscribe(TOPICS.all_phones(PhoneTopic.DESIRED), qos=1)
            states = published(auditor)
            async with running_bridge(second):
                await report(second, *(payment(f"p-{imei}", imei) for imei in IMEIS))
                newest = dict.fromkeys(IMEIS, ENROLLED)
                while set(newest.values()) != {PAID}:
                    imei, version = await anext(states)
                    newest[imei] = max(newest[imei], version)
                stopped.process.send_signal(signal.SIGCONT)
                await stopped.logged("standing_by")
                await report(first, overdue("again", IMEIS[0], occurred_at="2023-01-03T00:00:00Z"))
            # Whatever the first one had waiting goes out before this lock of its own.
            await stopped.is_connected()
            async for _, version in states:
                if version == LOCKED_AGAIN:
                    break
                assert version == PAID


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_a_bridge_stands_by_while_a_second_one_lives_and_takes_over_when_it_is_gone(
    own_broker: RealBroker, tmp_path: Path, end: signal.Signals
) -> None:
    imei = IMEIS[0]
    first = await install(own_broker, tmp_path)
    second = beside(first, tmp_path)
    async with running_bridge(first) as standby, running_bridge(second) as active:
        await standby.logged("standing_by")
        assert await readiness(first) == (503, "standby")
        assert await readiness(second) == (200, "ok")
        await enrol(second, imei)
        await report(second, overdue("late", imei))
        async with own_broker.service("auditor") as auditor, asyncio.timeout(PATIENCE_S):
            await auditor.subscribe(TOPICS.phone(imei, PhoneTopic.DESIRED), qos=1)
            states = published(auditor)
            # Taken by the one that cannot publish it, a payment opens its phone all the same.
            await report(first, payment("paid", imei))
            while await anext(states) != (imei, PAID):
                pass
            active.process.send_signal(end)
            await active.process.communicate()
            await standby.is_connected()
            assert await readiness(first) == (200, "ok")
            await report(first, overdue("again", imei, occurred_at="2023-01-03T00:00:00Z"))
            while await anext(states) != (imei, LOCKED_AGAIN):
                pass


async def test_a_bridge_that_has_lost_the_database_alone_leaves_the_broker_to_the_one_that_has_it(
    own_broker: RealBroker, own_postgres: PostgresProcess, tmp_path: Path
) -> None:
    database = own_postgres.create("paylatch")
    async with wire_to(database) as (by_wire, wire):
        standing_by = await install(own_broker, tmp_path, database=database)
        cut_off = beside(standing_by, tmp_path)
        cut_off.settings.write_text(cut_off.settings.read_text().replace(database, by_wire))
        async with running_bridge(standing_by) as other, running_bridge(cut_off) as one:
            await other.logged("standing_by")
            wire.cut()
            await other.is_connected()
            # It finds its connection ended, and cannot know by whom.
            while "the database does not answer" not in (await one.logged("broker_disconnected"))["error"]:
                pass
            wire.mend()
            await one.logged("standing_by")
            assert await connections(standing_by) == {("phones", 2), ("lenders", 2)}
