"""A connection on loopback, to servers that are real, silent, slow, garbled or full."""

import asyncio
import gc
import socket
import weakref
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NoReturn

import mqtt5
import pytest
import uvloop

from device_sim.identities import simulated_imei
from lock_protocol.topics import PhoneTopic
from mqtt_transport import (
    Connection,
    ConnectionEndedError,
    Connector,
    ConnectRefusedError,
    Login,
    ProtocolError,
    RefusedError,
    Subscription,
    UnknownServerError,
)
from mqtt_transport.connection import READ_AT_ONCE
from paylatch.local.ports import LOOPBACK
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S, RealBroker
from tests.transport.peer import Peer, serving
from tests.transport.scripted import LOGIN, Outcomes, message, packets_of

TOPIC = TOPICS.root(78)


@dataclass
class Ear:
    """A `Receiver` that keeps what it hears."""

    messages: "asyncio.Queue[tuple[str, bytes, int]]" = field(default_factory=asyncio.Queue)
    ended: "asyncio.Future[ConnectionEndedError]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def received(self, topic: str, payload: bytes, *, retained: bool, packet_id: int) -> None:
        del retained
        self.messages.put_nowait((topic, payload, packet_id))

    def closed(self, error: ConnectionEndedError) -> None:
        self.ended.set_result(error)

    async def end(self) -> ConnectionEndedError:
        return await asyncio.wait_for(self.ended, PATIENCE_S)


async def connect(peer: Peer, ear: Ear, login: Login = LOGIN) -> Connection:
    return await Connector(LOOPBACK, peer.port).connect(login, ear)


@dataclass
class Owner(Ear):
    """A `Receiver` that holds its connection, as most do."""

    connection: Connection | None = None


# --- a real broker ---


async def test_messages_come_as_published_and_are_acknowledged_by_hand(broker: RealBroker) -> None:
    imei = simulated_imei(7801)
    broker.add_phones(imei)
    topic = TOPICS.phone(imei, PhoneTopic.DESIRED)
    ear, login = Ear(), Login(client_id=imei, username=imei, password=broker.phones[imei], receive_maximum=2)
    connection = await Connector(LOOPBACK, broker.phones_port).connect(login, ear)
    await connection.subscribe(Subscription(topic_filter=topic))
    async with broker.service("bridge", client_id="publisher") as bridge:
        for payload in (b"1", b"2", b"3"):
            await bridge.publish(topic, payload, qos=1)
        heard = [await ear.messages.get() for _ in range(2)]
        # The third may not come yet: the answer to this request would come after it.
        await connection.unsubscribe("nothing")
        assert ear.messages.empty()
        for _, _, packet_id in heard:
            connection.acknowledge(packet_id)
        heard.append(await asyncio.wait_for(ear.messages.get(), PATIENCE_S))
    assert [payload for _, payload, _ in heard] == [b"1", b"2", b"3"]
    await connection.close()


async def test_a_message_too_large_for_the_broker_is_refused_here(broker: RealBroker) -> None:
    login = Login(client_id="y", username="bridge", password=broker.services["bridge"])
    connection = await Connector(LOOPBACK, broker.services_port).connect(login, Ear())
    with pytest.raises(RefusedError, match="the server takes 20480"):
        await connection.publish(TOPIC, b"x" * 20_480, retain=False)
    await connection.publish(TOPIC, b"x", retain=False)
    await connection.close()


async def test_a_killed_broker_is_noticed_by_whoever_only_listens(own_broker: RealBroker) -> None:
    ear, login = Ear(), Login(client_id="z", username="bridge", password=own_broker.services["bridge"])
    connection = await Connector(LOOPBACK, own_broker.services_port).connect(login, ear)
    own_broker.process.kill()
    assert "broke" in str(await ear.end())
    with pytest.raises(ConnectionEndedError, match="no connection"):
        await connection.publish(TOPIC, b"x", retain=False)


