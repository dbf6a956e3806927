"""The rules of a session, without a network."""

from dataclasses import replace
from functools import partial

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_transport.errors import (
    ConnectionEndedError,
    ConnectRefusedError,
    LoginRefusedError,
    ProtocolError,
    RefusedError,
)
from mqtt_transport.options import Subscription, Will
from mqtt_transport.session import MAX_ASKED, MAX_UNSENT, Session, Stage
from tests.transport.scripted import HELLO, LOGIN, Inbox, Outcomes, connected, message, packets_of, puback, said

ACCEPTED = mqtt5.PubAckReasonCode.SUCCESS
DENIED = mqtt5.PubAckReasonCode.NOT_AUTHORIZED


def publish(session: Session, outcomes: Outcomes, times: int = 1) -> None:
    for _ in range(times):
        session.publish(*HELLO, retain=False, on_done=outcomes)


def published(session: Session) -> list[int]:
    """The packet identifiers of what it sends now."""
    packet_ids = [packet.packet_id for packet in said(session) if isinstance(packet, mqtt5.PublishPacket)]
    return [packet_id for packet_id in packet_ids if packet_id is not None]


# --- connecting ---


def test_it_begins_with_a_clean_start_and_what_it_takes() -> None:
    will = Will(topic="gone", payload=b"bye", retain=True)
    session = Session(replace(LOGIN, will=will, receive_maximum=10, maximum_packet_size=500), Inbox())
    (connect,) = said(session)
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert (connect.client_id, connect.username, connect.password) == ("phone", "user", b"secret")
    assert (connect.clean_start, connect.session_expiry_interval, connect.topic_alias_max) == (True, 0, 0)
    assert (connect.keep_alive, connect.receive_max, connect.max_packet_size) == (60, 10, 500)
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload, connect.will.retain) == ("gone", b"bye", True)


def test_a_refused_connection_says_why() -> None:
    session = Session(LOGIN, Inbox())
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD)
    with pytest.raises(LoginRefusedError, match="Bad user name or password"):
        session.receive(refusal.write())
    assert session.stage is Stage.CONNECTING


def test_a_server_that_is_busy_does_not_refuse_who_one_is() -> None:
    refusal = mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY)
    with pytest.raises(ConnectRefusedError) as refused:
        Session(LOGIN, Inbox()).receive(refusal.write())
    assert not isinstance(refused.value, LoginRefusedError)


def test_the_servers_keep_alive_counts() -> None:
    session = Session(LOGIN, Inbox())
    session.receive(mqtt5.ConnAckPacket(server_keep_alive=5).write())
    assert session.keep_alive_s == 5


@pytest.mark.parametrize(
    "connack",
    [
        mqtt5.ConnAckPacket(max_qos=mqtt5.QoS.AT_MOST_ONCE),
        mqtt5.ConnAckPacket(retain_available=False),
        mqtt5.ConnAckPacket(session_present=True),
    ],
)
def test_a_server_that_cannot_do_what_is_needed_is_not_used(connack: mqtt5.ConnAckPacket) -> None:
    with pytest.raises(ConnectionEndedError):
        Session(LOGIN, Inbox()).receive(connack.write())


def test_nothing_may_come_before_the_connack() -> None:
    with pytest.raises(ProtocolError, match="PublishPacket while connecting"):
        Session(LOGIN, Inbox()).receive(message(1))


# --- publishing ---


def test_a_publish_is_done_at_its_puback_and_not_before() -> None:
    session, outcomes = connected(), Outcomes()
    publish(session, outcomes)
    (packet,) = said(session)
    assert isinstance(packet, mqtt5.PublishPacket)
    assert (packet.topic, packet.payload, packet.qos, packet.duplicate) == (*HELLO, mqtt5.QoS.AT_LEAST_ONCE, False)
    assert outcomes.told == []
    session.receive(puback(1))
    assert outcomes.words == ["granted"]


