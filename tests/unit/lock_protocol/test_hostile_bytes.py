"""Nothing that somebody changed, cut, joined or made up is ever accepted, and nothing raises but a refusal."""

from collections.abc import Callable
from itertools import product
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lock_protocol.acceptance import accept_fresh, accept_hello, accept_report, accept_state
from lock_protocol.codec import decode, encode, read_first
from lock_protocol.envelope import Envelope, read_envelope
from lock_protocol.refusals import Refusal
from lock_protocol.trust import follow_root, pinned_root, verify_delegation
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import TABLES, Table, Vector, message_of, standing_of

Receiver = Callable[[bytes], object]

GOOD: dict[str, list[Vector]] = {
    table.file: [one for one in golden.read(table.file) if "error" not in one] for table in TABLES
}
FIRST = {file: entries[0] for file, entries in GOOD.items()}
PINNED = pinned_root(bytes.fromhex(FIRST["states"]["standing"]["root"]))
ENVELOPES = sorted({message_of(one) for entries in GOOD.values() for one in entries})
OPENED = [read_envelope(data) for data in ENVELOPES]
BY_TABLE = pytest.mark.parametrize("table", TABLES, ids=[table.file for table in TABLES])


def receivers() -> dict[str, Receiver]:
    """Return everything that reads bytes from the network."""
    phone = golden.phone_standing(FIRST["fresh"]["standing"])
    bridge = golden.device_standing(FIRST["hello"]["standing"])
    return {
        "pinned_root": pinned_root,
        "follow_root": lambda data: follow_root(PINNED, data),
        "verify_delegation": lambda data: verify_delegation(PINNED, data),
        "accept_state": lambda data: accept_state(data, phone),
        "accept_fresh": lambda data: accept_fresh(data, phone),
        "accept_hello": lambda data: accept_hello(data, bridge),
        "accept_report": lambda data: accept_report(data, bridge),
    }


RECEIVERS = receivers()


def is_refused(receiver: Receiver, data: bytes) -> bool:
    """Return whether `data` is refused; anything but a refusal or an acceptance fails the test."""
    try:
        receiver(data)
    except Refusal:
        return True
    return False


@BY_TABLE
def test_no_envelope_with_one_bit_turned_over_is_accepted(table: Table) -> None:
    good, standing = message_of(FIRST[table.file]), standing_of(FIRST[table.file])
    assert table.verdict(good, standing) == "accepted"
    whole = int.from_bytes(good, "big")
    for bit in range(len(good) * 8):
        turned = (whole ^ 1 << bit).to_bytes(len(good), "big")
        assert table.verdict(turned, standing) != "accepted", bit


@BY_TABLE
def test_no_envelope_that_was_cut_is_accepted(table: Table) -> None:
    good, standing = message_of(FIRST[table.file]), standing_of(FIRST[table.file])
    for length in range(len(good)):
        assert table.verdict(good[:length], standing) != "accepted", length


@BY_TABLE
@given(more=st.binary(min_size=1, max_size=64))
def test_no_envelope_with_more_behind_or_before_it_is_accepted(table: Table, more: bytes) -> None:
    good, standing = message_of(FIRST[table.file]), standing_of(FIRST[table.file])
    assert table.verdict(good + more, standing) != "accepted"
    assert table.verdict(more + good, standing) != "accepted"


@BY_TABLE
@given(bits=st.sets(st.integers(0, 2**12), min_size=1, max_size=8))
def test_no_envelope_with_several_bits_turned_over_is_accepted(table: Table, bits: set[int]) -> None:
    good, standing = message_of(FIRST[table.file]), standing_of(FIRST[table.file])
    whole = int.from_bytes(good, "big")
    for bit in {bit % (len(good) * 8) for bit in bits}:
        whole ^= 1 << bit
    assert table.verdict(whole.to_bytes(len(good), "big"), standing) != "accepted"


