"""A lender that speaks MQTT, on a real broker and a bridge process: what docs/mqtt.md says works as it stands there."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest

from broker_bridge.adapters.mqtt.passwords import put_lender_password
from broker_bridge.app.secret import new_secret
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId
from tests.broker.bridge_process import Installation, install, lender_of, online, running_bridge, switched_on
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S, RealBroker, hashed
from tests.http.conftest import DEVICE_KEY, overdue, payment

ACME, UMBRELLA = LenderId("acme"), LenderId("umbrella")
IMEI = Imei("001017000000003")
DECISIONS, RESULTS = TOPICS.decisions(ACME), TOPICS.results(ACME)
_DOCUMENT = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
_COMMANDS: list[str] = re.findall(r"```sh\n(.*?)```", _DOCUMENT, re.DOTALL)


@pytest.fixture
async def installed(own_broker: RealBroker, tmp_path: Path) -> Installation:
    return await install(own_broker, tmp_path, ACME)


@dataclass
class Shell:
    """Where the document's commands run: a home of its own, and the document's ports and paths put right."""

    home: Path
    places: dict[str, str]

    async def start(self, command: str) -> asyncio.subprocess.Process:
        for written, here in self.places.items():
            command = command.replace(written, here)
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        return await asyncio.create_subprocess_exec(
            *("sh", "-ec", f"exec 2>&1\n{command}"), cwd=self.home, env=environment, stdout=asyncio.subprocess.PIPE
        )

    async def run(self, command: str) -> None:
        process = await self.start(command)
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()


def shell_of(broker: RealBroker, installed: Installation, home: Path) -> Shell:
    (home / "acme.key").write_text(installed.api_key)
    files = broker.process.files
    places = {
        ".venv/bin/paylatch": f"{sys.executable} -m paylatch",
        "broker/services.passwd": str(files.services_passwords),
        "broker/mosquitto.pid": str(files.pid),
        "-p 1884": f"-p {broker.services_port}",
    }
    return Shell(home, places)


@dataclass
class Subscriber:
    """A running `mosquitto_sub`."""

    process: asyncio.subprocess.Process

    async def steps(self, *steps: str) -> list[dict[str, Any]]:
        """The next results, which have to be these steps."""
        results: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(results) < len(steps):
                line = await self._line()
                if line != b"probe":
                    results.append(json.loads(line))
        assert [result["step"] for result in results] == list(steps)
        return results

    async def is_subscribed(self, broker: RealBroker) -> None:
        """Return when what is published on the lender's results reaches it."""
        heard = asyncio.create_task(self._line())
        async with broker.service("bridge") as bridge, asyncio.timeout(PATIENCE_S):
            while not heard.done():
                await bridge.publish(RESULTS, b"probe", qos=1)
                await asyncio.wait([heard], timeout=0.1)
        assert await heard == b"probe"

    async def _line(self) -> bytes:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, "mosquitto_sub has ended"
        return line.strip()


@asynccontextmanager
async def subscribed(shell: Shell, command: str, broker: RealBroker) -> AsyncIterator[Subscriber]:
    process = await shell.start(f"exec {command}")
    try:
        subscriber = Subscriber(process)
        await subscriber.is_subscribed(broker)
        yield subscriber
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def enrol(broker: RealBroker, lender: httpx.AsyncClient, body: dict[str, Any]) -> None:
    response = await lender.post("/v1/phones", json=body)
    assert response.status_code == 201
    broker.phones[body["imei"]] = response.json()["mqtt"]["password"]


