"""schemathesis asks the live service whatever its document allows, and what it does not, with all of its checks.

A longer run by hand, with another seed: `PAYLATCH_SCHEMATHESIS="-n 500 --seed 7" .venv/bin/pytest
tests/system/test_schemathesis.py -s --timeout 3600`.
"""

import asyncio
import os
import shlex
import sys
from pathlib import Path

import httpx

from broker_bridge.domain.access import api_key_hash, key_id_of
from device_sim.identities import simulated_imei
from tests.broker.bridge_process import Installation, install, lender_of, running_bridge
from tests.conftest import RealBroker
from tests.http.conftest import DEVICE_KEY

_ROOT = Path(__file__).parents[2]
_PHONES = 20
_EXTENT = shlex.split(os.environ.get("PAYLATCH_SCHEMATHESIS", "-n 20 --seed 1"))


async def enrol_some(lender: httpx.AsyncClient) -> None:
    for number in range(_PHONES):
        body = {"imei": simulated_imei(number), "loan_id": f"loan-{number}", "device_key": DEVICE_KEY, "consent": "x"}
        assert (await lender.post("/v1/phones", json=body)).status_code == 201


async def schemathesis(installed: Installation, directory: Path) -> tuple[int | None, str]:
    """Run it, and return its exit code and what it says."""
    command = (sys.executable, "-m", "schemathesis.cli", "run", f"{installed.url}/openapi.json", *_EXTENT)
    asking = ("--checks", "all", "--continue-on-failure", "--no-color", "--header")
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "SCHEMATHESIS_HOOKS": "tests.system.schemathesis_hooks",
        "PAYLATCH_TEST_KEY_ID": key_id_of(api_key_hash(installed.api_key)),
    }
    process = await asyncio.create_subprocess_exec(
        *(*command, *asking, f"Authorization: Bearer {installed.api_key}"),
        cwd=directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_whatever_the_document_allows_is_answered_as_the_document_says(
    own_broker: RealBroker, tmp_path: Path
) -> None:
    installed = await install(own_broker, tmp_path)
    async with running_bridge(installed) as bridge, lender_of(installed) as lender:
        await enrol_some(lender)
        code, said = await schemathesis(installed, tmp_path)
        sys.stdout.write(said)
        assert code == 0
        assert (await lender.get("/readyz")).status_code == 200
        assert await bridge.terminate() == 0
