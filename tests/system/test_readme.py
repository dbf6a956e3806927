"""What the README tells a lender to do works as it stands there."""

import re
import tomllib
from pathlib import Path
from typing import Any

import httpx

from broker_bridge.settings import Settings, refuse_unsafe
from tests.broker.bridge_process import install, running_bridge
from tests.conftest import RealBroker

_README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_JSON = {"Content-Type": "application/json"}  # what --json says
_CURL = re.compile(r"^curl -sS http://[^/]+(?P<path>/\S+) [^'\n]*(?:--json '(?P<body>[^']+)')?$", re.MULTILINE)


def test_the_readmes_settings_are_accepted() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", _README, re.DOTALL)
    content: dict[str, Any] = tomllib.loads(toml)
    refuse_unsafe(Settings(**content))


async def test_the_readmes_requests_enrol_lock_and_open_a_phone(own_broker: RealBroker, tmp_path: Path) -> None:
    installed = await install(own_broker, tmp_path)
    headers = {"Authorization": f"Bearer {installed.api_key}"}
    answers = []
    async with running_bridge(installed), httpx.AsyncClient(base_url=installed.url, headers=headers) as lender:
        for path, body in _CURL.findall(_README):
            method = "POST" if body else "GET"
            answers.append(await lender.request(method, path, content=body or None, headers=_JSON if body else None))
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]
    _, locked, opened, phone = (answer.json() for answer in answers)
    assert (locked["level"], opened["level"], phone["desired"]["level"]) == ("locked", "unlocked", "unlocked")
