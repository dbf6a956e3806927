"""The real application over a real store, asked in process."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from broker_bridge.adapters.http.access import Access
from broker_bridge.adapters.http.api import create_api
from broker_bridge.adapters.http.gateway import Gateway, PhonesBroker
from broker_bridge.adapters.imports.desk import import_worker
from broker_bridge.adapters.imports.spool import DirectorySpool
from broker_bridge.adapters.lender_api.decision_desk import DecisionDesk
from broker_bridge.adapters.metrics.metrics import Metrics
from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.adapters.mqtt.credentials import PasswordFile
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.policies.profiles import profile_document
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.schedule import Scheduler
from broker_bridge.app.set_policy import PolicyDesk
from broker_bridge.domain.access import api_key_hash
from broker_bridge.domain.imports import SpoolId
from device_sim.identities import simulated_imei
from lock_protocol.messages import LenderId
from lock_protocol.topics import Topics
from tests.bridge_rig import ACME, DEVICE, KeptLog, Office, SetClock, lone_standby, signer_of
from tests.loopback.lender import DAY, Lender

OTHER = LenderId("other-lender")
NOWHERE = BrokerAddress(host="127.0.0.1", port=1, username="bridge", password="none", client_id="bridge")
KEYS = {ACME: "pl_acme", OTHER: "pl_other"}
IMEI, SECOND, FOREIGN = (simulated_imei(number) for number in range(3))
DEVICE_KEY = base64.b64encode(DEVICE.public).decode()


@dataclass
class Api:
    """The API as one lender uses it."""

    http: httpx.AsyncClient
    store: SqlStore
    clock: SetClock
    passwords: Path
    metrics: Metrics
    app: FastAPI
    access: Access
    gateway: Gateway
    key: str | None = KEYS[ACME]

    def of(self, key: str | None) -> "Api":
        """The same with another key, or none."""
        return replace(self, key=key)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query, headers=self.headers)

    async def post(self, path: str, value: object) -> httpx.Response:
        return await self.post_raw(path, json.dumps(value).encode())

    async def post_raw(self, path: str, content: bytes) -> httpx.Response:
        return await self.http.post(path, content=content, headers=self.headers)

    async def send_text(self, method: str, path: str, text: str, **query: Any) -> httpx.Response:
        return await self.http.request(method, path, params=query, content=text.encode(), headers=self.headers)

    async def judge_what_is_due(self) -> None:
        """Let the scheduler look until it finds nothing more."""
        scheduler = Scheduler(self.store.commits, self.store.schedule, self.gateway.reconsider, KeptLog())
        while await scheduler.look() or await self.store.schedule.due(self.clock.now(), 1):
            pass

    async def enrol(self, imei: object = IMEI, **fields: Any) -> httpx.Response:
        body = {"imei": imei, "loan_id": f"loan-{imei}", "device_key": DEVICE_KEY, "consent": "signed on paper"}
        return await self.post("/v1/phones", body | fields)

    async def decide(self, *decisions: Any) -> httpx.Response:
        return await self.post("/v1/decisions", decisions[0] if len(decisions) == 1 else list(decisions))


def overdue(name: object = "d1", imei: object = IMEI, **fields: Any) -> dict[str, Any]:
    """A decision as lenders write it."""
    return {
        "decision_id": name,
        "type": "payment_overdue",
        "imei": imei,
        "occurred_at": "2023-01-01T00:00:00Z",
        "days_overdue": 90,
    } | fields


def payment(name: object = "p1", imei: object = IMEI, **fields: Any) -> dict[str, Any]:
    return {
        "decision_id": name,
        "type": "payment_received",
        "imei": imei,
        "occurred_at": "2023-01-02T00:00:00Z",
        "cures": True,
    } | fields


@dataclass
class _Parts:
    office: Office = field(default_factory=Office)
    log: KeptLog = field(default_factory=KeptLog)


@asynccontextmanager
async def running_api(
    database: str, directory: Path, *, show_metrics: bool = True, development: bool = True
) -> AsyncIterator[Api]:
    parts = _Parts()
    office = parts.office
    office.signer.lenders.update(signer_of(Lender(name=OTHER)).lenders)
    passwords = directory / "phones.passwd"
    metrics = Metrics(office.clock)
    async with SqlStore(database) as store:
        for lender, key in KEYS.items():
            await store.lenders.add(lender, api_key_hash(key), at=1)
        credentials = PasswordFile(passwords, None, store.credentials, parts.log)
        imports = import_worker(
            store=store.commits,
            imports=store.imports,
            spool=spool_in(directory / "spool"),
            reconsider=office.reconsider,
            meters=metrics.meters,
            log=parts.log,
            keep_s=30 * DAY,
        )
        gateway = Gateway(
            store=store.commits,
            phones=store.phones,
            commands=store.commands,
            decisions=store.decisions,
            lenders=store.lenders,
            keys=store.keys,
            ping=store.ping,
            reconsider=office.reconsider,
            desk=DecisionDesk(store=store.commits, reconsider=office.reconsider, meters=metrics.meters),
            key_conflicts=office.key_conflicts,
            policies=PolicyDesk(
                store=store.commits,
                versions=store.policies,
                lenders=store.lenders,
                phones=store.phones,
                reconsider=office.reconsider,
                signer=office.signer,
                root=office.lender.authority.root,
                default_document=profile_document("replay"),
                development=development,
            ),
            clock=office.clock,
            credentials=credentials,
            link=Link(NOWHERE, Topics(), random=Random(1), log=parts.log),  # noqa: S311 - never connects
            standby=lone_standby(office.clock, parts.log),
            broker=PhonesBroker(
                host="mqtt.example",
                port=8883,
                tls=True,
                ca="the CA's certificate",
                topic_prefix="paylatch/v1",
                root_envelope=office.lender.authority.envelope,
            ),
            metrics=metrics,
            uploads=imports.uploads,
            imports=store.imports,
            import_waits_for=imports.waits_for,
        )
        services = [asyncio.create_task(credentials.run()), asyncio.create_task(imports.run())]
        access = Access(store.keys, office.clock, parts.log)
        with application_over(gateway, access, show_metrics=show_metrics) as app:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bridge") as http:
                yield Api(http, store, office.clock, passwords, metrics, app, access, gateway)
        for service in services:
            service.cancel()
        await asyncio.gather(*services, return_exceptions=True)


class StandIn:
    """The gateway that routes are made over, in place of that of whichever test runs."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gateway, name)


