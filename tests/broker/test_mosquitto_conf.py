"""The committed mosquitto.conf and ACLs, asked of a real broker.

A SUBSCRIBE that is granted says nothing about permission, and a PUBLISH that is denied may still get its PUBACK. So
absence is proved by a barrier: a message that takes the same way after the unwanted one, and arrives alone.
"""

import asyncio
import contextlib
import difflib
from collections.abc import AsyncIterator
from pathlib import PurePath

import aiomqtt
import mqtt5
import pytest

from mqtt_transport.framing import Frames
from paylatch import resources
from paylatch.local.broker_config import render
from paylatch.local.ports import LOOPBACK
from tests.conftest import RealBroker

PREFIX = "paylatch/v1"
MINE = "001017000000014"
OTHER = "001017000000022"
THIRD = "001017000000030"


def phone_topic(imei: str, kind: str) -> str:
    return f"{PREFIX}/phones/{imei}/{kind}"


@contextlib.asynccontextmanager
async def everything(broker: RealBroker) -> AsyncIterator[tuple[aiomqtt.Client, aiomqtt.Client]]:
    """Yield the bridge as an observer who hears all, and as another connection that can send."""
    async with (
        broker.service("bridge", client_id="observer") as observer,
        broker.service("bridge", client_id="sender") as sender,
    ):
        await observer.subscribe(f"{PREFIX}/#", qos=1)
        # Retained messages of other tests come first; they end where this does.
        await sender.publish(f"{PREFIX}/bridge/barrier", b"begin", qos=1)
        await heard_until(observer, b"begin")
        yield observer, sender


async def heard_until(client: aiomqtt.Client, last: bytes) -> list[tuple[str, bytes]]:
    """Return what came before the message with the payload `last`."""
    heard: list[tuple[str, bytes]] = []
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        if message.payload == last:
            return heard
        heard.append((str(message.topic), message.payload))
    pytest.fail("the connection ended before the barrier came")


async def arrives(broker: RealBroker, writer: aiomqtt.Client, topic: str, allowed: str) -> bool:
    """Tell whether a publish to `topic` gets through; `allowed` is a topic on which the writer's barrier does."""
    async with everything(broker) as (observer, _):
        await writer.publish(topic, b"probe", qos=1)
        await writer.publish(allowed, b"end", qos=1)
        return (topic, b"probe") in await heard_until(observer, b"end")


def test_rendering_changes_only_ports_and_paths() -> None:
    template = resources.MOSQUITTO_CONF.read_text(encoding="utf-8")
    rendered = render(template, phones_port=21001, services_port=21002, directory=PurePath("/run/here"))
    changed = [line for line in difflib.ndiff(template.splitlines(), rendered.splitlines()) if line[0] in "+-"]
    assert sorted(changed) == sorted(
        [
            "- pid_file /run/mosquitto/mosquitto.pid",
            "+ pid_file /run/here/mosquitto.pid",
            "- persistence_location /var/lib/mosquitto/",
            "+ persistence_location /run/here/",
            "- listener 1883 127.0.0.1",
            "+ listener 21001 127.0.0.1",
            "- password_file /etc/mosquitto/paylatch/phones.passwd",
            "+ password_file /run/here/phones.passwd",
            "- acl_file /etc/mosquitto/paylatch/phones.acl",
            "+ acl_file /run/here/phones.acl",
            "- listener 1884 127.0.0.1",
            "+ listener 21002 127.0.0.1",
            "- password_file /etc/mosquitto/paylatch/services.passwd",
            "+ password_file /run/here/services.passwd",
            "- acl_file /etc/mosquitto/paylatch/services.acl",
            "+ acl_file /run/here/services.acl",
        ]
    )


def test_a_running_brokers_files_are_the_committed_ones(broker: RealBroker) -> None:
    files = broker.process.files
    template = resources.MOSQUITTO_CONF.read_text(encoding="utf-8")
    ports = {"phones_port": broker.phones_port, "services_port": broker.services_port}
    assert files.conf.read_text(encoding="utf-8") == render(template, **ports, directory=PurePath())
    for acl in (resources.PHONES_ACL, resources.SERVICES_ACL):
        assert (files.directory / acl.name).read_bytes() == acl.read_bytes()


def test_every_option_stands_below_a_comment_that_says_why() -> None:
    paragraphs = resources.MOSQUITTO_CONF.read_text(encoding="utf-8").split("\n\n")
    for paragraph in paragraphs:
        lines = paragraph.splitlines()
        options = {line.split()[0] for line in lines if line and not line.startswith("#")}
        assert len(options) <= 1, f"one comment for several options: {options}"
        assert lines[0].startswith("#"), f"{lines[0]!r} has no reason"


