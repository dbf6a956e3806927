"""What was acknowledged outlives the bridge's process and the database's; what was not has not half happened."""

import asyncio
import sys
from collections.abc import Sized
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.records import Outgoing
from broker_bridge.domain.lanes import Lane
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.local.postgres_process import PostgresProcess
from tests.bridge_rig import ACME, Office, Work
from tests.conftest import writing_engine
from tests.lost_answers import lose_the_answer_to_the_next_commit
from tests.store.committing_process import PHONES
from tests.unit.broker_bridge.facts import overdue

IMEI = simulated_imei(0)
ACKNOWLEDGED_BEFORE_THE_KILL = 400


async def start(url: str, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.committing_process", url, *more),
        stdout=asyncio.subprocess.PIPE,
    )


async def lines(process: asyncio.subprocess.Process) -> list[list[str]]:
    """What is left of the output, word by word. A line without its end was never finished, so nobody was told."""
    assert process.stdout is not None
    rest = (await process.stdout.read()).decode()
    return [line.split() for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def decisions_in(url: str) -> dict[str, str | None]:
    """Every decision that is recorded, and its command."""
    with writing_engine(url) as engine, engine.begin() as connection:
        rows = connection.execute(text("SELECT decision_id, command_id FROM decisions")).all()
    return {row.decision_id: row.command_id for row in rows}


def torn_in(url: str) -> list[str]:
    """What is there in part only: each decision has an audit line, each command its phone's version or a newer one."""
    with writing_engine(url) as engine, engine.begin() as connection:
        checks = {
            "decision without audit": "SELECT decision_id FROM decisions d WHERE NOT EXISTS (SELECT 1 FROM audit a"
            " WHERE a.event = 'decision' AND a.detail LIKE d.decision_id || ' %')",
            "audit without decision": "SELECT detail FROM audit a WHERE event = 'decision' AND NOT EXISTS"
            " (SELECT 1 FROM decisions d WHERE a.detail LIKE d.decision_id || ' %')",
            "command unknown": "SELECT decision_id FROM decisions d WHERE command_id IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM commands c WHERE c.command_id = d.command_id)",
            "version behind its commands": "SELECT p.imei FROM phones p WHERE p.version <>"
            " (SELECT max(c.version) FROM commands c WHERE c.imei = p.imei)",
        }
        return [f"{what}: {row[0]}" for what, query in checks.items() for row in connection.execute(text(query))]


async def test_nothing_acknowledged_is_missing_after_kill_9(database: str) -> None:
    process = await start(database)
    assert process.stdout is not None
    told = [(await process.stdout.readline()).decode().split() for _ in range(ACKNOWLEDGED_BEFORE_THE_KILL)]
    process.kill()
    told += await lines(process)
    assert await process.wait() == -9

    acknowledged = {decision: command for _, decision, command in told}
    async with SqlStore(database) as store:
        await store.commits.commit(Work(lambda tx: tx.last_signed_at()))  # it goes on where it stopped
    kept = decisions_in(database)
    assert {decision: str(kept.get(decision)) for decision in acknowledged} == acknowledged
    assert len(acknowledged) >= ACKNOWLEDGED_BEFORE_THE_KILL
    assert torn_in(database) == []


@dataclass
class Load:
    """Decisions that are committed as fast as the store takes them, whatever happens to the database."""

    store: SqlStore
    office: Office
    acknowledged: dict[str, str | None] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Enrol a few phones and decide about each of them, one decision after the other; until cancelled."""
        imeis = [simulated_imei(number) for number in range(PHONES)]
        await asyncio.gather(*(self.store.commits.commit(self.office.enrol(imei)) for imei in imeis))
        await asyncio.gather(*(self._decide(imei) for imei in imeis))

    async def _decide(self, imei: Imei) -> None:
        for number in count(1):
            decision = overdue(1 + number % 90, at=number, imei=imei, name=f"{imei}.{number}")
            try:
                decided = await self.store.commits.commit(self.office.decide(decision))
            except StoreUnavailableError:
                self.failed.add(decision.decision_id)
            else:
                self.acknowledged[decided.decision_id] = decided.command_id
            self._moved.set()

    async def until_more(self, told: Sized, by: int) -> None:
        """Return when so many more decisions have been acknowledged, or have failed."""
        enough = len(told) + by
        while len(told) < enough:
            self._moved.clear()
            await self._moved.wait()


async def test_a_killed_postgresql_loses_nothing_acknowledged_and_the_store_goes_on_by_itself(
    own_postgres: PostgresProcess, office: Office
) -> None:
    url = own_postgres.create("paylatch")
    doubts: list[None] = []
    async with SqlStore(url) as store:
        store.commits.on_doubt(lambda: doubts.append(None))
        await store.lenders.add(ACME, b"k" * 32, at=1)
        load = Load(store, office)
        running = asyncio.create_task(load.run())
        for _ in range(2):
            await load.until_more(load.acknowledged, ACKNOWLEDGED_BEFORE_THE_KILL)
            await asyncio.to_thread(own_postgres.kill)
            await load.until_more(load.failed, 1)
            with pytest.raises(StoreUnavailableError):
                await store.ping()
            await asyncio.to_thread(own_postgres.start)
            await store.ping()
        await load.until_more(load.acknowledged, ACKNOWLEDGED_BEFORE_THE_KILL)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    kept = decisions_in(url)
    assert {decision: kept.get(decision) for decision in load.acknowledged} == load.acknowledged
    assert torn_in(url) == []
    assert doubts, "whoever publishes has been told to look for what was committed without an answer"


async def test_a_commit_that_was_made_although_its_answer_was_lost_is_found_by_who_repeats_it(
    database: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqlStore(database) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
        await store.commits.commit(office.enrol(IMEI))
        published: list[Outgoing] = []
        doubts: list[None] = []
        store.commits.on_committed(published.extend)
        store.commits.on_doubt(lambda: doubts.append(None))
        lose_the_answer_to_the_next_commit(store, monkeypatch)
        with pytest.raises(StoreUnavailableError, match="the connection ended"):
            await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
        assert (published, len(doubts)) == ([], 1)
        assert [one.order for one in await store.outgoing.claim(Lane.CLOSING, office.clock.now(), 10)] == [(1, 2)]
        again = await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
    assert (again.repeated, again.level) == (True, Level.LOCKED)


async def test_a_full_disk_is_said_to_be_unavailable_leaves_nothing_half_done_and_mends_itself(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'paylatch.db'}"
    process = await start(database, "--small-disk", str(tmp_path))
    told = await lines(process)
    assert await process.wait() == 0

    acknowledged = {line[1] for line in told if line[0] == "acknowledged"}
    refused = {line[1] for line in told if line[0] == "unavailable"}
    assert len(refused) == 20
    assert max(told.index(line) for line in told if line[0] == "unavailable") < len(told) - 20, "it went on afterwards"
    assert set(decisions_in(database)) == acknowledged
    assert torn_in(database) == []


async def test_a_database_that_became_unreadable_says_so_at_the_start(tmp_path: Path) -> None:
    database = tmp_path / "paylatch.db"
    database.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        async with SqlStore(f"sqlite:///{database}"):
            pytest.fail("it opened")