def test_a_puback_that_nobody_listens_is_a_grant_and_one_that_refuses_is_not() -> None:
    session, outcomes = connected(), Outcomes()
    publish(session, outcomes, 2)
    session.receive(puback(1, mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS) + puback(2, DENIED))
    assert outcomes.words == ["granted", "the server refuses a message: Not authorized"]
    assert isinstance(outcomes.told[1], RefusedError)


@given(st.integers(1, 20), st.lists(st.booleans(), max_size=120))
def test_no_more_is_unacknowledged_than_the_server_allows(window: int, turns: list[bool]) -> None:
    session, outcomes, sent, waiting = connected(window=window), Outcomes(), list[int](), list[int]()
    for publishing in turns:
        if publishing:
            publish(session, outcomes)
        elif waiting:
            session.receive(puback(waiting.pop()))
        new = published(session)
        waiting += new
        sent += new
        assert len(waiting) <= window
    assert len(waiting) == window or len(sent) == turns.count(True)
    assert outcomes.words == ["granted"] * (len(sent) - len(waiting))


def test_what_waits_for_the_window_goes_out_in_order() -> None:
    session = connected(window=1)
    for payload in (b"1", b"2", b"3"):
        session.publish("up", payload, retain=True, on_done=Outcomes())
    sent = said(session)
    for packet_id in (1, 2, 3):
        session.receive(puback(packet_id))
        sent += said(session)
    assert [packet.payload for packet in sent if isinstance(packet, mqtt5.PublishPacket)] == [b"1", b"2", b"3"]


def test_what_waits_for_the_window_is_bounded() -> None:
    session, outcomes = connected(window=1), Outcomes()
    publish(session, outcomes, MAX_UNSENT + 2)
    assert outcomes.words == [f"{MAX_UNSENT} publishes wait already"]


def test_a_message_that_is_too_large_for_the_server_is_not_sent() -> None:
    session, outcomes = connected(largest=100), Outcomes()
    session.publish("up", b"x" * 100, retain=False, on_done=outcomes)
    assert outcomes.words == ["109 bytes, and the server takes 100"]
    assert said(session) == []


def test_a_topic_that_no_message_may_have_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="topic"):
        connected().publish("up/+", b"", retain=False, on_done=Outcomes())


def test_publishes_wait_while_the_socket_takes_no_more() -> None:
    session, outcomes = connected(), Outcomes()
    session.hold()
    publish(session, outcomes, 2)
    assert said(session) == []
    session.go_on()
    assert published(session) == [1, 2]


def test_packet_identifiers_come_round_and_leave_out_those_in_use() -> None:
    session, outcomes = connected(), Outcomes()
    publish(session, outcomes)
    for packet_id in range(2, 65_536):
        publish(session, outcomes)
        session.receive(puback(packet_id))
    session.take_output()
    publish(session, outcomes)
    assert published(session) == [2]


def test_what_waits_and_what_is_refused_uses_up_no_packet_identifier() -> None:
    session, outcomes = connected(window=1, largest=100), Outcomes()
    publish(session, outcomes, 2)
    session.publish("up", b"x" * 100, retain=False, on_done=outcomes)
    session.receive(puback(1))
    assert published(session) == [1, 2]


def test_every_publish_hears_of_its_own_acknowledgement_however_many_wait() -> None:
    session, told = connected(window=60_000), list[int]()

    def done(index: int, error: RefusedError | ConnectionEndedError | None) -> None:
        assert isinstance(error, RefusedError) == (index % 7 == 0)
        told.append(index)

    for index in range(60_000 + MAX_UNSENT):
        session.publish("up", b"%d" % index, retain=False, on_done=partial(done, index))
    while sent := [packet for packet in said(session) if isinstance(packet, mqtt5.PublishPacket)]:
        for packet in sent:
            assert packet.packet_id is not None
            session.receive(puback(packet.packet_id, DENIED if int(packet.payload) % 7 == 0 else ACCEPTED))
    assert told == list(range(60_000 + MAX_UNSENT))