def test_rendering_refuses_a_template_of_another_shape() -> None:
    with pytest.raises(ValueError, match="1 listeners"):
        render("listener 1 127.0.0.1\n", phones_port=1, services_port=2, directory=PurePath())


@pytest.mark.parametrize("listener", ["phones_port", "services_port"])
@pytest.mark.parametrize("username", [None, "bridge", MINE])
async def test_nobody_comes_in_without_a_password(broker: RealBroker, listener: str, username: str | None) -> None:
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(LOOPBACK, getattr(broker, listener), username=username):
            pass


async def test_a_phones_password_opens_nothing_on_the_services_listener(broker: RealBroker) -> None:
    broker.add_phones(MINE)
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(LOOPBACK, broker.services_port, username=MINE, password=broker.phones[MINE]):
            pass


async def test_a_phone_hears_only_its_own_topics_and_the_roots(broker: RealBroker) -> None:
    broker.add_phones(MINE)
    async with broker.phone(MINE) as phone, broker.service("bridge") as bridge:
        await phone.subscribe([("#", 1), ("$SYS/#", 1), (phone_topic(OTHER, "desired"), 1)])  # granted all the same
        for topic in (
            phone_topic(OTHER, "desired"),
            phone_topic(OTHER, "fresh"),
            phone_topic(MINE, "hello"),
            f"{PREFIX}/bridge/status",
            f"{PREFIX}/lenders/acme/results",
            f"{PREFIX}/roots/1",
            phone_topic(MINE, "fresh"),
        ):
            await bridge.publish(topic, topic.encode(), qos=1)
        await bridge.publish(phone_topic(MINE, "desired"), b"end", qos=1)
        heard = {topic for topic, _ in await heard_until(phone, b"end")}
    assert heard == {f"{PREFIX}/roots/1", phone_topic(MINE, "fresh")}


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        (phone_topic(MINE, "reported"), True),
        (phone_topic(MINE, "presence"), True),
        (phone_topic(MINE, "desired"), False),
        (phone_topic(MINE, "fresh"), False),
        (phone_topic(OTHER, "reported"), False),
        (phone_topic(OTHER, "desired"), False),
        (f"{PREFIX}/roots/2", False),
        (f"{PREFIX}/bridge/status", False),
        (f"{PREFIX}/lenders/{MINE}/decisions", False),
    ],
)
async def test_a_phone_writes_only_its_own_words(broker: RealBroker, topic: str, *, allowed: bool) -> None:
    broker.add_phones(MINE)
    async with broker.phone(MINE) as phone:
        assert await arrives(broker, phone, topic, phone_topic(MINE, "hello")) is allowed


def publish_packet(topic: bytes) -> bytes:
    """A PUBLISH with QoS 1 and a topic that no client library would send."""
    body = len(topic).to_bytes(2) + topic + (1).to_bytes(2) + b"\0" + b"forged"
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 128, len(body) // 128])
    return b"\x32" + length + body


async def answer_to(
    broker: RealBroker, imei: str, packet: bytes, *, client_id: str | None = None
) -> list[mqtt5.Packet]:
    """What the broker says to a phone that sends this packet and then a ping; it may end the connection instead."""
    reader, writer = await asyncio.open_connection(LOOPBACK, broker.phones_port)
    identifier = imei if client_id is None else client_id
    writer.write(mqtt5.ConnectPacket(identifier, username=imei, password=broker.phones[imei].encode()).write())
    frames, said = Frames(largest=1 << 20), list[mqtt5.Packet]()
    said += frames.packets(await reader.read(4096))
    assert [type(one) for one in said] == [mqtt5.ConnAckPacket]
    writer.write(packet + mqtt5.PingReqPacket().write())
    with contextlib.suppress(ConnectionResetError):  # the broker ends it without reading the ping
        while not isinstance(said[-1], mqtt5.PingRespPacket) and (data := await reader.read(4096)):
            said += frames.packets(data)
    writer.close()
    return said[1:]