async def test_the_documents_commands_lock_and_open_a_phone(
    own_broker: RealBroker, installed: Installation, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    give_password, write_options, enrolment, listen, lock, unlock = _COMMANDS
    shell = shell_of(own_broker, installed, home)
    own_broker.reload()
    await shell.run(give_password)
    await shell.run(write_options)
    async with running_bridge(installed), lender_of(installed) as http:
        await enrol(own_broker, http, json.loads(re.findall(r"-d '([^']+)'", enrolment)[0]))
        async with (
            online(own_broker, switched_on(IMEI, installed.root)) as phone,
            subscribed(shell, listen, own_broker) as results,
        ):
            await phone.becomes(Level.UNLOCKED)
            for command, level in ((lock, Level.LOCKED), (unlock, Level.UNLOCKED)):
                await shell.run(command)
                decided, *_ = await results.steps("decided", "queued", "sent")
                assert decided["level"] == level.name.lower()
                await phone.becomes(level)
                (succeeded,) = await results.steps("succeeded")
                assert succeeded["command_id"] == decided["command_id"]


async def test_a_new_password_ends_what_was_connected_with_the_old_one(own_broker: RealBroker) -> None:
    own_broker.add_services(ACME, UMBRELLA)
    secret = new_secret()
    async with own_broker.service(UMBRELLA) as other:
        async with own_broker.service(ACME) as old:
            put_lender_password(own_broker.process.files.services_passwords, ACME, hashed({ACME: secret})[ACME])
            own_broker.reload()
            with pytest.raises(aiomqtt.MqttError):
                await old.publish(DECISIONS, b"", qos=1)
        own_broker.services[ACME] = secret
        async with own_broker.service(ACME) as new:
            await new.publish(DECISIONS, b"", qos=1)
        await other.publish(TOPICS.decisions(UMBRELLA), b"", qos=1)


@dataclass
class MqttLender:
    """A lender on a connection of its own, subscribed to its results."""

    client: aiomqtt.Client
    topic: str

    async def send(self, payload: object, *, retain: bool = False) -> None:
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.client.publish(self.topic, content, qos=1, retain=retain)

    async def result(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return dict(json.loads((await anext(self.client.messages)).payload))

    async def refusal(self) -> tuple[str | None, str]:
        result = await self.result()
        assert result["step"] == "refused"
        return result["decision_id"], result["problem"]["type"].rpartition(":")[2]


@asynccontextmanager
async def mqtt_lender(broker: RealBroker, lender: LenderId) -> AsyncIterator[MqttLender]:
    async with broker.service(lender) as client:
        await client.subscribe(TOPICS.results(lender), qos=1)
        yield MqttLender(client, TOPICS.decisions(lender))


@asynccontextmanager
async def enrolled_lender(broker: RealBroker, installed: Installation) -> AsyncIterator[MqttLender]:
    """A bridge that runs, one phone, and its lender over MQTT."""
    broker.add_services(ACME, UMBRELLA)
    async with running_bridge(installed), lender_of(installed) as http:
        body = {"imei": IMEI, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
        await enrol(broker, http, body)
        async with mqtt_lender(broker, ACME) as lender:
            yield lender


async def test_bad_messages_are_refused_one_by_one_and_the_next_good_one_is_taken(
    own_broker: RealBroker, installed: Installation
) -> None:
    no_json = (b"", b"paid", b'{"decision_id": "a", "decision_id": "b"}', b'{"amount_due": NaN}', b"[" * 16_384)
    async with enrolled_lender(own_broker, installed) as lender:
        for payload in no_json:
            await lender.send(payload)
            assert await lender.refusal() == (None, "not-json")
        await lender.send(overdue(imei=IMEI, lender=UMBRELLA))
        assert await lender.refusal() == ("d1", "invalid-body")
        await lender.send(overdue(imei="001017000000011"))
        assert await lender.refusal() == ("d1", "unknown-phone")
        await lender.send(overdue(imei=IMEI), retain=True)
        assert await lender.refusal() == (None, "retained")
        await lender.send(overdue(imei=IMEI))
        assert (await lender.result())["step"] == "decided"


async def test_a_message_that_is_too_large_is_never_heard_of(own_broker: RealBroker, installed: Installation) -> None:
    async with enrolled_lender(own_broker, installed) as lender:
        # MQTT 3.1.1: its client learns no limits from the broker, so it really sends too much.
        async with aiomqtt.Client(
            "127.0.0.1",
            own_broker.services_port,
            username=ACME,
            password=own_broker.services[ACME],
            protocol=aiomqtt.ProtocolVersion.V311,
        ) as unlimited:
            await unlimited.publish(DECISIONS, b" " * 16_385, qos=1)
            await unlimited.publish(DECISIONS, json.dumps(overdue("after", imei=IMEI)).encode(), qos=1)
        assert (await lender.result())["decision_id"] == "after"


async def test_a_will_of_the_lenders_own_is_a_decision(own_broker: RealBroker, installed: Installation) -> None:
    async with enrolled_lender(own_broker, installed) as lender:
        will = aiomqtt.Will(DECISIONS, json.dumps(overdue("will", imei=IMEI)).encode(), qos=1)
        access = own_broker.services[ACME]
        dying = aiomqtt.Client(
            "127.0.0.1", own_broker.services_port, username=ACME, password=access, identifier="dying", will=will
        )
        async with dying:
            # Taking the client id over ends the first session without a goodbye, which is what sends a will.
            async with own_broker.service(ACME, client_id="dying"):
                assert ((await lender.result())["decision_id"]) == "will"
            with pytest.raises(aiomqtt.MqttError):
                await dying.publish(DECISIONS, b"", qos=1)


async def test_the_same_decision_by_http_and_by_mqtt_is_one(own_broker: RealBroker, installed: Installation) -> None:
    async with enrolled_lender(own_broker, installed) as lender, lender_of(installed) as http:
        await lender.send(overdue(imei=IMEI))
        decided = await lender.result()
        answer = (await http.post("/v1/decisions", json=overdue(imei=IMEI))).json()
        assert (answer["command_id"], answer["repeated"]) == (decided["command_id"], True)
        conflict = await http.post("/v1/decisions", json=overdue(imei=IMEI, days_overdue=1))
        assert conflict.status_code == 422


async def test_a_retained_decision_is_not_read_when_the_bridge_connects(
    own_broker: RealBroker, installed: Installation
) -> None:
    own_broker.add_services(ACME)
    async with own_broker.service(ACME) as early:
        await early.publish(DECISIONS, json.dumps(overdue(imei=IMEI)).encode(), qos=1, retain=True)
    async with enrolled_lender(own_broker, installed) as lender:
        await lender.send(payment(imei=IMEI))
        assert (await lender.result())["decision_id"] == "p1"


async def test_decisions_are_taken_again_once_a_killed_broker_is_back(
    own_broker: RealBroker, installed: Installation
) -> None:
    own_broker.add_services(ACME)
    async with running_bridge(installed) as bridge, lender_of(installed) as http:
        body = {"imei": IMEI, "loan_id": "loan", "device_key": DEVICE_KEY, "consent": "signed on paper"}
        await enrol(own_broker, http, body)
        own_broker.process.kill()
        own_broker.process.start()
        await bridge.is_connected()
        async with mqtt_lender(own_broker, ACME) as lender:
            await lender.send(overdue(imei=IMEI))
            assert (await lender.result())["step"] == "decided"
            await lender.send(overdue(imei=IMEI))
            results = [await lender.result() for _ in range(4)]
            assert sum(result["step"] == "decided" for result in results) == 1


async def test_a_burst_of_a_thousand_is_answered_whole(own_broker: RealBroker, installed: Installation) -> None:
    ids = [f"p{number}" for number in range(1000)]
    async with enrolled_lender(own_broker, installed) as lender:
        sending = [lender.send(payment(name, imei=IMEI, cures=False)) for name in ids]
        await asyncio.gather(*sending)
        assert {(await lender.result())["decision_id"] for _ in ids} == set(ids)


async def test_a_lenders_flood_delays_neither_a_phones_hello_nor_another_lender(
    own_broker: RealBroker, installed: Installation
) -> None:
    async with (
        enrolled_lender(own_broker, installed) as lender,
        online(own_broker, switched_on(IMEI, installed.root)) as phone,
        mqtt_lender(own_broker, UMBRELLA) as other,
    ):
        await phone.becomes(Level.UNLOCKED)
        flood = asyncio.create_task(send_without_end(lender))
        for number in range(5):
            async with asyncio.timeout(PATIENCE_S):
                await phone.is_answered()
                await other.send(overdue(f"other-{number}", imei=IMEI))
                assert (await other.refusal()) == (f"other-{number}", "unknown-phone")
        assert not flood.done()
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


async def send_without_end(lender: MqttLender) -> None:
    while True:
        await asyncio.gather(*(lender.client.publish(DECISIONS, b"flood", qos=0) for _ in range(200)))
