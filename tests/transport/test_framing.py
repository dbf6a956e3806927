"""A stream of bytes, cut anywhere, is the same packets."""

from contextlib import suppress
from itertools import pairwise

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_transport.errors import ProtocolError
from mqtt_transport.framing import Frames
from tests.transport.scripted import message, puback

STREAM = b"".join(
    (
        mqtt5.ConnAckPacket(receive_max=20).write(),
        message(1),
        puback(7),
        message(2, b"x" * 300, retain=True),  # a length of two bytes
        mqtt5.PingRespPacket().write(),
        message(3, b"y" * 20_000),  # of three
    )
)


CODEC_COMPLAINS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Over text that is not UTF-8 the codec panics, and tells the interpreter's hook of that too."""


def read_in_parts(parts: list[bytes]) -> list[str]:
    frames = Frames(largest=30_000)
    return [repr(packet) for part in parts for packet in frames.packets(part)]


WHOLE = read_in_parts([STREAM])


def test_packets_that_come_together_are_read_apart() -> None:
    assert [packet.split("(")[0] for packet in WHOLE] == [
        "ConnAckPacket",
        "PublishPacket",
        "PubAckPacket",
        "PublishPacket",
        "PingRespPacket",
        "PublishPacket",
    ]


def test_a_stream_that_comes_byte_by_byte_is_the_same_packets() -> None:
    assert read_in_parts([STREAM[at : at + 1] for at in range(len(STREAM))]) == WHOLE


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_that_is_cut_anywhere_is_the_same_packets(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert read_in_parts([STREAM[a:b] for a, b in pairwise(places)]) == WHOLE


def test_a_packet_that_is_too_large_is_refused_from_its_header() -> None:
    packet = message(1, b"x" * 1000)
    assert len(list(Frames(largest=len(packet)).packets(packet))) == 1
    with pytest.raises(ProtocolError, match=f"a packet of {len(packet)} bytes, where {len(packet) - 1} are allowed"):
        list(Frames(largest=len(packet) - 1).packets(packet[:3]))


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n" * 9, id="another protocol"),
        pytest.param(b"\x00\x00", id="a packet type that is none"),
        pytest.param(b"\x32\xff\xff\xff\xff\x01", id="a length that has no end"),
        pytest.param(b"\x32\x03\x00\x09a", id="a topic that runs past its packet"),
        pytest.param(b"\x40\x03\x00\x01\x55", id="a reason code that is none"),
        pytest.param(b"\x30\x06\x00\x02\xff\xfe\x00a", id="a topic that is not UTF-8", marks=CODEC_COMPLAINS),
        pytest.param(b"\xd0\x01\x00", id="a packet with something behind it"),
        pytest.param(b"\x36\x07\x00\x01a\x00\x01\x00x", id="a QoS that is none"),
    ],
)
def test_bytes_that_are_no_packet_are_refused(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Frames(largest=65_536).packets(garbage))


@CODEC_COMPLAINS
@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_pass_wait_or_be_refused(garbage: bytes) -> None:
    with suppress(ProtocolError):
        list(Frames(largest=65_536).packets(garbage))
