"""Messages and their payloads: one sequence of bytes for each, and none for what the tables do not allow."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from lock_protocol.codec import NotMsgpackError, decode, encode, is_canonical, read_first
from lock_protocol.levels import Level, Ops, operations_required
from lock_protocol.messages import Delegation, DesiredState, Hello, Notice, Reported, Root
from lock_protocol.schema import Message, SchemaError
from tests.unit.lock_protocol import generated, golden
from tests.unit.lock_protocol.golden import KINDS, Vector

EXAMPLES: dict[type[Message], Message] = {
    KINDS[one["type"]].message: decode(KINDS[one["type"]].message, bytes.fromhex(one["payload"]))
    for one in golden.read("codec")
    if "result" in one
}
ILLEGAL: list[tuple[type[Message], dict[str, Any], str]] = [
    (Root, {"threshold": 0}, "threshold must be 1..5"),
    (Root, {"threshold": 4}, "above the number of keys"),
    (Root, {"keys": ()}, "keys must be an array of 1..9"),
    (Root, {"provisional_level": Level.LOCKED}, "provisional_level must be one of"),
    (Delegation, {"expires_at": 0}, "expires_at must be after issued_at"),
    (Delegation, {"lender": "Acme"}, r"lender must be text of \[a-z0-9-\]"),
    (Delegation, {"hosts": ("a:443",)}, "hosts element 0 must be text"),
    (DesiredState, {"imei": "000000000000000"}, "imei .* zeros"),
    (DesiredState, {"version": 0}, r"version must be 1\.\."),
    (DesiredState, {"version": True}, "version must be an unsigned integer"),
    (DesiredState, {"level": 5, "lease_then": 5}, "level must be one of"),
    (DesiredState, {"remind_s": 60}, "level 2 only"),
    (DesiredState, {"lease_then": Level.UNLOCKED}, "lease_then must equal level"),
    (DesiredState, {"lease_until": 1}, "lease_until must be after issued_at"),
    (Hello, {"version": 0}, "both 0 or both not"),
    (Hello, {"epoch": 0, "version": 0}, "zeros when nothing is held"),
    (Hello, {"nonce": b""}, "nonce must be 16 bytes"),
    (Reported, {"detail": "é"}, "printable ASCII"),
    (Reported, {"epoch": 0}, "both 0 or both not"),
]


@golden.every("codec", valid=True)
def test_a_message_and_its_golden_payload_stand_for_each_other(vector: Vector) -> None:
    kind, payload = KINDS[vector["type"]].message, bytes.fromhex(vector["payload"])
    message = decode(kind, payload)
    assert golden.fields_of(message) == vector["result"]
    assert encode(message).hex() == vector["payload"]


@golden.every("codec", valid=False)
def test_other_bytes_stand_for_no_message(vector: Vector) -> None:
    payload = bytes.fromhex(vector["payload"])
    with pytest.raises(ValueError, match=r"."):
        decode(KINDS[vector["type"]].message, payload)
    assert _is_canonical(payload) == (vector["error"] == "BadSchema")


def _is_canonical(payload: bytes) -> bool:
    try:
        return is_canonical(payload, read_first(payload))
    except NotMsgpackError:
        return False


@given(generated.messages)
def test_every_message_comes_back_from_its_payload(message: Message) -> None:
    assert decode(type(message), encode(message)) == message


@given(generated.messages, generated.messages)
def test_two_messages_share_a_payload_only_if_they_are_equal(one: Message, other: Message) -> None:
    if type(one) is type(other):
        assert (one == other) == (encode(one) == encode(other))


@pytest.mark.parametrize(("kind", "fields", "said"), ILLEGAL)
def test_a_message_against_its_table_cannot_be_built(kind: type[Message], fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=rf"{kind.__name__}: .*{said}"):
        replace(EXAMPLES[kind], **fields)  # type: ignore[type-var]  # every Message is a dataclass


def test_a_notice_names_the_hosts_of_both_links() -> None:
    notice = Notice(pay_url="https://pay.example/a?b#c", appeal_url="https://help.example")
    assert notice.hosts() == {"pay.example", "help.example"}


def test_a_notice_without_links_names_no_host() -> None:
    assert Notice().hosts() == frozenset()


@pytest.mark.parametrize(
    ("level", "then", "needed"),
    [
        (Level.UNLOCKED, Level.UNLOCKED, Ops.UNLOCK),
        (Level.NOTICE, Level.NOTICE, Ops.UNLOCK),
        (Level.REMINDER, Level.REMINDER, Ops.LOCK),
        (Level.RESTRICTED, Level.RESTRICTED, Ops.LOCK),
        (Level.LOCKED, Level.LOCKED, Ops.LOCK),
        (Level.RELEASED, Level.RELEASED, Ops.RELEASE),
        (Level.UNLOCKED, Level.LOCKED, Ops.UNLOCK | Ops.LOCK),
        (Level.LOCKED, Level.NOTICE, Ops.UNLOCK | Ops.LOCK),
    ],
)
def test_the_operation_is_read_off_level_and_lease(level: Level, then: Level, needed: Ops) -> None:
    assert operations_required(level, then) == needed