@st.composite
def paired(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """Return an envelope made of the parts of several valid ones."""
    type_, payload, signatures, delegation = (draw(st.sampled_from(OPENED)) for _ in range(4))
    return encode(
        Envelope(
            type=type_.type,
            payload=payload.payload,
            signatures=signatures.signatures,
            delegation=delegation.delegation,
        )
    )


@BY_TABLE
@given(data=paired())
def test_parts_of_valid_envelopes_are_accepted_only_as_one_of_them(table: Table, data: bytes) -> None:
    standing = standing_of(FIRST[table.file])
    assert data in ENVELOPES or table.verdict(data, standing) != "accepted"


def test_no_payload_counts_with_the_signatures_of_another() -> None:
    standing = standing_of(FIRST["states"])
    states = [read_envelope(message_of(one)) for one in GOOD["states"]]
    for one, other in product(states, states):
        if one.payload != other.payload:
            mixed = Envelope(type=one.type, payload=one.payload, signatures=other.signatures, delegation=one.delegation)
            assert TABLES[0].verdict(encode(mixed), standing) != "accepted"


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=80),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    st.builds(msgpack.Timestamp, st.integers(0, 2**34 - 1), st.integers(0, 999_999_999)),
)
keys = st.one_of(st.integers(0, 9), st.text(max_size=3), st.binary(max_size=3))
shapes = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=18), st.dictionaries(keys, inner, max_size=3))
)
envelope_like = st.tuples(
    st.integers(0, 2),
    st.sampled_from([one.type for one in OPENED]),
    st.one_of(st.binary(max_size=200), shapes.map(msgpack.packb)),
    st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.binary(min_size=64, max_size=64)), max_size=11),
    st.one_of(st.sampled_from([b"", *(one.delegation for one in OPENED)]), st.binary(max_size=99)),
)
EXTREMES = [
    b"\x91" * 1000 + b"\x90",
    b"\x91" * 4096,
    b"\x81\x01" * 1000 + b"\x01",
    b"\x81\x81\x01\x01\x01",
    b"\xdc\xff\xff" * 1300,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xc7\xff\xff" + bytes(255),
    b"\xd6\xff" + bytes(4),
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\xc7\x05\xff" + bytes(5),
    b"\xc1",
    b"\xd9\x02\xed\xa0",
]


@pytest.mark.parametrize("receiver", RECEIVERS.values(), ids=RECEIVERS)
class TestNothingRaisesButARefusal:
    @given(data=st.binary(max_size=300))
    def test_for_any_bytes(self, receiver: Receiver, data: bytes) -> None:
        assert is_refused(receiver, data)

    @given(shape=shapes)
    def test_for_any_msgpack(self, receiver: Receiver, shape: object) -> None:
        assert is_refused(receiver, msgpack.packb(shape))

    @given(shape=envelope_like)
    def test_for_what_looks_like_an_envelope(self, receiver: Receiver, shape: object) -> None:
        assert is_refused(receiver, msgpack.packb(shape))

    @pytest.mark.parametrize("data", EXTREMES, ids=lambda data: f"{data[:4].hex()}-{len(data)}")
    def test_for_lengths_and_depths_that_are_only_claimed(self, receiver: Receiver, data: bytes) -> None:
        assert is_refused(receiver, data)

    @pytest.mark.parametrize("data", EXTREMES, ids=lambda data: f"{data[:4].hex()}-{len(data)}")
    def test_for_payloads_that_are_extreme(self, receiver: Receiver, data: bytes) -> None:
        for one in OPENED:
            whole = (1, one.type, data, [(s.key_id, s.signature) for s in one.signatures], one.delegation)
            assert is_refused(receiver, msgpack.packb(whole))


WORKED = {one["type"]: one for one in golden.read("envelope")}


def signed_by_the_right_key(table: Table, payload: bytes) -> bytes:
    """Return what somebody with the stolen keys can send."""
    return golden.signed(WORKED[table.kind.name], payload)


@BY_TABLE
@given(data=st.data())
def test_right_keys_make_no_payload_acceptable_that_does_not_fit_its_table(table: Table, data: st.DataObject) -> None:
    values = list(read_first(bytes.fromhex(WORKED[table.kind.name]["payload"])))
    values[data.draw(st.integers(0, len(values) - 1))] = data.draw(shapes)
    payload = msgpack.packb(values)
    message = signed_by_the_right_key(table, payload)
    if table.verdict(message, standing_of(FIRST[table.file])) == "accepted":
        assert encode(decode(table.kind.message, payload)) == payload


@BY_TABLE
@given(payload=st.one_of(st.binary(min_size=1, max_size=300), shapes.map(msgpack.packb)))
def test_right_keys_make_no_other_payload_acceptable(table: Table, payload: bytes) -> None:
    message = signed_by_the_right_key(table, payload)
    verdict = table.verdict(message, standing_of(FIRST[table.file]))
    assert verdict in {"NonCanonical", "BadSchema"}
