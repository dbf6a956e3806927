"""The bridge as a process, a real broker, a phone, and a PostgreSQL that is killed under all of them."""

import asyncio
from pathlib import Path

import httpx
import pytest

from device_sim.identities import simulated_imei
from lock_protocol.levels import Level
from paylatch.local.postgres_process import PostgresProcess
from tests.broker.bridge_process import install, lender_of, online, running_bridge, switched_on
from tests.conftest import PATIENCE_S, RealBroker
from tests.http.conftest import DEVICE_KEY, overdue, payment

IMEI = simulated_imei(1)


async def accepted(lender: httpx.AsyncClient, decision: dict[str, object]) -> dict[str, object]:
    """Send a decision until it is answered with success, as lenders do."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            response = await lender.post("/v1/decisions", json=decision)
            if response.status_code == 200:
                return dict(response.json())
            assert (response.status_code, response.json()["type"]) == (503, "urn:paylatch:problem:store-unavailable")


async def test_a_phone_opens_although_the_database_was_killed_and_the_bridge_never_restarts(
    own_broker: RealBroker, own_postgres: PostgresProcess, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path, database=own_postgres.create("paylatch"))
    async with running_bridge(installed) as bridge, lender_of(installed) as lender:
        body = {"imei": IMEI, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
        enrolled = await lender.post("/v1/phones", json=body)
        own_broker.phones[IMEI] = enrolled.json()["mqtt"]["password"]
        async with online(own_broker, switched_on(IMEI, installed.root)) as phone:
            await phone.becomes(Level.UNLOCKED)
            locked = await accepted(lender, overdue(imei=IMEI))
            await phone.becomes(Level.LOCKED)
            await asyncio.to_thread(own_postgres.kill)
            for path in ("/readyz", f"/v1/phones/{IMEI}"):
                assert (await lender.get(path)).status_code == 503
            refused = await lender.post("/v1/decisions", json=payment(imei=IMEI))
            assert refused.status_code == 503
            await asyncio.to_thread(own_postgres.start)
            await accepted(lender, payment(imei=IMEI))
            await phone.becomes(Level.UNLOCKED)
            again = await lender.post("/v1/decisions", json=overdue(imei=IMEI))
            assert again.json() == locked | {"repeated": True}
        assert await bridge.terminate() == 0


async def test_a_bridge_that_starts_while_its_database_is_away_says_why_and_ends(
    own_broker: RealBroker, own_postgres: PostgresProcess, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path, database=own_postgres.create("paylatch"))
    own_postgres.kill()
    with pytest.raises(AssertionError, match="ended before"):
        async with running_bridge(installed):
            pytest.fail("it started")
