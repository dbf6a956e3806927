"""hello.json and reported.json: what the bridge does with a message from a phone."""

from dataclasses import replace
from typing import Any

from lock_protocol.envelope import HELLO, REPORTED
from lock_protocol.levels import Condition, Level, Result, Signals
from lock_protocol.messages import NO_HASH, NO_LENDER, Hello, LenderId, Reported
from vectors.making import cast
from vectors.making.acceptance import (
    Letter,
    broken,
    changed,
    non_canonical,
    refused,
    schema_defects,
    shape_defects,
    shape_pairs,
    signature_defects,
    type_defects,
)
from vectors.making.parts import Vector, parts, payload, upward, vector

REGISTERED: Vector = {"imei": cast.PHONE, "device_key": cast.DEVICE.public.hex(), "sequence": 17}
"""What the bridge knows of the phone: the key bound at enrolment, the last sequence it accepted."""


def hellos() -> list[Vector]:
    """Return the entries of hello.json."""
    letter = _letter(cast.HELLO_MESSAGE)
    reset = replace(
        cast.HELLO_MESSAGE,
        lender=NO_LENDER,
        sequence=0,
        delegation_version=0,
        epoch=0,
        version=0,
        state_hash=NO_HASH,
        effective_level=Level.RESTRICTED,
        condition=Condition.PROVISIONAL,
        signals=Signals.FLOOR_LOST,
    )
    return [
        accepted("a phone that holds version 41", cast.HELLO_MESSAGE),
        accepted("a phone that was reset: it holds nothing and has no count", reset),
        accepted("sequence 0 from a phone that still knows its state", replace(cast.HELLO_MESSAGE, sequence=0)),
        accepted("the first hello ever", reset, sequence=-1),
        accepted("every number as large as it may be", _largest(cast.HELLO_MESSAGE)),
        accepted("a lender of 3 characters", replace(cast.HELLO_MESSAGE, lender=LenderId("a-1"))),
        *_refused(letter, REPORTED.media_type),
        *changed(letter, {"root_version 0": {"root_version": 0}, "a nonce of 17 bytes": {"nonce": bytes(17)}}),
        *_stale(letter, (17, 16, 1)),
        *_pairs(letter),
    ]


def reports() -> list[Vector]:
    """Return the entries of reported.json."""
    message = cast.REPORT_MESSAGE
    refusal = replace(
        message, result=Result.REFUSED, about_epoch=1, about_version=7, about_hash=cast.hash_of(b"?"), detail="Rollback"
    )
    nothing = replace(
        message,
        epoch=0,
        version=0,
        state_hash=NO_HASH,
        condition=Condition.PROVISIONAL,
        result=Result.OBSERVED,
        about_epoch=0,
        about_version=0,
        about_hash=NO_HASH,
    )
    coded = replace(
        message, version=42, state_hash=NO_HASH, condition=Condition.CODE_OPEN, effective_level=Level.UNLOCKED
    )
    letter = _letter(message)
    bad: dict[str, Vector] = {
        "result 4": {"result": 4},
        "a line feed in detail": {"detail": "a\n"},
        "detail that is not ASCII": {"detail": "é"},
        "detail of 65 bytes": {"detail": "x" * 65},
    }
    return [
        accepted("version 41 applied", message),
        accepted("a message refused", refusal),
        accepted("failed to apply", replace(message, result=Result.FAILED, condition=Condition.APPLY_FAILED)),
        accepted("observed, holding nothing", nothing),
        accepted("opened by an offline code, whose state is still to come", coded),
        accepted("sequence 0, the first ever", replace(message, sequence=0), sequence=-1),
        accepted("every number as large as it may be", _largest(message)),
        accepted("detail of 64 bytes", replace(message, result=Result.FAILED, detail=" ~" * 32)),
        *_refused(letter, HELLO.media_type),
        *changed(letter, {name: bad[name] for name in bad if name != "result 4"}),
        *changed(letter, {"result 4": bad["result 4"]}, "unreadable"),
        *_stale(letter, (17, 16, 0)),
        *_pairs(letter),
    ]


