"""The bridge's connections by TLS: to a broker that proves itself, and to those that do not."""

import asyncio
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import aiomqtt
import pytest

from broker_bridge.adapters.mqtt.lenders_link import LendersLink
from broker_bridge.adapters.mqtt.probe import probe
from broker_bridge.adapters.mqtt.tls import proof_of_broker
from broker_bridge.app.ports.broker import Broker, BrokerUnavailableError, Received
from broker_bridge.broker_files import broker_tls, phones_ca
from broker_bridge.check import Severity, check
from broker_bridge.settings import Settings, configure
from paylatch import resources
from paylatch.local.ports import LOOPBACK
from tests.bridge_rig import ACME, KeptLog
from tests.broker.bridge_process import install, started_bridge
from tests.broker.bridge_rig import TOPICS, address_of, alone
from tests.broker.tls_rig import TlsBroker, tls_broker
from tests.certificates import DAY, new_authority
from tests.conftest import PATIENCE_S, RealBroker


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[TlsBroker]:
    with tls_broker(tmp_path / "secured") as running:
        yield running


async def probed(broker: RealBroker, cafile: Path | None) -> str:
    """Return why a broker is not connected to; nothing if it is."""
    try:
        await probe(LOOPBACK, broker.services_port, "bridge", broker.services["bridge"], proof_of_broker(cafile))
    except BrokerUnavailableError as error:
        return str(error)
    return ""


async def test_a_bridge_is_connected_once_its_broker_proves_itself(secured: TlsBroker, tmp_path: Path) -> None:
    installed = await install(secured.broker, tmp_path, tls=secured.by_tls)
    secured.authority.issue(secured.certfile, begins=-2 * DAY, ends=-DAY)
    secured.broker.reload()
    *_, found = await check(configure(installed.settings).settings, online=True)
    assert (found.severity, found.about) == (Severity.ERROR, "broker")
    assert "certificate has expired" in found.text
    async with started_bridge(installed) as bridge:
        for event in ("broker_disconnected", "lenders_disconnected"):
            assert "certificate has expired" in (await bridge.logged(event))["error"]
        secured.authority.issue(secured.certfile)
        secured.broker.reload()
        await bridge.is_connected()
        assert await bridge.terminate() == 0
    *_, found = await check(configure(installed.settings).settings, online=True)
    assert (found.severity, found.about) == (Severity.OK, "broker")


async def test_phones_connect_as_enrolment_told_them(secured: TlsBroker, tmp_path: Path) -> None:
    for_phones = {"phones_tls": True, "phones_cafile": str(secured.authority.cafile)}
    installed = await install(secured.broker, tmp_path, tls=secured.by_tls | for_phones)
    key, phones, scenario = (tmp_path / name for name in ("acme.key", "fleet.jsonl", "lock.toml"))
    key.write_text(installed.api_key)
    scenario.write_text(
        'about = "A lock"\nphones = 3\n[[step]]\ndo = "decide"\n'
        'decisions = [{ type = "payment_overdue", days_overdue = 90, expect = "locked" }]\n[[step]]\ndo = "settle"\n'
    )
    bridge_is = ("--url", installed.url, "--key-file", str(key))
    async with started_bridge(installed) as bridge:
        await bridge.is_connected()
        said = await fleet("enrol", "--phones", "3", "--out", str(phones), *bridge_is)
        assert f"they connect to {LOOPBACK}:{secured.broker.phones_port} by TLS" in said
        await fleet("run", str(scenario), "--fleet", str(phones), "--quiet", *bridge_is)
        # Without a file, the phones are new.
        await fleet("run", str(scenario), "--first", "10", "--quiet", *bridge_is)


async def fleet(*arguments: str) -> str:
    command = (sys.executable, "-m", "paylatch", "fleet", *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_what_the_document_says_of_certificates_works(
    secured: TlsBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, document = (Path(__file__).parents[2] / "docs" / "access.md").read_text().partition("## TLS to the broker")
    commands, lines, settings = re.findall(r"```(?:sh|toml)?\n(.*?)```", document, re.DOTALL)[:3]
    made = tmp_path / "made"
    made.mkdir()
    script = commands.replace("broker.example", "localhost")
    await asyncio.to_thread(subprocess.run, ["/bin/sh", "-ec", script], cwd=made, check=True, capture_output=True)
    for name in ("server.pem", "server.key"):
        # Over what is there, with the rights that the broker's account has to it.
        (secured.certfile.parent / name).write_bytes((made / name).read_bytes())
    secured.broker.reload()
    commented = {line.lstrip("# ") for line in resources.MOSQUITTO_CONF.read_text().splitlines()}
    assert set(lines.splitlines()) <= commented
    monkeypatch.chdir(made)
    broker = Settings(**tomllib.loads(settings)).broker
    assert phones_ca(broker) == (made / "ca.pem").read_text()
    password = secured.broker.services["bridge"]
    await probe("localhost", secured.broker.services_port, broker.username, password, broker_tls(broker))


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"begins": -2 * DAY, "ends": -DAY}, "has expired"),
    "not yet valid": ({"begins": DAY, "ends": 2 * DAY}, "is not valid yet"),
    "another address": ({"name": "IP:192.0.2.1"}, "is not for this host"),
    "another name": ({"name": "DNS:broker.example"}, "is not for this host"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_wrong_with_a_certificate_is_said(secured: TlsBroker, fault: str) -> None:
    certificate, says = FAULTS[fault]
    secured.authority.issue(secured.certfile, **certificate)
    secured.broker.reload()
    said = await probed(secured.broker, secured.authority.cafile)
    assert said == f"{LOOPBACK}:{secured.broker.services_port}: no connection: the server's certificate {says}"


async def test_only_the_cas_that_are_named_count(
    secured: TlsBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_authority(tmp_path / "other")
    for cafile in (None, other.cafile):
        assert (await probed(secured.broker, cafile)).endswith("the server's certificate is signed by an unknown CA")
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authority.cafile))
    assert await probed(secured.broker, None) == "", "it is one of the system's now"
    assert await probed(secured.broker, other.cafile) != "", "the system's count only where none is named"


async def test_a_listener_that_speaks_no_tls_is_said_so(broker: RealBroker) -> None:
    assert (await probed(broker, None)).endswith("does it speak TLS on this port?")


async def test_all_that_comes_at_once_by_tls_is_heard(secured: TlsBroker) -> None:
    """Several messages share a record: of those the socket says nothing any more when the first has been read."""
    secured.broker.add_services(ACME)
    proof = proof_of_broker(secured.authority.cafile)
    address = address_of(secured.broker, tls=proof)
    link = LendersLink(address, TOPICS, random=Random(1), log=KeptLog())  # noqa: S311 - jitter
    sent, heard, ready = [b"%d" % number for number in range(200)], asyncio.Queue[bytes](), asyncio.Event()

    async def on_session(_: Broker) -> None:
        ready.set()
        await asyncio.Event().wait()

    def receive(received: Received) -> None:
        heard.put_nowait(received.payload)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(alone, receive, on_session))
        await ready.wait()
        client = aiomqtt.Client(
            *(LOOPBACK, secured.broker.services_port),
            username=ACME,
            password=secured.broker.services[ACME],
            tls_context=proof,
        )
        async with client:
            await asyncio.gather(*(client.publish(TOPICS.decisions(ACME), payload, qos=1) for payload in sent))
        assert [await heard.get() for _ in sent] == sent
        running.cancel()