# --- a server that misbehaves ---


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqtt_transport.connecting.CONNECT_TIMEOUT_S", 0.1)
    async with serving(Peer(connack=b"")) as peer:
        with pytest.raises(ConnectionEndedError, match=r"within 0\.1 s"):
            await connect(peer, Ear())
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


async def test_cancelling_while_the_server_is_silent_leaves_no_connection_behind() -> None:
    async with serving(Peer(connack=b"")) as peer:
        task = asyncio.create_task(connect(peer, Ear()))
        await asyncio.wait_for(peer.until_heard(mqtt5.ConnectPacket), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


async def test_cancelling_the_farewell_leaves_no_connection_behind() -> None:
    async with serving(Peer()) as peer:
        connection = await connect(peer, Ear())
        task = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


@pytest.mark.parametrize("connack", [b"SSH-2.0-OpenSSH_9.2\r\n" * 5, message(1), b"\x20\xff\xff\xff\x7f"])
async def test_something_that_is_no_broker_is_not_connected_to(connack: bytes) -> None:
    async with serving(Peer(connack=connack)) as peer:
        with pytest.raises(ProtocolError):
            await connect(peer, Ear())
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


@pytest.mark.parametrize(
    ("fault", "kind"), [(socket.EAI_NONAME, UnknownServerError), (socket.EAI_AGAIN, ConnectionEndedError)]
)
async def test_a_name_without_an_address_is_told_from_one_that_cannot_be_looked_up_now(
    monkeypatch: pytest.MonkeyPatch, fault: int, kind: type[ConnectionEndedError]
) -> None:
    def look_up(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(fault, "as the resolver says")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConnectionEndedError) as refused:
        await Connector("broker.example", 1883).connect(LOGIN, Ear())
    assert type(refused.value) is kind


async def test_what_can_be_no_name_has_no_address() -> None:
    with pytest.raises(UnknownServerError, match=r"no address is known for 'broker\.\.example'"):
        await Connector("broker..example", 1883).connect(LOGIN, Ear())


async def test_a_refusal_is_told_from_a_fault() -> None:
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY).write()
    async with serving(Peer(connack=refusal)) as peer:
        with pytest.raises(ConnectRefusedError, match="Server busy"):
            await connect(peer, Ear())


async def test_garbage_ends_the_connection_with_a_word_of_why() -> None:
    async with serving(Peer(puts_back=False)) as peer:
        ear, outcomes = Ear(), Outcomes()
        connection = await connect(peer, ear)
        connection.send(TOPIC, b"x", retain=False, on_done=outcomes)
        await asyncio.wait_for(peer.until_published(1), PATIENCE_S)
        peer.say(b"\x00\x07garbage")
        assert isinstance(await ear.end(), ProtocolError)
        assert [type(error) for error in outcomes.told] == [ProtocolError]
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
    farewell = peer.heard[-1]
    assert isinstance(farewell, mqtt5.DisconnectPacket)
    assert farewell.reason_code == mqtt5.DisconnectReasonCode.PROTOCOL_ERROR


async def test_a_server_that_falls_silent_is_given_up_although_its_socket_stays_open() -> None:
    async with serving(Peer()) as peer:
        ear = Ear()
        await connect(peer, ear, replace(LOGIN, keep_alive_s=1))
        await asyncio.wait_for(peer.until_heard(mqtt5.PingReqPacket), PATIENCE_S)
        assert "does not answer" in str(await ear.end())
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)


async def test_the_servers_shorter_keep_alive_is_kept() -> None:
    async with serving(Peer(connack=mqtt5.ConnAckPacket(server_keep_alive=1).write())) as peer:
        await connect(peer, Ear(), replace(LOGIN, keep_alive_s=3600))
        await asyncio.wait_for(peer.until_heard(mqtt5.PingReqPacket), PATIENCE_S)


async def test_a_farewell_is_said() -> None:
    async with serving(Peer()) as peer:
        ear = Ear()
        connection = await connect(peer, ear)
        await connection.close()
        await connection.close()
        assert ear.ended.done()
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
    assert isinstance(peer.heard[-1], mqtt5.DisconnectPacket)


