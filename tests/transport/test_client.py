"""What the bridge's MQTT client promises to whoever publishes, on a real broker and on one that misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import mqtt5
import pytest

from broker_bridge.adapters.mqtt.client import BrokerAddress, BrokerConnection
from broker_bridge.app.ports.broker import Broker, BrokerUnavailableError, PublishRefusedError
from mqtt_transport import Connector, Login
from paylatch.local.ports import LOOPBACK
from tests.broker.bridge_rig import TOPICS, address_of
from tests.conftest import PATIENCE_S, RealBroker
from tests.transport.peer import Peer, serving

TOPIC = TOPICS.root(77)
WINDOW = 5
"""How many publishes a server takes before their PUBACKs."""


@asynccontextmanager
async def connected(address: BrokerAddress) -> AsyncIterator[Broker]:
    connection = BrokerConnection(lambda received: received.acknowledge())
    login = Login(client_id=address.client_id, username=address.username, password=address.password)
    await connection.open(Connector(address.host, address.port), login)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(autouse=True)
async def leaves_nothing(broker: RealBroker) -> AsyncIterator[None]:
    """Forget what was retained: the phones of other tests hear every root."""
    yield
    async with broker.service("bridge", client_id="cleaner") as bridge:
        await bridge.publish(TOPIC, b"", qos=1, retain=True)


def address_on(peer: Peer) -> BrokerAddress:
    return BrokerAddress(host=LOOPBACK, port=peer.port, username="bridge", password="any", client_id="bridge")


def publishing(broker: Broker, count: int) -> "list[asyncio.Task[None]]":
    return [asyncio.create_task(broker.publish(TOPIC, b"%d" % number, retain=True)) for number in range(count)]


async def test_what_is_published_has_arrived_when_publish_returns(broker: RealBroker) -> None:
    payload = bytes(range(256)) * 64  # 16,384 bytes: the largest that the broker takes
    async with connected(address_of(broker)) as bridge, broker.service("auditor") as auditor:
        await bridge.publish(TOPIC, payload, retain=True)
        await auditor.subscribe(TOPIC, qos=1)
        message = await anext(auditor.messages)
    assert (message.payload, message.retain) == (payload, True)


async def test_what_is_not_to_be_retained_is_not(broker: RealBroker) -> None:
    async with connected(address_of(broker)) as bridge, broker.service("auditor") as auditor:
        await bridge.publish(TOPIC, b"", retain=True)  # forget what other tests have left
        await bridge.publish(TOPIC, b"before", retain=False)
        await auditor.subscribe(TOPIC, qos=1)
        await bridge.publish(TOPIC, b"after", retain=False)
        assert (await anext(auditor.messages)).payload == b"after"


async def test_a_refused_publish_says_why_and_ends_nothing(broker: RealBroker) -> None:
    async with connected(address_of(broker)) as bridge:
        with pytest.raises(PublishRefusedError, match="Not authorized"):
            await bridge.publish("elsewhere/topic", b"x", retain=False)
        await bridge.publish(TOPIC, b"x", retain=False)


async def test_a_broker_that_is_killed_ends_all_that_waits_and_the_next_one_is_as_good(own_broker: RealBroker) -> None:
    async with connected(address_of(own_broker)) as bridge:
        waiting = publishing(bridge, 2000)
        await asyncio.sleep(0)  # each is handed over
        own_broker.process.kill()
        async with asyncio.timeout(PATIENCE_S):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), BrokerUnavailableError}
        assert isinstance(outcomes[-1], BrokerUnavailableError)
    own_broker.process.start()
    async with connected(address_of(own_broker)) as bridge:
        await bridge.publish(TOPIC, b"x", retain=False)


async def test_whoever_takes_the_client_id_over_ends_the_connection(broker: RealBroker) -> None:
    async def publish_for_ever(bridge: Broker) -> None:
        while True:
            await bridge.publish(TOPIC, b"x", retain=False)

    async with connected(address_of(broker)) as first, connected(address_of(broker)) as second:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(BrokerUnavailableError):
                await publish_for_ever(first)
        await second.publish(TOPIC, b"x", retain=False)


async def test_a_wrong_password_is_named(broker: RealBroker) -> None:
    with pytest.raises(BrokerUnavailableError, match="Not authorized"):
        async with connected(replace(address_of(broker), password="wrong")):
            pytest.fail("the broker has let it in")


async def test_nobody_there_is_said_at_once() -> None:
    async with serving(Peer()) as peer:
        nowhere = address_on(peer)
    with pytest.raises(BrokerUnavailableError, match="failed"):
        async with connected(nowhere):
            pytest.fail("somebody has let it in")


async def test_no_more_is_unacknowledged_than_the_window_allows() -> None:
    count = 4 * WINDOW
    most = mqtt5.ConnAckPacket(receive_max=WINDOW).write()
    async with serving(Peer(connack=most, puts_back=False)) as peer, connected(address_on(peer)) as bridge:
        waiting = publishing(bridge, count)
        for acknowledged in range(count):
            sent = min(acknowledged + WINDOW, count)
            await asyncio.wait_for(peer.until_published(sent), PATIENCE_S)
            assert len(peer.published()) == sent
            packet_id = peer.published()[acknowledged].packet_id
            assert packet_id is not None
            peer.say(mqtt5.PubAckPacket(packet_id).write())
        await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
    assert [packet.payload for packet in peer.published()] == [b"%d" % number for number in range(count)]
    assert not any(packet.duplicate for packet in peer.published())


async def connect_and_publish(peer: Peer) -> None:
    async with connected(address_on(peer)) as bridge:
        await bridge.publish(TOPIC, b"x", retain=False)


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_leaves_no_connection_behind(turns: int) -> None:
    async with serving(Peer(puts_back=False)) as peer:
        task = asyncio.create_task(connect_and_publish(peer))
        for _ in range(turns):
            await asyncio.sleep(0)  # one turn of the loop: the next place to be cancelled at
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


async def test_cancelling_a_publish_leaves_no_connection_behind() -> None:
    async with serving(Peer(puts_back=False)) as peer:
        task = asyncio.create_task(connect_and_publish(peer))
        await asyncio.wait_for(peer.until_published(1), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