@pytest.mark.timeout(30)
def test_a_packet_identifier_is_left_for_a_subscription_however_many_publishes_the_server_takes() -> None:
    session, outcomes = connected(window=65_535), Outcomes()
    publish(session, outcomes, session.window + MAX_UNSENT)
    packet_ids = published(session)
    assert len(set(packet_ids)) == len(packet_ids) == session.window < 65_535
    for _ in range(MAX_ASKED):
        session.subscribe([Subscription(topic_filter="a")], outcomes)
    asked = {packet.packet_id for packet in said(session) if isinstance(packet, mqtt5.SubscribePacket)}
    assert len(asked) == MAX_ASKED
    assert asked.isdisjoint(packet_ids)
    assert outcomes.told == []
    session.unsubscribe(["a"], outcomes)
    assert outcomes.words == [f"{MAX_ASKED} subscriptions wait already"]
    session.receive(puback(1))
    assert len(published(session)) == 1


def test_an_acknowledgement_of_nothing_ends_the_session() -> None:
    with pytest.raises(ProtocolError, match="packet identifier 9"):
        connected().receive(puback(9))


# --- receiving ---


def test_a_message_is_acknowledged_when_the_application_says_so() -> None:
    inbox = Inbox()
    session = connected(inbox)
    session.receive(message(4, b"state", retain=True))
    assert inbox.messages == [("down", b"state", True)]
    assert said(session) == []
    session.acknowledge(4)
    (packet,) = said(session)
    assert isinstance(packet, mqtt5.PubAckPacket)
    assert packet.packet_id == 4


@given(st.permutations(range(1, 8)))
def test_acknowledgements_go_out_in_the_order_of_the_messages(order: list[int]) -> None:
    session, sent = connected(), list[int]()
    session.receive(b"".join(message(packet_id) for packet_id in range(1, 8)))
    for packet_id in order:
        session.acknowledge(packet_id)
        sent += [packet.packet_id for packet in said(session) if isinstance(packet, mqtt5.PubAckPacket)]
    assert sent == list(range(1, 8))


def test_a_message_of_qos_0_needs_no_acknowledgement() -> None:
    inbox = Inbox()
    session = connected(inbox)
    session.receive(message(0))
    session.acknowledge(inbox.packet_ids[0])
    assert said(session) == []


def test_a_server_that_sends_more_than_it_may_is_borne_with() -> None:
    """Mosquitto 2.0.11 does, when ten thousand phones come back at once."""
    inbox = Inbox()
    session = connected(inbox, login=replace(LOGIN, receive_maximum=2))
    session.receive(message(1) + message(2) + message(3))
    assert inbox.packet_ids == [1, 2, 3]


def test_a_packet_identifier_that_is_still_in_use_ends_the_session() -> None:
    session = connected()
    session.receive(message(1))
    with pytest.raises(ProtocolError, match="packet identifier 1"):
        session.receive(message(1))


@pytest.mark.parametrize("packet_id", [1, 2])
def test_what_was_acknowledged_is_not_acknowledged_twice(packet_id: int) -> None:
    """Whether it has gone out, or waits for its turn."""
    session = connected()
    session.receive(message(1) + message(2))
    session.acknowledge(packet_id)
    with pytest.raises(KeyError):
        session.acknowledge(packet_id)


# --- subscribing ---


