"""What docs/integrate.md tells a lender's engineer to do works as it stands there."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text(encoding="utf-8")
_BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh|python)\n(.*?)^```", _DOCUMENT, re.DOTALL | re.MULTILINE)
IMEI = Imei("001017000000003")
PATIENCE_S = 60.0


@dataclass
class Terminals:
    """Where the document's commands run: terminals in one directory, of which the first runs quickstart."""

    directory: Path

    async def open(self, command: str, *, knows_where: bool = True) -> asyncio.subprocess.Process:
        """Start a command in a terminal; `knows_where` it has read the environment before."""
        script = ". quickstart/env\n" * knows_where + command
        environment = {"HOME": str(self.directory), "PATH": os.environ["PATH"]}
        return await asyncio.create_subprocess_exec(
            *("sh", "-ec", script), cwd=self.directory, env=environment, stdout=asyncio.subprocess.PIPE
        )

    async def run(self, kind: str, block: str) -> str:
        """Run a block to its end and return what it said."""
        if kind == "python":
            (self.directory / "block.py").write_text(block, encoding="utf-8")
            block = f"{sys.executable} block.py"
        process = await self.open(block)
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await process.communicate()
        assert process.returncode == 0, block
        return said.decode()

    async def phone_is(self, level: Level) -> None:
        """Return when the phone itself is at this level."""
        fleet = FleetControl(self.directory / "quickstart" / "fleet.sock")
        assert await fleet.await_levels({IMEI: level}, PATIENCE_S) == []


@asynccontextmanager
async def opened(terminals: Terminals, command: str, *, knows_where: bool) -> AsyncIterator[asyncio.StreamReader]:
    """Run a command as long as this lasts, and give what it says."""
    process = await terminals.open(f"exec env {command}", knows_where=knows_where)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        await process.communicate()


async def said(output: asyncio.StreamReader, text: str) -> None:
    """Return when a line holds `text`."""
    async with asyncio.timeout(PATIENCE_S):
        while line := (await output.readline()).decode():
            if text in line:
                return
    raise AssertionError(f"it ended without saying {text!r}")


async def steps(output: asyncio.StreamReader, decision_id: str) -> list[str]:
    """Return the steps that a decision is heard to take."""
    heard = []
    async with asyncio.timeout(PATIENCE_S):
        while "succeeded" not in heard:
            result = json.loads(await output.readline())
            heard += [result["step"]] if result["decision_id"] == decision_id else []
    return heard


@pytest.mark.timeout(300)
async def test_the_documents_blocks_lock_and_open_a_phone_by_every_way(tmp_path: Path) -> None:
    (
        (_, set_up),
        (_, quickstart),
        (_, where),
        curl_lock,
        curl_show,
        curl_open,
        in_python,
        (_, listen),
        mqtt_lock,
        mqtt_open,
        mqtt_in_python,
        by_hand,
    ) = _BLOCKS
    assert (set_up, where) == ("make setup\n", ". quickstart/env\n")
    terminals = Terminals(tmp_path)
    quickstart = quickstart.replace(".venv/bin/paylatch", f"{sys.executable} -m paylatch")
    async with opened(terminals, quickstart, knows_where=False) as first:
        await said(first, "the phone is unlocked")

        locked = json.loads(await terminals.run(*curl_lock))
        (promised,) = re.findall(r"```json\n(.*?)```", _DOCUMENT, re.DOTALL)
        assert locked | {"command_id": "cmd_…"} == json.loads(promised)
        await said(first, "the phone is locked")
        assert json.loads(await terminals.run(*curl_show))["desired"]["level"] == "locked"
        assert json.loads(await terminals.run(*curl_open))["level"] == "unlocked"
        await said(first, "the phone is unlocked")

        assert await terminals.run(*in_python) == "LOCKED succeeded\nUNLOCKED succeeded\n"

        async with opened(terminals, listen, knows_where=True) as third:
            heard = asyncio.create_task(third.readline())
            while not heard.done():  # what was sent before it was subscribed is answered again when it is sent again
                await terminals.run(*mqtt_lock)
                await asyncio.wait([heard], timeout=1)
            assert json.loads(await heard)["decision_id"] == "mqtt-1"
            await terminals.phone_is(Level.LOCKED)
            await terminals.run(*mqtt_open)
            assert (await steps(third, "mqtt-2"))[0] == "decided"
            await terminals.phone_is(Level.UNLOCKED)
            printed = (await terminals.run(*mqtt_in_python)).split()
            opened_at = printed.index("UNLOCKED")
            assert (printed[0], printed[opened_at - 1], printed[-1]) == ("LOCKED", "succeeded", "succeeded")
        await terminals.phone_is(Level.UNLOCKED)

        by_hand_said = await terminals.run(*by_hand)
        assert "Locked, as it should be, because it is 90 days overdue" in by_hand_said
        await terminals.phone_is(Level.UNLOCKED)
