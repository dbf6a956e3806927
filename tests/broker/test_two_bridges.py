"""Two bridge processes on one database and one real broker: one that was stopped wakes up and overwrites nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiomqtt

from device_sim.identities import simulated_imei
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.messages import DesiredState
from lock_protocol.topics import PhoneTopic
from paylatch.local.ports import free_ports
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


async def report(installed: Installation, *decisions: dict[str, object]) -> None:
    async with lender_of(installed) as lender:
        response = await lender.post("/v1/decisions", json=list(decisions))
        assert {result["status"] for result in response.json()["results"]} == {200}


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
        async with lender_of(first) as lender:
            for imei in IMEIS:
                body = {"imei": imei, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
                assert (await lender.post("/v1/phones", json=body)).status_code == 201
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
                await stopped.is_connected()
            # Whatever the first one had waiting goes out before this lock of its own.
            await report(first, overdue("again", IMEIS[0], occurred_at="2023-01-03T00:00:00Z"))
            async for _, version in states:
                if version == LOCKED_AGAIN:
                    break
                assert version == PAID
