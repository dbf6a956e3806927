"""A phone's connection, on a server of the test's own: what its session hears, and in which order."""

import asyncio
import time
from dataclasses import dataclass, field

import mqtt5
import pytest
import uvloop

from device_sim.adapters.mqtt import MqttDialler
from device_sim.fleet.link import Arrived, LinkError, OwnLink
from device_sim.identities import FleetPhone
from lock_protocol.topics import PhoneTopic
from paylatch.local.ports import LOOPBACK
from tests.broker.bridge_rig import TOPICS
from tests.conftest import PATIENCE_S
from tests.loopback.handset import IMEI, Handset
from tests.loopback.lender import RootAuthority
from tests.transport.peer import Peer, serving
from tests.transport.scripted import message

STATE = message(1, b"state", topic=TOPICS.phone(IMEI, PhoneTopic.DESIRED), retain=True)


@dataclass
class KeptSession:
    """Keeps what it hears; gives up when told to."""

    gives_up: bool = False
    heard: list[str | Arrived] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    link: OwnLink | None = None

    def opened(self, link: OwnLink) -> None:
        if self.gives_up:
            raise LinkError("the agent is not running")
        self.link = link
        self.heard.append("opened")

    def arrived(self, arrived: Arrived) -> None:
        self.heard.append(arrived)
        if arrived.payload == b"crash":
            raise LinkError("the agent has crashed")

    def closed(self) -> None:
        self.heard.append("closed")
        self.over.set()


@pytest.fixture
def login() -> FleetPhone:
    return FleetPhone(identity=Handset(RootAuthority()).phone.identity, password="unused")


async def dial(peer: Peer, login: FleetPhone, session: KeptSession) -> None:
    await MqttDialler(host=LOOPBACK, port=peer.port, topics=TOPICS).dial(login, 2, session)


async def until_acknowledged(peer: Peer) -> None:
    await asyncio.wait_for(peer.until_heard(mqtt5.PubAckPacket), PATIENCE_S)


async def test_a_session_is_opened_before_it_is_handed_anything(login: FleetPhone) -> None:
    root = message(2, b"root", topic=TOPICS.root(2))
    async with serving(Peer(before_suback=STATE, with_suback=root)) as peer:
        session = KeptSession()
        await dial(peer, login, session)
        assert session.heard == ["opened", Arrived(PhoneTopic.DESIRED, b"state"), Arrived(None, b"root")]
        await until_acknowledged(peer)
        assert session.link is not None
        await session.link.close()
        assert session.heard[-1] == "closed"


async def test_a_session_that_gives_up_at_once_hears_nothing_more(login: FleetPhone) -> None:
    async with serving(Peer(with_suback=STATE)) as peer:
        session = KeptSession(gives_up=True)
        with pytest.raises(LinkError, match="not running"):
            await dial(peer, login, session)
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
    assert session.heard == []


async def test_a_session_that_gives_up_later_is_closed_and_what_it_did_not_take_is_not_acknowledged(
    login: FleetPhone,
) -> None:
    crash = message(1, b"crash", topic=TOPICS.phone(IMEI, PhoneTopic.FRESH))
    async with serving(Peer(with_suback=crash + message(2))) as peer:
        session = KeptSession()
        await dial(peer, login, session)
        await asyncio.wait_for(session.over.wait(), PATIENCE_S)
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
    assert session.heard == ["opened", Arrived(PhoneTopic.FRESH, b"crash"), "closed"]
    assert not any(isinstance(packet, mqtt5.PubAckPacket) for packet in peer.heard)


async def test_a_session_whose_dialling_was_cancelled_hears_nothing(login: FleetPhone) -> None:
    async with serving(Peer()) as peer:
        session = KeptSession()
        dialling = asyncio.create_task(dial(peer, login, session))
        await asyncio.wait_for(peer.until_heard(mqtt5.ConnectPacket), PATIENCE_S)
        peer.with_suback = STATE
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        await asyncio.wait_for(peer.until_nobody_is_connected(), PATIENCE_S)
    assert session.heard == []


async def test_a_server_that_does_not_answer_is_a_link_error(
    login: FleetPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sim.adapters.mqtt._TIMEOUT_S", 0.1)
    async with serving(Peer(connack=b"")) as peer:
        with pytest.raises(LinkError, match=r"within 0\.1 s"):
            await dial(peer, login, KeptSession())


def test_a_session_that_is_opened_at_the_last_moment_is_open(
    login: FleetPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On uvloop, where a time-out that is due comes before whoever has just been woken."""
    monkeypatch.setattr("device_sim.adapters.mqtt._TIMEOUT_S", 0.2)

    @dataclass
    class SlowSession(KeptSession):
        def opened(self, link: OwnLink) -> None:
            super().opened(link)
            time.sleep(0.3)  # as on a machine that has too much to do

    async def dial_and_close() -> list[str | Arrived]:
        async with serving(Peer()) as peer:
            session = SlowSession()
            await dial(peer, login, session)
            await peer.until_heard(mqtt5.SubscribePacket)
            assert session.link is not None
            await session.link.close()
            return session.heard

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(dial_and_close()) == ["opened", "closed"]
