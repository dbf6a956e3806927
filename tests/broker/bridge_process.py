"""The bridge as a process of its own, as production starts it, and one phone core that talks to a real broker."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiomqtt
import httpx

from broker_bridge.adapters.signing.keys import init_development_keys
from broker_bridge.safety import load
from broker_bridge.settings import NOTHING
from broker_bridge.tenants import add_lender
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId
from lock_protocol.topics import PhoneTopic
from paylatch.local.ports import LOOPBACK, free_ports
from tests.bridge_rig import ACME
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S, RealBroker
from tests.loopback.world import LinkedHandset

_RUN = "import asyncio, sys; from pathlib import Path; from broker_bridge import main, safety; \
asyncio.run(main.run(safety.load(Path(sys.argv[1]))))"


@dataclass
class Installation:
    """What one bridge is set up with."""

    settings: Path
    api_key: str
    url: str
    root: bytes


async def install(
    broker: RealBroker,
    directory: Path,
    lender: LenderId = ACME,
    *,
    database: str | None = None,
    tls: Mapping[str, object] = NOTHING,
) -> Installation:
    """Make keys, settings and a lender; without a URL the database is a SQLite file. `tls` is for [broker]."""
    (port,) = free_ports(1)
    keys, settings, password = directory / "keys", directory / "bridge.toml", directory / "bridge.password"
    init_development_keys(keys, lender, now=int(time.time()), hosts=["pay.example"])
    password.write_text(broker.services["bridge"])
    options: dict[str, object] = {
        "database": database or f"sqlite:///{directory / 'paylatch.db'}",
        "keys": str(keys),
        "policy": "replay",
        "development": True,
    }
    http: dict[str, object] = {"host": LOOPBACK, "port": port}
    mqtt: dict[str, object] = {
        "port": broker.services_port,
        "password_file": str(password),
        "phones_port": broker.phones_port,
        "phones_passwords": str(broker.process.files.phones_passwords),
        "pid_file": str(broker.process.files.pid),
        **tls,
    }
    imports: dict[str, object] = {"directory": str(directory / "imports")}
    sections = ["[http]", *_toml(http), "[broker]", *_toml(mqtt), "[imports]", *_toml(imports)]
    settings.write_text("\n".join([*_toml(options), *sections]))
    key = await add_lender(load(settings), lender)
    return Installation(settings, key, f"http://{LOOPBACK}:{port}", (keys / "root.envelope").read_bytes())


def _toml(table: dict[str, object]) -> list[str]:
    """TOML's strings, numbers and booleans are written as JSON's."""
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


class BridgeProcess:
    """A running bridge, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def logged(self, event: str) -> dict[str, Any]:
        """Return the next log entry of this event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stderr:
                if line.startswith(b"{") and (entry := json.loads(line))["event"] == event:
                    return dict(entry)
        raise AssertionError(f"the bridge ended before it logged {event}")

    async def is_connected(self) -> None:
        """Return when both of its connections stand, whichever comes first."""
        missing = {"broker_connected", "lenders_connected"}
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while missing:
                line = await self.process.stderr.readline()
                assert line, "the bridge ended before it was connected"
                missing -= {json.loads(line)["event"]} if line.startswith(b"{") else set()

    async def terminate(self) -> int:
        """Tell it to stop, and return its exit code."""
        self.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def running_bridge(installed: Installation) -> AsyncIterator[BridgeProcess]:
    async with started_bridge(installed) as bridge:
        await bridge.is_connected()
        yield bridge


@asynccontextmanager
async def started_bridge(installed: Installation) -> AsyncIterator[BridgeProcess]:
    """A bridge that may never connect."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _RUN, str(installed.settings)), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield BridgeProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@dataclass
class OnlinePhone:
    """A phone core on a real connection."""

    handset: LinkedHandset
    client: aiomqtt.Client

    async def becomes(self, level: Level) -> None:
        """Receive and answer until the phone is at this level, confirmed."""
        await self._say()
        async with asyncio.timeout(PATIENCE_S):
            while (self.handset.level, self.handset.phone.memory.confirmed) != (level, True):
                await self._hear(await anext(self.client.messages))

    async def is_answered(self) -> None:
        """Say hello and return when it has been answered: whatever was said before has been judged by then."""
        self.handset.press_check()
        await self._say()
        async with asyncio.timeout(PATIENCE_S):
            while self.handset.phone.dialogue.nonce is not None:
                await self._hear(await anext(self.client.messages))

    async def _hear(self, message: aiomqtt.Message) -> None:
        _, kind = TOPICS.parse_phone(message.topic.value)
        payload = message.payload
        self.handset.receive(payload) if kind is PhoneTopic.DESIRED else self.handset.receive_fresh(payload)
        await self._say()

    async def _say(self) -> None:
        words, self.handset.words = self.handset.words, []
        for topic, envelope in words:
            await self.client.publish(TOPICS.phone(self.handset.imei, topic), envelope, qos=1)


@asynccontextmanager
async def online(broker: RealBroker, handset: LinkedHandset) -> AsyncIterator[OnlinePhone]:
    async with broker.phone(handset.imei) as client:
        for kind in (PhoneTopic.DESIRED, PhoneTopic.FRESH):
            await client.subscribe(TOPICS.phone(handset.imei, kind), qos=1)
        handset.connect()
        yield OnlinePhone(handset, client)
    handset.disconnect()


def switched_on(imei: Imei, root: bytes) -> LinkedHandset:
    handset = LinkedHandset(SimpleNamespace(envelope=root), imei=imei)
    handset.boot()
    return handset


def lender_of(installed: Installation) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {installed.api_key}"}
    return httpx.AsyncClient(base_url=installed.url, headers=headers, timeout=PATIENCE_S)