@pytest.mark.parametrize(
    ("topic", "ends"),
    [
        (f"{PREFIX}/phones/+/desired", True),
        (f"{PREFIX}/phones/#", True),
        (f"{PREFIX}/phones/{OTHER}\0/desired", True),
        (phone_topic(OTHER, "desired") + "/" * 197, True),  # 201 levels: Mosquitto takes 200
        ("", True),
        ("$SYS/broker/clients/total", False),
        ("$CONTROL/dynamic-security/v1", False),
        (f"$share/{PREFIX}/phones/{OTHER}/desired", False),
    ],
    ids=["a wildcard", "all below", "a NUL", "201 levels", "none", "$SYS", "$CONTROL", "$share"],
)
async def test_a_topic_that_is_none_or_the_brokers_own_reaches_nobody(
    broker: RealBroker, topic: str, *, ends: bool
) -> None:
    broker.add_phones(MINE, OTHER)
    async with everything(broker) as (observer, sender), broker.phone(OTHER) as phone:
        await phone.subscribe(phone_topic(OTHER, "desired"), qos=1)
        said = await answer_to(broker, MINE, publish_packet(topic.encode()))
        if ends:
            assert not any(isinstance(one, mqtt5.PubAckPacket | mqtt5.PingRespPacket) for one in said)
        else:
            refused, _ = said
            assert isinstance(refused, mqtt5.PubAckPacket)
            assert refused.reason_code is mqtt5.PubAckReasonCode.NOT_AUTHORIZED
        await sender.publish(phone_topic(OTHER, "desired"), b"end", qos=1)
        assert await heard_until(phone, b"end") == []
        assert await heard_until(observer, b"end") == []


async def test_a_shared_subscription_hears_nothing_of_anothers(broker: RealBroker) -> None:
    broker.add_phones(MINE)
    async with broker.phone(MINE) as phone, broker.service("bridge") as bridge:
        await phone.subscribe(f"$share/thieves/{PREFIX}/phones/+/desired", qos=1)  # granted all the same
        await phone.subscribe(phone_topic(MINE, "fresh"), qos=1)
        await bridge.publish(phone_topic(OTHER, "desired"), b"another's", qos=1)
        await bridge.publish(phone_topic(MINE, "fresh"), b"end", qos=1)
        assert await heard_until(phone, b"end") == []


async def test_a_phone_without_a_client_id_is_its_username_all_the_same(broker: RealBroker) -> None:
    broker.add_phones(MINE)
    async with broker.phone(MINE) as before:
        assert await answer_to(broker, MINE, b"", client_id="") == [mqtt5.PingRespPacket()]
        with pytest.raises(aiomqtt.MqttError):
            await before.publish(phone_topic(MINE, "hello"), b"", qos=1)


async def test_a_phone_cannot_leave_a_will_on_anothers_topic(broker: RealBroker) -> None:
    broker.add_phones(MINE, OTHER)
    will = aiomqtt.Will(phone_topic(OTHER, "presence"), b"forged", qos=1)
    async with everything(broker) as (observer, _), broker.phone(OTHER) as barrier:
        phone = aiomqtt.Client(
            LOOPBACK, broker.phones_port, username=MINE, password=broker.phones[MINE], identifier=MINE, will=will
        )
        async with phone:
            # Taking the client id over ends the first session without a goodbye, which is what sends a will.
            async with broker.phone(MINE) as successor:
                await successor.publish(phone_topic(MINE, "hello"), b"alive", qos=1)
                await barrier.publish(phone_topic(OTHER, "hello"), b"end", qos=1)
                heard = await heard_until(observer, b"end")
            with pytest.raises(aiomqtt.MqttError):
                await phone.publish(phone_topic(MINE, "hello"), b"", qos=1)
    assert heard == [(phone_topic(MINE, "hello"), b"alive")]


async def test_a_phone_that_takes_anothers_client_id_throws_nobody_off(broker: RealBroker) -> None:
    broker.add_phones(MINE, OTHER)
    async with broker.phone(OTHER) as victim, broker.phone(MINE, client_id=OTHER) as thief:
        await victim.subscribe(phone_topic(OTHER, "desired"), qos=1)
        await thief.publish(phone_topic(MINE, "hello"), b"", qos=1)
        async with broker.service("bridge") as bridge:
            await bridge.publish(phone_topic(OTHER, "desired"), b"still here", qos=1)
            assert await heard_until(victim, b"still here") == []


async def test_the_bridges_client_id_is_its_fence(broker: RealBroker) -> None:
    async with broker.service("bridge", client_id="fence") as old:
        async with broker.service("bridge", client_id="fence") as new:
            await new.publish(f"{PREFIX}/bridge/barrier", b"mine", qos=1)
        with pytest.raises(aiomqtt.MqttError):
            await old.publish(f"{PREFIX}/bridge/barrier", b"still mine", qos=1)


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        (f"{PREFIX}/lenders/umbrella/decisions", False),
        (phone_topic(MINE, "desired"), False),
        (f"{PREFIX}/bridge/status", False),
    ],
)
async def test_a_lender_writes_only_its_own_decisions(broker: RealBroker, topic: str, *, allowed: bool) -> None:
    broker.add_services("acme")
    async with broker.service("acme") as lender:
        assert await arrives(broker, lender, topic, f"{PREFIX}/lenders/acme/decisions") is allowed


