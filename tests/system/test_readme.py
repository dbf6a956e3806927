"""What the README tells a newcomer to do, from nothing to a bridge that locks and opens, works as it stands there."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import aiomqtt

from lock_protocol.imei import Imei
from lock_protocol.topics import PhoneTopic, Topics
from paylatch.local.ports import free_ports
from tests.conftest import PATIENCE_S
from tests.system.terminals import Terminals, said

_README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_SECTION = _README.partition("\n## Run the bridge yourself\n")[2].partition("\n## ")[0]
_COMMANDS: list[str] = re.findall(r"^```sh\n(.*?)^```", _SECTION, re.DOTALL | re.MULTILINE)
_SETTINGS: list[str] = re.findall(r"^```toml\n(.*?)^```", _SECTION, re.DOTALL | re.MULTILINE)
_SBIN = "PATH=$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin\n"
"""Where a broker may be that the PATH leaves out, as the section says."""


async def test_the_readme_leads_to_a_bridge_that_enrols_locks_and_opens_a_phone(tmp_path: Path) -> None:
    make, start_broker, look, start_bridge, requests = _COMMANDS
    (settings,) = _SETTINGS
    phones, services, http = free_ports(3)
    overrides = {"BROKER__PORT": services, "BROKER__PHONES_PORT": phones, "HTTP__PORT": http}
    terminals = Terminals(tmp_path, {f"PAYLATCH_{name}": str(port) for name, port in overrides.items()})
    await terminals.run(_here(make).replace("init", f"init --phones-port {phones} --services-port {services}", 1))
    async with terminals.running(f"exec 2>&1\n{_SBIN}{start_broker}") as broker:
        await said(broker, " running")
        (tmp_path / "bridge.toml").write_text(settings, encoding="utf-8")
        checked = await terminals.run(_here(look))
        assert [line.split()[:2] for line in checked.splitlines() if not line.startswith("ok ")] == [
            ["warning", "safety:"]  # it is for development
        ]
        async with terminals.running(f"exec 2>&1\n{_here(start_bridge)}") as bridge:
            await said(bridge, '"broker_connected"', '"lenders_connected"')
            answers = _objects(await terminals.run(requests.replace("8080", str(http))))
            assert await _own_state(answers[0])
    enrolled, locked, opened, phone = answers
    assert enrolled["mqtt"]["port"] == phones
    assert (locked["level"], opened["level"], phone["desired"]["level"]) == ("locked", "unlocked", "unlocked")


def _here(commands: str) -> str:
    return commands.replace(".venv/bin/paylatch", f"{sys.executable} -m paylatch")


def _objects(text: str) -> list[dict[str, Any]]:
    """Return JSON objects that stand one after the other."""
    found, rest = [], text
    while rest:
        one, end = json.JSONDecoder().raw_decode(rest)
        found.append(one)
        rest = rest[end:].lstrip()
    return found


async def _own_state(enrolled: dict[str, Any]) -> bytes | bytearray:
    """Return what a phone is sent that connects as its enrolment says."""
    imei, mqtt = Imei(enrolled["imei"]), enrolled["mqtt"]
    account = {"username": imei, "password": mqtt["password"], "identifier": imei}
    async with aiomqtt.Client(mqtt["host"], mqtt["port"], **account) as phone, asyncio.timeout(PATIENCE_S):
        await phone.subscribe(Topics(mqtt["topic_prefix"]).phone(imei, PhoneTopic.DESIRED), qos=1)
        message = await anext(phone.messages)
        assert isinstance(message.payload, (bytes, bytearray))
        return message.payload
