"""A fleet as its own process, and a stand-in for the bridge that signs, retains and answers hellos."""

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import FleetLine, new_device_seed, write_fleet
from lock_protocol.codec import decode
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import Reported
from lock_protocol.topics import PhoneTopic, Topics
from tests.conftest import PATIENCE_S, RealBroker
from tests.loopback.lender import Lender

TOPICS = Topics()


@dataclass
class StandIn:
    """What the bridge does for phones, without a database: one connection, one lender."""

    lender: Lender
    client: aiomqtt.Client
    reports: dict[Imei, Reported]

    async def order(self, imeis: Iterable[Imei], level: Level) -> None:
        """Publish the next state of each phone."""
        for imei in imeis:
            await self.publish(imei, self.lender.order(imei, level))

    async def publish(self, imei: Imei, payload: bytes, topic: PhoneTopic = PhoneTopic.DESIRED) -> None:
        retain = topic is PhoneTopic.DESIRED
        # Without a timeout: aiomqtt's loses cancellations (see device_sim/adapters/mqtt.py), and pytest has one.
        await self.client.publish(TOPICS.phone(imei, topic), payload, qos=1, retain=retain, timeout=math.inf)

    async def publish_all(self) -> None:
        """Publish every phone's newest state again, as after a broker's crash."""
        for imei, state in self.lender.newest.items():
            await self.publish(imei, self.lender.sign(state))

    async def answer_phones(self) -> None:
        """Answer hellos and keep reports until cancelled."""
        async for message in self.client.messages:
            imei, topic = TOPICS.parse_phone(message.topic.value)
            if topic is PhoneTopic.REPORTED:
                self.reports[imei] = decode(Reported, read_envelope(message.payload).payload)
            elif imei in self.lender.newest:
                fresh = self.lender.answer(message.payload, sequence=self._last_sequence(imei))
                await self.publish(imei, fresh, PhoneTopic.FRESH)

    def _last_sequence(self, imei: Imei) -> int:
        report = self.reports.get(imei)
        return 0 if report is None else report.sequence


@asynccontextmanager
async def stand_in(broker: RealBroker, lender: Lender) -> AsyncIterator[StandIn]:
    async with broker.service("bridge", client_id="stand-in") as client, asyncio.TaskGroup() as tasks:
        bridge = StandIn(lender, client, {})
        for kind in (PhoneTopic.HELLO, PhoneTopic.REPORTED):
            await client.subscribe(TOPICS.all_phones(kind), qos=1)
        answering = tasks.create_task(bridge.answer_phones(), name="stand-in")
        yield bridge
        answering.cancel()


def fleet_command(broker: RealBroker, directory: Path) -> list[str]:
    """The command line of a fleet whose file and socket are in `directory`."""
    return [
        *(sys.executable, "-m", "device_sim", "--port", str(broker.phones_port), "--backoff-cap-s", "1"),
        *("--phones", str(directory / "fleet.jsonl"), "--control", str(directory / "fleet.sock")),
    ]


@asynccontextmanager
async def running_fleet(
    broker: RealBroker, lender: Lender, imeis: list[Imei], directory: Path, *more: str
) -> AsyncIterator[FleetControl]:
    """Yield the control of a fleet process that has said it is ready; it must end well on SIGTERM."""
    broker.add_phones(*imeis)
    root = lender.authority.envelope
    write_fleet(directory / "fleet.jsonl", [_line(broker, imei, root) for imei in imeis])
    process = await asyncio.create_subprocess_exec(
        *fleet_command(broker, directory), *more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready phones=%d\n" % len(imeis)
        yield FleetControl(directory / "fleet.sock")
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            _, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b""), complaints.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _line(broker: RealBroker, imei: Imei, root: bytes) -> FleetLine:
    return FleetLine(imei=imei, device_seed=new_device_seed(), password=broker.phones[imei], root=root)