@pytest.mark.parametrize("writer", ["acme", "umbrella"])
async def test_no_lender_writes_results(broker: RealBroker, writer: str) -> None:
    broker.add_services("acme", "umbrella")
    results = f"{PREFIX}/lenders/acme/results"
    async with broker.service("acme") as lender, broker.service(writer) as forger, broker.service("bridge") as bridge:
        await lender.subscribe(results, qos=1)
        await forger.publish(results, b"forged", qos=1)
        await bridge.publish(results, b"end", qos=1)
        assert await heard_until(lender, b"end") == []


async def test_the_bridges_password_makes_nobody_a_lender(broker: RealBroker) -> None:
    broker.add_services("acme")
    decisions = f"{PREFIX}/lenders/acme/decisions"
    async with broker.service("acme") as lender, everything(broker) as (observer, thief):
        await thief.publish(decisions, b"forged", qos=1)
        await thief.publish(f"{PREFIX}/bridge/barrier", b"sent", qos=1)
        assert await heard_until(observer, b"sent") == []
        await lender.publish(decisions, b"end", qos=1)
        assert await heard_until(observer, b"end") == []


async def test_a_will_on_another_lenders_decisions_is_never_delivered(broker: RealBroker) -> None:
    broker.add_services("acme", "umbrella")
    will = aiomqtt.Will(f"{PREFIX}/lenders/umbrella/decisions", b"forged", qos=1)
    async with everything(broker) as (observer, _), broker.service("umbrella") as umbrella:
        lender = aiomqtt.Client(
            LOOPBACK,
            broker.services_port,
            username="acme",
            password=broker.services["acme"],
            identifier="acme-with-a-will",
            will=will,
        )
        async with lender:
            # Taking the client id over ends the first session without a goodbye, which is what sends a will.
            async with broker.service("acme", client_id="acme-with-a-will") as successor:
                await successor.publish(f"{PREFIX}/lenders/acme/decisions", b"alive", qos=1)
                await umbrella.publish(f"{PREFIX}/lenders/umbrella/decisions", b"end", qos=1)
                heard = await heard_until(observer, b"end")
            with pytest.raises(aiomqtt.MqttError):
                await lender.publish(f"{PREFIX}/lenders/acme/decisions", b"", qos=1)
    assert heard == [(f"{PREFIX}/lenders/acme/decisions", b"alive")]


async def test_a_lender_hears_only_its_own_results(broker: RealBroker) -> None:
    broker.add_services("acme")
    async with broker.service("acme") as lender, broker.service("bridge") as bridge:
        await lender.subscribe("#", qos=1)
        async with broker.service("acme") as sender:
            await sender.publish(f"{PREFIX}/lenders/acme/decisions", b"not to be heard", qos=1)
        for topic in ("lenders/umbrella/results", f"phones/{MINE}/desired", "bridge/status"):
            await bridge.publish(f"{PREFIX}/{topic}", b"not for acme", qos=1)
        await bridge.publish(f"{PREFIX}/lenders/acme/results", b"end", qos=1)
        assert await heard_until(lender, b"end") == []


async def test_an_auditor_reads_states_and_writes_nothing(broker: RealBroker) -> None:
    async with broker.service("auditor") as auditor, everything(broker) as (observer, sender):
        await auditor.subscribe(phone_topic(THIRD, "desired"), qos=1)
        await auditor.publish(phone_topic(THIRD, "desired"), b"forged", qos=1)
        await sender.publish(phone_topic(THIRD, "desired"), b"end", qos=1)
        assert await heard_until(observer, b"end") == []
        assert await heard_until(auditor, b"end") == []


