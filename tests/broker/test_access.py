"""Keys and lenders of a bridge that runs, changed beside it in the database, as `paylatch key` and `lender` do."""

import asyncio
import time
from pathlib import Path

import httpx

from broker_bridge.adapters.signing.keys import init_development_keys
from broker_bridge.check import Severity, check
from broker_bridge.domain.access import Scope
from broker_bridge.safety import load
from broker_bridge.tenants import add_lender, create_key, keys_of, lenders, revoke_key
from device_sim.identities import simulated_imei
from lock_protocol.messages import LenderId
from tests.bridge_rig import ACME
from tests.broker.bridge_process import Installation, install, lender_of, running_bridge
from tests.conftest import PATIENCE_S, RealBroker
from tests.http.conftest import DEVICE_KEY

OTHER = LenderId("other-lender")


def holder(installed: Installation, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=installed.url, headers=headers, timeout=PATIENCE_S)


async def test_a_key_that_is_revoked_beside_a_running_bridge_soon_works_no_more(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path)
    settings = load(installed.settings)
    key, secret = await create_key(settings, ACME, "dashboard", [Scope.PHONES_READ])
    async with running_bridge(installed), holder(installed, secret) as dashboard:
        assert (await dashboard.get("/v1/phones")).status_code == 200
        await revoke_key(settings, ACME, key.key_id)
        async with asyncio.timeout(PATIENCE_S):
            while (await dashboard.get("/v1/phones")).status_code == 200:
                pass
        assert (await dashboard.get("/v1/phones")).status_code == 401


async def test_the_use_of_a_key_is_seen_soon_and_kept_when_the_bridge_ends(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path)
    settings = load(installed.settings)
    _, secret = await create_key(settings, ACME, "second", [Scope.PHONES_READ])

    async def used() -> dict[str, bool]:
        return {key.name: key.last_used_at > 0 for key in await keys_of(settings, ACME)}

    async with running_bridge(installed) as bridge:
        async with lender_of(installed) as lender:
            await lender.get("/v1/phones")
        async with asyncio.timeout(PATIENCE_S):
            while not (await used())["first"]:
                pass
        async with holder(installed, secret) as second:
            await second.get("/v1/phones")
        assert await bridge.terminate() == 0
    assert await used() == {"first": True, "second": True}, "a minute has not passed, but the bridge has ended"


async def test_a_lender_that_is_added_beside_a_running_bridge_enrols_phones(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path)
    settings = load(installed.settings)
    imei = simulated_imei(7)
    body = {"imei": imei, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed"}
    async with running_bridge(installed):
        secret = await add_lender(settings, OTHER)
        async with holder(installed, secret) as other:
            early = await other.post("/v1/phones", json=body)
            assert (early.status_code, early.json()["type"]) == (503, "urn:paylatch:problem:no-signing-keys")
            init_development_keys(settings.keys, OTHER, now=int(time.time()), hosts=["pay.example"])
            assert (await other.post("/v1/phones", json=body)).status_code == 201
    assert [(one.lender, one.phones) for one in await lenders(settings)] == [(ACME, 0), (OTHER, 1)]


async def test_a_bridge_that_could_start_is_let_in_by_the_broker(own_broker: RealBroker, tmp_path: Path) -> None:
    settings = load((await install(own_broker, tmp_path)).settings)
    found = [one for one in await check(settings, online=True) if one.about == "broker"]
    assert [one.severity for one in found] == [Severity.OK, Severity.OK]
    settings.broker.password_file.write_text("another", encoding="utf-8")
    (refused,) = [one for one in await check(settings, online=True) if one.severity is Severity.ERROR]
    assert "Not authorized" in refused.text
