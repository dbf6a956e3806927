"""The link on a real broker: it comes back, it knows what a PUBACK says, and it hears what others write."""

import asyncio
import contextlib
import json
from importlib.metadata import version

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker_bridge.app.canary import encode_canary
from broker_bridge.app.ports.broker import BrokerUnavailableError, PublishRefusedError
from device_sim.identities import simulated_imei
from lock_protocol.topics import PhoneTopic
from tests.broker.bridge_rig import TOPICS, LinkSession, running_link
from tests.conftest import PATIENCE_S, RealBroker

IMEI = simulated_imei(1)
DESIRED, HELLO = TOPICS.phone(IMEI, PhoneTopic.DESIRED), TOPICS.phone(IMEI, PhoneTopic.HELLO)


async def retained(broker: RealBroker, topic: str) -> bytes | None:
    """What a fresh subscriber finds, or None; its own barrier proves that there is nothing."""
    async with broker.service("bridge", client_id="reader") as reader:
        await reader.subscribe(topic, qos=1)
        barrier = f"{TOPICS.prefix}/bridge/test-barrier"
        await reader.subscribe(barrier, qos=1)
        await reader.publish(barrier, b"", qos=1)
        async for message in reader.messages:
            return None if message.topic.value == barrier else message.payload
    pytest.fail("the connection ended before the barrier came")