_spare: dict[bool, list[tuple[StandIn, FastAPI]]] = {True: [], False: []}
"""Applications that no test uses just now, by whether they show metrics."""


@contextmanager
def application_over(gateway: Gateway, access: Access, *, show_metrics: bool) -> Iterator[FastAPI]:
    """An application over this gateway; to make one takes longer than most tests do with it, so it is used again."""
    if _spare[show_metrics]:
        stand_in, app = _spare[show_metrics].pop()
    else:
        stand_in = StandIn(gateway)
        app = create_api(cast("Gateway", stand_in), access, "0", show_metrics=show_metrics)
    stand_in.gateway, app.state.access, app.state.meters = gateway, access, gateway.metrics.meters
    yield app
    _spare[show_metrics].append((stand_in, app))


def spool_in(directory: Path) -> DirectorySpool:
    """A spool that takes small files."""
    return DirectorySpool(
        directory=directory,
        spool_id=SpoolId("spool-of-http-tests"),
        max_bytes=4_000_000,
        max_rows=10_000,
        idle_s=3,
        upload_s=30,
    )


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The API with one phone of each lender enrolled: `IMEI` of ours, `FOREIGN` of theirs."""
    async with running_api(database, tmp_path) as running:
        assert (await running.enrol(IMEI)).status_code == 201
        assert (await running.of(KEYS[OTHER]).enrol(FOREIGN)).status_code == 201
        yield running


def problem(response: httpx.Response) -> tuple[int, str]:
    """The status and the kind of an answer that must be a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["title"]
    assert document["detail"]
    prefix, _, kind = document["type"].rpartition(":")
    assert prefix == "urn:paylatch:problem"
    return response.status_code, kind
