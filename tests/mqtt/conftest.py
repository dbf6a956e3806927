"""Lenders' messages in, results out: the real intake over a real store, with a broker that only listens."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker_bridge.adapters.mqtt.intake import REFUSALS, Intake
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.decide import Decide, Decided
from broker_bridge.app.ports.broker import Received
from broker_bridge.app.results import Results
from broker_bridge.domain.decisions import Decision
from lock_protocol.messages import LenderId
from lock_protocol.topics import Topics
from tests.asyncapi import assert_is_message
from tests.bridge_rig import ACME, KeptLog, Office, signer_of
from tests.conftest import PATIENCE_S, new_sqlite
from tests.http.conftest import FOREIGN, IMEI, OTHER, overdue
from tests.loopback.lender import Lender

TOPICS = Topics()
BARRIER = "barrier"


@dataclass
class Ear:
    """A `Broker` that takes what is published for whoever listens."""

    heard: "asyncio.Queue[tuple[str, dict[str, Any]]]" = field(default_factory=asyncio.Queue)

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert not retain
        self.heard.put_nowait((topic, json.loads(payload)))


@dataclass
class Desk:
    """Where lenders' messages are worked off."""

    store: SqlStore
    office: Office
    log: KeptLog = field(default_factory=KeptLog)
    ear: Ear = field(default_factory=Ear)

    def __post_init__(self) -> None:
        self.results = Results(TOPICS, self.log)
        self.intake = self.intake_of(self.decide)
        self.store.commits.on_step(self.intake.tell)

    async def decide(self, decision: Decision, *, told: bool = True) -> Decided:
        return await self.store.commits.commit(Decide(decision, self.office.reconsider, told=told))

    def intake_of(self, decide: Callable[[Decision], Awaitable[Decided]]) -> Intake:
        return Intake(TOPICS, self.store.commands, decide, self.results, self.office.clock, self.log)

    def send(self, value: object, lender: LenderId = ACME, *, retained: bool = False) -> None:
        """Publish something as a lender: bytes as they are, anything else as JSON."""
        payload = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.intake.receive(Received(TOPICS.decisions(lender), payload, retained))

    async def result(self, lender: LenderId = ACME) -> dict[str, Any]:
        """The next result, which has to be this lender's."""
        async with asyncio.timeout(PATIENCE_S):
            topic, result = await self.ear.heard.get()
        assert topic == TOPICS.results(lender)
        step = result["step"]
        assert_is_message(step if step in ("decided", "refused") else "step", result)
        return result

    async def steps(self, *steps: str, lender: LenderId = ACME) -> list[dict[str, Any]]:
        """The next results, which have to be these steps."""
        results = [await self.result(lender) for _ in steps]
        assert [result["step"] for result in results] == list(steps)
        return results

    async def problem(self, lender: LenderId = ACME) -> tuple[str | None, int, str]:
        """The next result, which has to be a refusal: of which decision, and why."""
        (refused,) = await self.steps("refused", lender=lender)
        assert set(refused) == {"decision_id", "step", "problem"}
        return refused["decision_id"], refused["problem"]["status"], refused["problem"]["type"].rpartition(":")[2]

    async def nothing_more(self) -> None:
        """Prove that no result is on its way: the next one is that of a message sent after all others."""
        self.send(overdue(name=BARRIER, imei="0" * 15))
        assert (await self.result())["decision_id"] == BARRIER


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with one phone of each lender enrolled: `IMEI` of ours, `FOREIGN` of theirs."""
    office = Office()
    office.signer.lenders.update(signer_of(Lender(name=OTHER)).lenders)
    async with SqlStore(new_sqlite(tmp_path / "paylatch.db")) as store:
        for lender, imei in ((ACME, IMEI), (OTHER, FOREIGN)):
            await store.lenders.add(lender, lender.encode().ljust(32), at=1)
            await store.commits.commit(office.enrol(imei, lender=lender))
        desk = Desk(store, office)
        working = [asyncio.create_task(desk.intake.run()), asyncio.create_task(desk.results.session(desk.ear))]
        yield desk
        assert desk.intake.refusals.keys() <= REFUSALS
        for task in working:
            assert not task.done(), "it ended by itself"
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


by_http = partial(Desk.decide, told=False)
"""Take a decision as if it had come by HTTP."""
