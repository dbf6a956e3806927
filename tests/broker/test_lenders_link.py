"""The lenders' connection on a real broker: a flood is read as fast as it comes."""

import asyncio
import shutil
import subprocess
from random import Random

from broker_bridge.adapters.mqtt.lenders_link import LendersLink
from broker_bridge.app.ports.broker import Broker, Received
from lock_protocol.messages import LenderId
from paylatch.local.ports import LOOPBACK
from tests.bridge_rig import KeptLog
from tests.broker.bridge_rig import TOPICS, address_of, alone
from tests.conftest import PATIENCE_S, RealBroker

ACME = LenderId("acme")
MESSAGES = 500


def flood(broker: RealBroker) -> None:
    """Publish as a lender, and return when the broker has it all; nothing else is done in this process meanwhile."""
    mosquitto_pub = shutil.which("mosquitto_pub")
    assert mosquitto_pub is not None
    where = ["-h", LOOPBACK, "-p", str(broker.services_port), "-u", ACME, "-P", broker.services[ACME]]
    what = ["-q", "1", "-t", TOPICS.decisions(ACME), "-m", "flood", "--repeat", str(MESSAGES)]
    subprocess.run([mosquitto_pub, *where, *what], check=True, timeout=PATIENCE_S)


async def test_what_has_come_meanwhile_is_read_at_once_however_much_it_is(own_broker: RealBroker) -> None:
    """The broker has one queue for all lenders: each message that costs a turn of the loop has the next lender wait."""
    own_broker.add_services(ACME)
    link = LendersLink(address_of(own_broker), TOPICS, random=Random(1), log=KeptLog())  # noqa: S311 - jitter
    heard: list[Received] = []
    ready = asyncio.Event()

    async def session(_: Broker) -> None:
        ready.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(link.run(alone, heard.append, session))
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
        flood(own_broker)
        turns = 0
        while len(heard) < MESSAGES:
            await asyncio.sleep(0)
            turns += bool(heard)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert turns < MESSAGES / 10
