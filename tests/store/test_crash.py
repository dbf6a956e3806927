"""What was acknowledged outlives the process; what was not has not half happened. On SQLite's own files."""

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.ports import StoreUnavailableError
from tests.bridge_rig import Work

ACKNOWLEDGED_BEFORE_THE_KILL = 400


async def start(database: Path, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.committing_process", str(database), *more),
        stdout=asyncio.subprocess.PIPE,
    )


async def lines(process: asyncio.subprocess.Process) -> list[list[str]]:
    """What is left of the output, word by word. A line without its end was never finished, so nobody was told."""
    assert process.stdout is not None
    rest = (await process.stdout.read()).decode()
    return [line.split() for line in rest.splitlines(keepends=True) if line.endswith("\n")]


def decisions_in(database: Path) -> dict[str, str | None]:
    """Every decision that is recorded, and its command."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT decision_id, command_id FROM decisions")).all()
    engine.dispose()
    return {row.decision_id: row.command_id for row in rows}


def torn_in(database: Path) -> list[str]:
    """What is there in part only: each decision has an audit line, each command its phone's version or a newer one."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
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
        found = [f"{what}: {row[0]}" for what, query in checks.items() for row in connection.execute(text(query))]
    engine.dispose()
    return found


async def test_nothing_acknowledged_is_missing_after_kill_9(tmp_path: Path) -> None:
    database = tmp_path / "paylatch.db"
    process = await start(database)
    assert process.stdout is not None
    told = [(await process.stdout.readline()).decode().split() for _ in range(ACKNOWLEDGED_BEFORE_THE_KILL)]
    process.kill()
    told += await lines(process)
    assert await process.wait() == -9

    acknowledged = {decision: command for _, decision, command in told}
    async with SqlStore(f"sqlite:///{database}") as store:
        await store.commit(Work(lambda tx: tx.last_signed_at()))  # it goes on where it stopped
    kept = decisions_in(database)
    assert {decision: str(kept.get(decision)) for decision in acknowledged} == acknowledged
    assert len(acknowledged) >= ACKNOWLEDGED_BEFORE_THE_KILL
    assert torn_in(database) == []


async def test_a_full_disk_is_said_to_be_unavailable_leaves_nothing_half_done_and_mends_itself(tmp_path: Path) -> None:
    database = tmp_path / "paylatch.db"
    process = await start(database, "--small-disk")
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
