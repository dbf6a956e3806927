"""The bridge as a process, a real broker and one phone core: lock, report, payment, a broker with the past."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from broker_bridge.domain.commands import Status
from device_sim.identities import simulated_imei
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.levels import Level
from lock_protocol.messages import DesiredState
from lock_protocol.topics import PhoneTopic
from tests.broker.bridge_process import (
    Installation,
    OnlinePhone,
    install,
    lender_of,
    online,
    running_bridge,
    switched_on,
)
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S, RealBroker
from tests.http.conftest import DEVICE_KEY, overdue, payment

IMEI = simulated_imei(1)


async def enrolled(broker: RealBroker, lender: httpx.AsyncClient) -> None:
    body = {"imei": IMEI, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
    response = await lender.post("/v1/phones", json=body)
    assert response.status_code == 201
    broker.phones[IMEI] = response.json()["mqtt"]["password"]


async def told(lender: httpx.AsyncClient, decision: dict[str, object]) -> str:
    """Send a decision and return its command."""
    response = await lender.post("/v1/decisions", json=decision)
    assert response.status_code == 200
    return str(response.json()["command_id"])


async def status(lender: httpx.AsyncClient, command: str) -> str:
    return str((await lender.get(f"/v1/commands/{command}")).json()["status"])


async def locked_and_paid(lender: httpx.AsyncClient, phone: OnlinePhone) -> None:
    await phone.becomes(Level.UNLOCKED)
    for decision, level in ((overdue(imei=IMEI), Level.LOCKED), (payment(imei=IMEI), Level.UNLOCKED)):
        command = await told(lender, decision)
        await phone.becomes(level)
        await phone.is_answered()
        assert await status(lender, command) == Status.SUCCEEDED


async def retained_version(broker: RealBroker) -> int:
    async with broker.service("auditor") as auditor:
        await auditor.subscribe(TOPICS.phone(IMEI, PhoneTopic.DESIRED), qos=1)
        payload = (await anext(auditor.messages)).payload
        return decode(DesiredState, read_envelope(payload).payload).version


@pytest.fixture
async def installed(own_broker: RealBroker, tmp_path: Path) -> Installation:
    return await install(own_broker, tmp_path)


async def test_a_phone_locks_reports_and_opens_on_payment_and_the_bridge_ends_well(
    own_broker: RealBroker, installed: Installation
) -> None:
    async with running_bridge(installed) as bridge, lender_of(installed) as lender:
        ready = await lender.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"database": "ok", "broker": "ok"})
        await enrolled(own_broker, lender)
        async with online(own_broker, switched_on(IMEI, installed.root)) as phone:
            await locked_and_paid(lender, phone)
        assert await bridge.terminate() == 0


async def test_a_broker_that_comes_back_with_an_old_database_is_given_the_newest_state_again(
    own_broker: RealBroker, installed: Installation, tmp_path: Path
) -> None:
    files, old = own_broker.process.files, tmp_path / "old.db"
    async with running_bridge(installed) as bridge, lender_of(installed) as lender:
        await enrolled(own_broker, lender)
        handset = switched_on(IMEI, installed.root)
        async with online(own_broker, handset) as phone:
            await phone.becomes(Level.UNLOCKED)
            await told(lender, overdue(imei=IMEI))
            await phone.becomes(Level.LOCKED)
            own_broker.process.save()
            shutil.copy2(files.database, old)
            await told(lender, payment(imei=IMEI))
            await phone.becomes(Level.UNLOCKED)
        own_broker.process.kill()
        shutil.copy2(old, files.database)
        own_broker.process.start()
        await bridge.logged("broker_connected")
        await bridge.logged("reconciled")
        assert await retained_version(own_broker) == 3
        async with online(own_broker, handset) as phone:
            await phone.is_answered()
            assert handset.level is Level.UNLOCKED


async def test_a_bridge_told_to_stop_while_the_broker_is_away_stops(
    own_broker: RealBroker, installed: Installation
) -> None:
    async with running_bridge(installed) as bridge:
        own_broker.process.kill()
        await bridge.logged("broker_disconnected")
        assert await bridge.terminate() == 0


async def test_a_bridge_told_to_stop_answers_the_request_that_has_begun(
    own_broker: RealBroker, installed: Installation
) -> None:
    decision = json.dumps(overdue(imei=IMEI)).encode()
    begun, told_to_stop = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield decision[:1]
        begun.set()
        await told_to_stop.wait()
        yield decision[1:]

    async with running_bridge(installed) as bridge, lender_of(installed) as lender:
        await enrolled(own_broker, lender)
        answer = asyncio.create_task(lender.post("/v1/decisions", content=slowly()))
        await begun.wait()
        stopped = asyncio.create_task(bridge.terminate())
        await no_longer_listens(installed)
        told_to_stop.set()
        assert (await answer).status_code == 200
        assert await stopped == 0


async def no_longer_listens(installed: Installation) -> None:
    """Ask on new connections until nobody takes them."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with lender_of(installed) as lender:
                    await lender.get("/livez")
            except httpx.TransportError:
                return
