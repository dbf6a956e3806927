"""What docs/integrate.md tells a lender's engineer to do works as it stands there."""

import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from tests.conftest import PATIENCE_S
from tests.system.terminals import Terminals, said

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "integrate.md").read_text(encoding="utf-8")
_BLOCKS: list[tuple[str, str]] = re.findall(r"^```(sh|python)\n(.*?)^```", _DOCUMENT, re.DOTALL | re.MULTILINE)
IMEI = Imei("001017000000003")
_KNOWING_WHERE = ". quickstart/env\n"


@dataclass
class Reader:
    """Whoever follows the document: terminals in one directory, of which the first runs quickstart."""

    terminals: Terminals

    async def run(self, kind: str, block: str) -> str:
        """Run a block to its end, in a terminal that knows where everything is, and return what it said."""
        if kind == "python":
            (self.terminals.directory / "block.py").write_text(block, encoding="utf-8")
            block = f"{sys.executable} block.py"
        return await self.terminals.run(_KNOWING_WHERE + block)

    async def phone_is(self, level: Level) -> None:
        """Return when the phone itself is at this level."""
        fleet = FleetControl(self.terminals.directory / "quickstart" / "fleet.sock")
        assert await fleet.await_levels({IMEI: level}, PATIENCE_S) == []


async def steps(output: asyncio.StreamReader, decision_id: str) -> list[str]:
    """Return the steps that a decision is heard to take."""
    heard = []
    async with asyncio.timeout(PATIENCE_S):
        while "succeeded" not in heard:
            result = json.loads(await output.readline())
            heard += [result["step"]] if result["decision_id"] == decision_id else []
    return heard


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
    assert (set_up, where) == ("make setup\n", _KNOWING_WHERE)
    terminals = Terminals(tmp_path)
    reader = Reader(terminals)
    quickstart = quickstart.replace(".venv/bin/paylatch", f"{sys.executable} -m paylatch")
    async with terminals.running(quickstart) as first:
        await said(first, "the phone is unlocked")

        locked = json.loads(await reader.run(*curl_lock))
        (promised,) = re.findall(r"```json\n(.*?)```", _DOCUMENT, re.DOTALL)
        assert locked | {"command_id": "cmd_…"} == json.loads(promised)
        await said(first, "the phone is locked")
        assert json.loads(await reader.run(*curl_show))["desired"]["level"] == "locked"
        assert json.loads(await reader.run(*curl_open))["level"] == "unlocked"
        await said(first, "the phone is unlocked")

        assert await reader.run(*in_python) == "LOCKED succeeded\nUNLOCKED succeeded\n"

        async with terminals.running(_KNOWING_WHERE + listen) as third:
            heard = asyncio.create_task(third.readline())
            while not heard.done():  # what was sent before it was subscribed is answered again when it is sent again
                await reader.run(*mqtt_lock)
                await asyncio.wait([heard], timeout=1)
            assert json.loads(await heard)["decision_id"] == "mqtt-1"
            await reader.phone_is(Level.LOCKED)
            await reader.run(*mqtt_open)
            assert (await steps(third, "mqtt-2"))[0] == "decided"
            await reader.phone_is(Level.UNLOCKED)
            printed = (await reader.run(*mqtt_in_python)).split()
            opened_at = printed.index("UNLOCKED")
            assert (printed[0], printed[opened_at - 1], printed[-1]) == ("LOCKED", "succeeded", "succeeded")
        await reader.phone_is(Level.UNLOCKED)

        by_hand_said = await reader.run(*by_hand)
        assert "Locked, as it should be, because it is 90 days overdue" in by_hand_said
        await reader.phone_is(Level.UNLOCKED)
