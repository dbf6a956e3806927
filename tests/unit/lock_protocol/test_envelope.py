"""Keys, what they sign, and the envelope around it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lock_protocol.codec import decode
from lock_protocol.envelope import open_envelope, pre_authentication, read_envelope, seal
from lock_protocol.keys import PublicKey, SigningKey, key_id, verifies
from tests.unit.lock_protocol import golden
from tests.unit.lock_protocol.golden import KINDS, Vector

SIGNATURES = [one for one in golden.read("keys") if "signature" in one]
IDS = [one for one in golden.read("keys") if "seed" in one]
WORKED = {one["type"]: one for one in golden.read("envelope")}


@pytest.mark.parametrize("vector", IDS, ids=[one["name"] for one in IDS])
def test_a_seed_makes_its_key_and_key_id(vector: Vector) -> None:
    key = SigningKey.from_seed(bytes.fromhex(vector["seed"]))
    assert {"public": key.public.hex(), "key_id": key.id.hex()} == vector["result"]


@pytest.mark.parametrize("vector", SIGNATURES, ids=[one["name"] for one in SIGNATURES])
def test_a_signature_verifies_unless_it_has_a_defect(vector: Vector) -> None:
    public, message = PublicKey(bytes.fromhex(vector["public"])), bytes.fromhex(vector["message"])
    assert verifies(public, message, bytes.fromhex(vector["signature"])) == ("error" not in vector)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, this one {length}"):
        SigningKey.from_seed(bytes(length))


def test_a_key_never_shows_its_secret() -> None:
    key = SigningKey.from_seed(bytes(range(32)))
    assert repr(key) == f"SigningKey(id={key_id(key.public).hex()})"


@golden.every("pae")
def test_the_signed_bytes_are_the_golden_ones(vector: Vector) -> None:
    assert pre_authentication(vector["type"], bytes.fromhex(vector["payload"])).hex() == vector["result"]["pae"]


@given(st.tuples(st.text(), st.binary()), st.tuples(st.text(), st.binary()))
def test_no_two_pairs_of_type_and_payload_share_their_signed_bytes(
    one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    assert (pre_authentication(*one) == pre_authentication(*other)) == (one == other)


@golden.every("envelope")
def test_each_step_of_a_worked_example_follows_from_the_one_before(vector: Vector) -> None:
    kind, payload = KINDS[vector["type"]], bytes.fromhex(vector["payload"])
    keys = [SigningKey.from_seed(bytes.fromhex(one["seed"])) for one in vector["signers"]]
    data = golden.signed(vector, payload)
    envelope = read_envelope(data)
    assert pre_authentication(kind.media_type, payload).hex() == vector["pae"]
    assert [key.public.hex() for key in keys] == [one["public"] for one in vector["signers"]]
    assert [one.key_id.hex() for one in envelope.signatures] == [one["key_id"] for one in vector["signers"]]
    assert [one.signature.hex() for one in envelope.signatures] == [one["signature"] for one in vector["signers"]]
    assert {"envelope": data.hex(), "payload_hash": envelope.payload_hash.hex()} == vector["result"]
    assert open_envelope(kind, data) == envelope


class TestSealing:
    """What would be refused for its shape is not made."""

    def sealed(self, kind: str, **changes: Any) -> bytes:
        example = WORKED[kind]
        message = decode(KINDS[kind].message, bytes.fromhex(example["payload"]))
        keys = [SigningKey.from_seed(bytes.fromhex(one["seed"])) for one in example["signers"]]
        whole = {"keys": keys, "delegation": bytes.fromhex(example["delegation"])} | changes
        return seal(KINDS[kind], message, **whole)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_message_is_sealed_as_the_worked_example_says(self, kind: str) -> None:
        assert self.sealed(kind).hex() == WORKED[kind]["result"]["envelope"]

    def test_a_state_needs_a_delegation(self) -> None:
        with pytest.raises(ValueError, match="a delegation is missing"):
            self.sealed("desired", delegation=b"")

    def test_a_hello_has_none(self) -> None:
        with pytest.raises(ValueError, match="does not belong here"):
            self.sealed("hello", delegation=b"x")

    def test_nothing_is_sealed_without_a_key(self) -> None:
        with pytest.raises(ValueError, match="nobody has signed"):
            self.sealed("hello", keys=[])

    def test_a_fresh_has_one_signature(self) -> None:
        with pytest.raises(ValueError, match="at most 1 signatures"):
            self.sealed("fresh", keys=[SigningKey.from_seed(bytes([one]) * 32) for one in (1, 2)])

    def test_no_key_signs_twice(self) -> None:
        with pytest.raises(ValueError, match="strictly ascending"):
            self.sealed("desired", keys=[SigningKey.from_seed(bytes(32))] * 2)

    def test_an_envelope_has_at_most_4096_bytes(self) -> None:
        with pytest.raises(ValueError, match="at most 4096 bytes"):
            self.sealed("desired", delegation=bytes(4000))