async def test_it_connects_again_after_the_broker_was_killed(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        await running.next_session()
        assert running.link.connected
        own_broker.process.kill()
        own_broker.process.start()
        again = await running.next_session()
        await again.broker.publish(DESIRED, b"after", retain=True)
        assert running.log.events("warning")[:1] == ["broker_disconnected"]
    assert await retained(own_broker, DESIRED) == b"after"


async def test_a_broker_without_a_canary_is_known_to_have_none(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        assert (await running.next_session()).token is None


async def test_the_canary_that_a_broker_has_kept_is_read_on_the_next_connection(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        first = await running.next_session()
        await first.broker.publish(TOPICS.canary, encode_canary("sung", 7), retain=True)
        own_broker.process.terminate()
        own_broker.process.start()
        assert (await running.next_session()).token == "sung"


async def test_a_garbled_canary_is_as_good_as_none(own_broker: RealBroker) -> None:
    async with own_broker.service("bridge", client_id="intruder") as intruder:
        await intruder.publish(TOPICS.canary, b"\xc1", qos=1, retain=True)
    async with running_link(own_broker) as running:
        assert (await running.next_session()).token is None


async def test_a_puback_that_refuses_is_not_taken_for_success(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        session = await running.next_session()
        with pytest.raises(PublishRefusedError, match="Not authorized"):
            await session.broker.publish("elsewhere/topic", b"x", retain=False)
        await session.broker.publish(DESIRED, b"still connected", retain=True)
    assert await retained(own_broker, DESIRED) == b"still connected"


async def test_it_hears_foreign_states_and_not_its_own(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running, own_broker.service("bridge", client_id="intruder") as intruder:
        session = await running.next_session()
        await session.broker.publish(DESIRED, b"own", retain=True)
        await intruder.publish(DESIRED, b"foreign", qos=1, retain=True)
        async with asyncio.timeout(PATIENCE_S):
            assert await session.heard() == (DESIRED, b"foreign", False)


async def test_it_tells_a_retained_word_from_a_live_one(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running, own_broker.service("bridge", client_id="phone") as phone:
        session = await running.next_session()
        for retain in (True, False):
            await phone.publish(HELLO, b"word", qos=1, retain=retain)
            async with asyncio.timeout(PATIENCE_S):
                assert await session.heard() == (HELLO, b"word", retain)


async def test_what_was_retained_before_is_not_heard_at_all(own_broker: RealBroker) -> None:
    async with own_broker.service("bridge", client_id="phone") as phone:
        for topic in (HELLO, DESIRED):
            await phone.publish(topic, b"old", qos=1, retain=True)
        async with running_link(own_broker) as running:
            session = await running.next_session()
            await phone.publish(HELLO, b"new", qos=1)
            async with asyncio.timeout(PATIENCE_S):
                assert (await session.incoming.get()).payload == b"new"


async def test_publishes_that_wait_when_the_connection_is_cut_fail_at_once(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        session = await running.next_session()
        # More than the broker lets be in flight at a time, so some wait inside the client.
        waiting = [
            asyncio.create_task(session.broker.publish(f"{DESIRED}", b"%d" % number, retain=True))
            for number in range(2000)
        ]
        await asyncio.sleep(0)  # each is handed to the client
        own_broker.process.kill()
        async with asyncio.timeout(PATIENCE_S):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), BrokerUnavailableError}
        assert isinstance(outcomes[-1], BrokerUnavailableError)


async def test_its_last_will_says_that_it_is_gone(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        await running.next_session()
        online = json.dumps({"status": "online", "version": version("paylatch")}).encode()
        assert await retained(own_broker, TOPICS.status) == online
        async with own_broker.service("auditor") as auditor:
            await auditor.subscribe(TOPICS.status, qos=1)
            words = auditor.messages
            assert (await anext(words)).payload == online
            # Another connection with its client id throws it off without a DISCONNECT of its own.
            async with own_broker.service("bridge", client_id="bridge-under-test"):
                async with asyncio.timeout(PATIENCE_S):
                    assert json.loads((await anext(words)).payload)["status"] == "offline"


async def publish_for_ever(session: LinkSession) -> None:
    while True:
        await session.broker.publish(DESIRED, b"from the first", retain=True)


async def test_a_second_bridge_takes_over_and_the_first_ones_publishes_fail(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as first:
        session = await first.next_session()
        async with running_link(own_broker) as second:
            await second.next_session()
            with pytest.raises(BrokerUnavailableError):
                await publish_for_ever(session)


@pytest.fixture
def each_try_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log told of each try that fails, to count them."""
    monkeypatch.setattr("broker_bridge.adapters.mqtt.supervising.TELL_AGAIN_S", 0.0)


@pytest.mark.usefixtures("each_try_told")
async def test_a_wrong_password_is_tried_again_and_never_connects(own_broker: RealBroker) -> None:
    own_broker.services["bridge"] = "not the password of the bridge"
    async with running_link(own_broker) as running:
        await asyncio.wait_for(running.log.repeated("broker_disconnected", 3), PATIENCE_S)
        assert not running.link.connected
        assert running.sessions.empty()
        assert all(isinstance(fields["error"], str) for _, _, fields in running.log.entries)


async def test_a_broker_that_delivers_nothing_is_given_up_and_named(
    own_broker: RealBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_bridge.adapters.mqtt.client.CONNECT_TIMEOUT_S", 0.2)
    (own_broker.process.files.directory / "services.acl").write_text("user bridge\ntopic write paylatch/v1/#\n")
    own_broker.reload()
    async with running_link(own_broker) as running, asyncio.timeout(PATIENCE_S):
        await running.log.repeated("broker_disconnected", 1)
    _, _, fields = running.log.entries[0]
    assert "no answer" in fields["error"]
    assert fields["port"] == own_broker.services_port


async def test_the_same_client_under_another_id_is_another_client(own_broker: RealBroker) -> None:
    async with running_link(own_broker, client_id="one") as one, running_link(own_broker, client_id="two") as two:
        for session in (await one.next_session(), await two.next_session()):
            await session.broker.publish(DESIRED, b"from both", retain=True)
        assert one.link.connected
        assert two.link.connected


async def test_packets_that_are_mostly_properties_never_reach_the_bridge(own_broker: RealBroker) -> None:
    stuffed = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types
    stuffed.UserProperty = [("", "")] * 5_000
    own_broker.add_phones(IMEI)
    async with running_link(own_broker) as running:
        session = await running.next_session()
        with contextlib.suppress(aiomqtt.MqttError):  # the broker ends the connection of whoever sends that
            async with own_broker.phone(IMEI) as phone:
                await phone.publish(HELLO, b"stuffed", qos=1, properties=stuffed)
        async with own_broker.phone(IMEI) as phone:
            await phone.publish(HELLO, b"plain", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert await session.heard() == (HELLO, b"plain", False)


async def test_what_auditors_hear_does_not_let_them_end_the_bridges_session(own_broker: RealBroker) -> None:
    async with own_broker.service("auditor") as auditor:
        await auditor.subscribe(f"{TOPICS.prefix}/bridge/+", qos=1)
        async with running_link(own_broker, client_id="known-to-bridges-only") as running:
            await running.next_session()
            heard = [await anext(auditor.messages) for _ in range(2)]
    assert {message.topic.value for message in heard} == {TOPICS.barrier, TOPICS.status}
    assert not any(b"known-to-bridges-only" in message.payload for message in heard)


async def test_a_bridge_that_ends_in_order_says_that_it_is_offline(own_broker: RealBroker) -> None:
    async with running_link(own_broker) as running:
        await running.next_session()
        assert json.loads(await retained(own_broker, TOPICS.status) or b"{}")["status"] == "online"
    assert json.loads(await retained(own_broker, TOPICS.status) or b"{}")["status"] == "offline"


@pytest.mark.usefixtures("each_try_told")
async def test_a_broker_that_refuses_the_bridges_own_topics_is_tried_again(own_broker: RealBroker) -> None:
    acl = own_broker.process.files.directory / "services.acl"
    right = acl.read_text()
    acl.write_text(right.replace("topic readwrite paylatch/v1/bridge/+", "topic read paylatch/v1/bridge/+"))
    own_broker.reload()
    async with running_link(own_broker) as running:
        async with asyncio.timeout(PATIENCE_S):
            while len(running.log.events("warning")) < 2:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.01)
        acl.write_text(right)
        own_broker.reload()
        await running.next_session()