def test_a_subscription_says_what_it_wants() -> None:
    session, outcomes = connected(), Outcomes()
    session.subscribe(
        [
            Subscription(topic_filter="a"),
            Subscription(topic_filter="b", retained=False, own=False, flag_as_published=True),
        ],
        outcomes,
    )
    (packet,) = said(session)
    assert isinstance(packet, mqtt5.SubscribePacket)
    first, second = packet.topic_filters
    assert (first.pattern, first.no_local, first.retain_handling) == ("a", False, mqtt5.RetainHandling.SEND_ALWAYS)
    assert (second.pattern, second.no_local, second.retain_handling) == ("b", True, mqtt5.RetainHandling.SEND_NEVER)
    assert (first.retain_as_published, second.retain_as_published) == (False, True)
    granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    session.receive(mqtt5.SubAckPacket(packet.packet_id, [granted, granted]).write())
    assert outcomes.words == ["granted"]


def test_a_refused_subscription_says_why() -> None:
    session, outcomes = connected(), Outcomes()
    session.subscribe([Subscription(topic_filter="a")], outcomes)
    session.receive(mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write())
    assert outcomes.words == ["the server refuses a subscription: Not authorized"]


def test_an_unsubscription_is_answered_too() -> None:
    session, outcomes = connected(), Outcomes()
    session.unsubscribe(["a"], outcomes)
    session.receive(mqtt5.UnsubAckPacket(1, [mqtt5.UnsubAckReasonCode.SUCCESS]).write())
    assert outcomes.words == ["granted"]


def test_an_answer_that_nobody_asked_for_ends_the_session() -> None:
    with pytest.raises(ProtocolError, match="not asked"):
        connected().receive(mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write())


# --- keeping alive ---


def pings(session: Session) -> int:
    return sum(isinstance(packet, mqtt5.PingReqPacket) for packet in said(session))


def test_a_silent_connection_is_pinged_and_a_lively_one_is_not() -> None:
    session, outcomes = connected(), Outcomes()
    session.beat()
    assert pings(session) == 0  # it has only just connected
    publish(session, outcomes)
    session.receive(puback(1))
    session.beat()
    assert pings(session) == 0
    session.beat()
    assert pings(session) == 1


def test_a_server_that_answers_pings_is_alive() -> None:
    session = connected()
    for _ in range(5):
        session.beat()
        session.receive(mqtt5.PingRespPacket().write())


def test_a_server_that_answers_nothing_is_given_up() -> None:
    session = connected()
    session.beat()
    session.beat()
    publish(session, Outcomes())  # that something is sent is no sign of life
    with pytest.raises(ConnectionEndedError, match="does not answer"):
        session.beat()


# --- the end ---


def test_the_end_of_the_connection_ends_all_that_waits() -> None:
    session, outcomes = connected(window=1), Outcomes()
    publish(session, outcomes, 2)
    session.subscribe([Subscription(topic_filter="a")], outcomes)
    session.lost(ConnectionEndedError("cut"))
    assert outcomes.words == ["cut"] * 3
    publish(session, outcomes)
    session.unsubscribe(["a"], outcomes)
    assert outcomes.words[3:] == ["there is no connection"] * 2


def test_nothing_is_ever_sent_twice() -> None:
    session = connected(window=1)
    publish(session, Outcomes(), 2)
    assert published(session) == [1]
    session.hold()
    session.go_on()
    session.lost(ConnectionEndedError("cut"))
    assert said(session) == []


def test_a_server_that_dismisses_says_why() -> None:
    session = connected()
    taken_over = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER)
    with pytest.raises(ConnectionEndedError, match="Session taken over"):
        session.receive(taken_over.write())
    session.disconnect()
    assert said(session) == []


@pytest.mark.parametrize(("error", "reason"), [(None, 0), (ProtocolError("nonsense"), 130)])
def test_a_farewell_says_whose_fault_it_is(error: ProtocolError | None, reason: int) -> None:
    session = connected()
    session.disconnect(error)
    (packet,) = packets_of(session.take_output())
    assert isinstance(packet, mqtt5.DisconnectPacket)
    assert packet.reason_code.value == reason


def test_nothing_is_delivered_after_the_farewell() -> None:
    inbox = Inbox()
    session = connected(inbox)
    session.disconnect()
    session.receive(message(1))
    assert inbox.messages == []