async def test_a_server_that_reads_nothing_holds_up_no_memory_and_loses_nothing() -> None:
    count, payload = 200, b"x" * 60_000
    async with serving(Peer()) as peer:
        outcomes = Outcomes()
        connection = await connect(peer, Ear())
        peer.reading.clear()
        for _ in range(count):
            connection.send(TOPIC, payload, retain=False, on_done=outcomes)
            await asyncio.sleep(0)
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 10 * len(payload)
        peer.reading.set()
        await asyncio.wait_for(peer.until_published(count), PATIENCE_S)
        await connection.publish(TOPIC, b"last", retain=False)
        await connection.close()
    assert outcomes.words == ["granted"] * count


async def test_a_farewell_to_a_server_that_reads_nothing_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqtt_transport.connection.FAREWELL_S", 0.1)
    async with serving(Peer()) as peer:
        ear = Ear()
        connection = await connect(peer, ear)
        peer.reading.clear()
        for _ in range(200):
            connection.send(TOPIC, b"x" * 60_000, retain=False, on_done=Outcomes())
            await asyncio.sleep(0)
        await asyncio.wait_for(connection.close(), PATIENCE_S)
        assert ear.ended.done()


async def test_what_finds_nothing_on_its_way_goes_out_at_once_and_what_follows_in_one_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(Peer()) as peer:
        connection, writes = await connect(peer, Ear()), list[bytes]()
        assert connection._transport is not None
        monkeypatch.setattr(connection._transport, "write", writes.append)
        for _ in range(10):
            connection.send(TOPIC, b"x", retain=False, on_done=Outcomes())
        assert [len(packets_of(write)) for write in writes] == [1]
        await asyncio.sleep(0)
        assert [len(packets_of(write)) for write in writes] == [1, 9]


def test_small_packets_go_out_at_once_on_either_loop() -> None:
    async def no_delay() -> int:
        async with serving(Peer()) as peer:
            connection = await connect(peer, Ear())
            assert connection._transport is not None
            option = connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await connection.close()
            return int(option)

    assert asyncio.run(no_delay())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(no_delay())


async def test_a_connection_that_is_cut_delivers_nothing_that_came_in_the_same_breath() -> None:
    async with serving(Peer(with_suback=message(1))) as peer:
        ear = Ear()
        connection = await connect(peer, ear)
        connection.ask([Subscription(topic_filter="down")], lambda _: connection.abort())
        assert "cut by this side" in str(await ear.end())
        assert ear.messages.empty()


async def test_a_flood_is_read_in_parts_between_which_everything_else_has_its_turn() -> None:
    flood = [message(number, topic=TOPIC) for number in range(1, 2001)]
    ear = Ear()
    async with serving(Peer()) as peer:
        connection = await connect(peer, ear)
        peer.say(b"".join(flood))
        parts = [0]
        async with asyncio.timeout(PATIENCE_S):
            while ear.messages.qsize() < len(flood):
                await asyncio.sleep(0)
                parts.append(ear.messages.qsize())
        await connection.close()
    assert max(after - before for before, after in pairwise(parts)) <= READ_AT_ONCE / len(flood[0]) + 1


# --- what is left of it ---


@pytest.mark.parametrize("ending", ["left", "cut", "dismissed", "against the rules"])
async def test_a_connection_that_is_over_goes_without_the_garbage_collector(ending: str) -> None:
    """A fleet lets that look so seldom that phones which come and go for hours would fill the memory."""
    async with serving(Peer()) as peer:
        owner = Owner()
        owner.connection = await connect(peer, owner)
        match ending:
            case "left":
                owner.connection.leave()
            case "cut":
                owner.connection.abort()
            case "dismissed":
                peer.say(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER).write())
            case "against the rules":
                peer.say(mqtt5.PubAckPacket(99).write())
        await owner.end()
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
        seen = weakref.ref(owner)
        gc.disable()
        try:
            del owner
            assert seen() is None
        finally:
            gc.enable()