def _largest(message: Hello | Reported) -> Hello | Reported:
    """Return the message with the numbers that both kinds have at the last value that their table allows."""
    return replace(
        message,
        lender=LenderId("l" * 32),
        epoch=2**31 - 1,
        version=2**53 - 1,
        boot_count=2**32 - 1,
        sequence=2**53 - 1,
        signals=Signals(127),
    )


def accepted(name: str, message: Hello | Reported, sequence: int = 17) -> Vector:
    """Return an entry that is accepted; `result` is the message, field by field."""
    standing = REGISTERED | {"sequence": sequence}
    return vector(name, standing=standing, message=upward(message).pack(), result=message)


def _letter(record: Hello | Reported) -> Letter:
    return Letter(make=upward, record=record, by=(cast.DEVICE,), standing=REGISTERED, unsigned="accepted")


def _refused(letter: Letter, sibling: str) -> list[Vector]:
    return [
        *shape_defects(letter),
        letter.refused(
            "Malformed", "two signatures", letter.make(letter.record, by=(cast.DEVICE, cast.STRANGER)), "UnknownKey"
        ),
        letter.refused("Malformed", "a delegation", replace(letter.good, delegation=cast.GRANTED)),
        *type_defects(letter, sibling),
        *_unknown_keys(letter),
        *signature_defects(letter, sibling),
        *non_canonical(letter),
        *schema_defects(letter),
        *changed(letter, _holdings()),
        *changed(letter, {"condition 6": {"condition": 6}, "level 5": {"effective_level": 5}}, "unreadable"),
        letter.refused("WrongPhone", "another phone's topic", letter.of(payload(letter.record, imei=cast.OTHER_PHONE))),
        refused(
            "WrongPhone", "published on another phone's topic", letter.good, REGISTERED | {"imei": cast.OTHER_PHONE}
        ),
    ]


def _unknown_keys(letter: Letter) -> list[Vector]:
    others = {"a stranger": cast.STRANGER, "the lender": cast.LOCK, "another phone": cast.key("other device")}
    return [
        letter.refused("UnknownKey", f"signed by {name}", letter.make(letter.record, by=(one,)))
        for name, one in others.items()
    ]


def _holdings() -> dict[str, dict[str, Any]]:
    return {
        "an epoch without a version": {"version": 0, "state_hash": NO_HASH},
        "a version without an epoch": {"epoch": 0},
        "the hash of nothing": {"epoch": 0, "version": 0},
        "signals 128": {"signals": 128},
        "boot_count 2^32": {"boot_count": 2**32},
        "sequence 2^53": {"sequence": 2**53},
        "a lender of two letters": {"lender": "ab"},
        "a lender in capitals": {"lender": "ACME"},
        "a hash of 33 bytes": {"state_hash": bytes(33)},
    }


def _stale(letter: Letter, sequences: tuple[int, ...]) -> list[Vector]:
    return [
        letter.refused("StaleSequence", f"sequence {number} after 17", letter.make(letter.record, sequence=number))
        for number in sequences
    ]


def _pairs(letter: Letter) -> list[Vector]:
    """Return the pairs from the type on.

    There is one signature, by an unknown key or by the phone's, so UnknownKey and BadSignature exclude each other.
    """
    spoiled = payload(letter.record) + b"\x00"
    no_phone = payload(letter.record, imei="0" * 15)
    other, stale = {"imei": cast.OTHER_PHONE}, {"sequence": 17}
    return [
        *shape_pairs(letter),
        letter.both("UnknownType", "UnknownKey", letter.make(letter.record, by=(cast.STRANGER,), type_="x")),
        letter.both("UnknownType", "BadSignature", replace(broken(letter.good), type="x")),
        letter.both("UnknownKey", "NonCanonical", parts(letter.good.type, spoiled, (cast.STRANGER,))),
        letter.both("BadSignature", "NonCanonical", broken(letter.of(spoiled))),
        letter.both("NonCanonical", "BadSchema", letter.of(no_phone + b"\x00")),
        letter.both("BadSchema", "WrongPhone", letter.of(no_phone)),
        letter.both("WrongPhone", "StaleSequence", letter.of(payload(letter.record, **other, **stale))),
    ]