@pytest.mark.parametrize("username", ["+", "00101700000001+", "00101700000001#"])
async def test_a_username_with_a_wildcard_opens_no_pattern(own_broker: RealBroker, username: str) -> None:
    own_broker.add_phones(MINE)
    with pytest.raises(ValueError, match="username"):
        own_broker.add_phones(username)
    # Even if an operator writes such a line by hand, the broker's patterns do not stretch.
    passwords = own_broker.process.files.phones_passwords
    line = passwords.read_text(encoding="ascii").strip()
    passwords.write_text(f"{line}\n{line.replace(MINE, username)}\n", encoding="ascii")
    own_broker.reload()
    async with (
        aiomqtt.Client(
            LOOPBACK, own_broker.phones_port, username=username, password=own_broker.phones[MINE], identifier=username
        ) as wild,
        own_broker.phone(MINE) as phone,
    ):
        await wild.subscribe("#", qos=1)
        await phone.subscribe(phone_topic(MINE, "desired"), qos=1)
        async with own_broker.service("bridge") as bridge:
            await bridge.publish(phone_topic(MINE, "desired"), b"end", qos=1)
            await heard_until(phone, b"end")
        # No topic at all gets through to this one, so the barrier is an acknowledgement on its own connection.
        await wild.unsubscribe("#")
        assert len(wild.messages) == 0


async def test_an_oversized_state_reaches_the_phone_that_has_to_refuse_it(broker: RealBroker) -> None:
    broker.add_phones(MINE)
    async with broker.phone(MINE) as phone, broker.service("bridge") as bridge:
        await phone.subscribe(phone_topic(MINE, "desired"), qos=1)
        await bridge.publish(phone_topic(MINE, "desired"), bytes(16384), qos=1)
        await bridge.publish(phone_topic(MINE, "desired"), b"end", qos=1)
        heard = await heard_until(phone, b"end")
    assert heard == [(phone_topic(MINE, "desired"), bytes(16384))]


def unlimited_bridge(broker: RealBroker) -> aiomqtt.Client:
    """Return an MQTT 3.1.1 connection: its client learns no limits from the broker, so it really sends too much."""
    return aiomqtt.Client(
        LOOPBACK,
        broker.services_port,
        username="bridge",
        password=broker.services["bridge"],
        protocol=aiomqtt.ProtocolVersion.V311,
    )


async def test_a_larger_payload_is_dropped_in_spite_of_its_puback(broker: RealBroker) -> None:
    async with everything(broker) as (observer, _), unlimited_bridge(broker) as bridge:
        await bridge.publish(phone_topic(THIRD, "reported"), bytes(16385), qos=1)
        await bridge.publish(f"{PREFIX}/bridge/barrier", b"end", qos=1)
        assert await heard_until(observer, b"end") == []


async def test_a_packet_of_megabytes_costs_its_sender_the_connection(broker: RealBroker) -> None:
    async with everything(broker) as (observer, sender):
        async with unlimited_bridge(broker) as bridge:
            # The broker may hang up before all is sent, or after: so nothing waits for the sending.
            sending = asyncio.create_task(bridge.publish(phone_topic(THIRD, "reported"), bytes(2_000_000)))
            with pytest.raises(aiomqtt.MqttError):
                await bridge._disconnected  # aiomqtt has no public word for "wait until cut off"
            sending.cancel()
            await asyncio.wait([sending])
        await sender.publish(f"{PREFIX}/bridge/barrier", b"end", qos=1)
        assert await heard_until(observer, b"end") == []


async def test_saved_states_survive_a_killed_broker(own_broker: RealBroker) -> None:
    process = own_broker.process
    topic = phone_topic(MINE, "desired")
    async with own_broker.service("bridge") as bridge:
        await bridge.publish(topic, b"saved", qos=1, retain=True)
    await asyncio.to_thread(process.save)
    process.kill()
    process.start()
    async with own_broker.service("auditor") as auditor:
        await auditor.subscribe(topic, qos=1)
        assert await heard_until(auditor, b"saved") == []


async def test_a_broker_can_come_back_with_nothing(own_broker: RealBroker) -> None:
    process = own_broker.process
    async with own_broker.service("bridge") as bridge:
        await bridge.publish(phone_topic(MINE, "desired"), b"gone", qos=1, retain=True)
    process.terminate()
    process.files.database.unlink()
    process.start()
    async with everything(own_broker) as (observer, sender):
        await observer.subscribe(f"{PREFIX}/#", qos=1)
        await sender.publish(f"{PREFIX}/bridge/barrier", b"end", qos=1)
        assert await heard_until(observer, b"end") == []


async def test_a_revoked_phone_stays_out_after_a_reload(own_broker: RealBroker) -> None:
    own_broker.add_phones(MINE, OTHER)
    revoked = own_broker.phone(MINE)
    del own_broker.phones[MINE]
    own_broker.add_phones(THIRD)
    async with own_broker.phone(OTHER):
        with pytest.raises(aiomqtt.MqttError):
            async with revoked:
                pass
