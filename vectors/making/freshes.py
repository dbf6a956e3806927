"""fresh.json: what a phone does with a message from its `fresh` topic."""

from dataclasses import replace
from typing import Any

from lock_protocol.envelope import DESIRED
from lock_protocol.levels import Ops
from lock_protocol.messages import Fresh
from vectors.making import cast, from_lender
from vectors.making.acceptance import (
    Letter,
    both,
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
from vectors.making.parts import Parts, Vector, floor, fresh, grant, payload, phone, vector

HOLDING = phone(floor=floor(cast.LOCKED_STATE), nonce=cast.NONCE)
OTHER_NONCE = bytes(16)
EXPIRES = cast.GRANT.expires_at

LETTER = Letter(
    make=fresh, record=cast.FRESH_ANSWER, by=(cast.FRESH_KEY,), standing=HOLDING, unsigned="OperationNotAllowed"
)


def vectors() -> list[Vector]:
    """Return the file's entries."""
    return [
        *_accepted(),
        *shape_defects(LETTER),
        *_shape(),
        *type_defects(LETTER, DESIRED.media_type),
        *from_lender.delegation_defects(LETTER),
        *_unknown_keys(),
        *signature_defects(LETTER, DESIRED.media_type),
        *from_lender.small_order_defects(LETTER, Ops.FRESH),
        *non_canonical(LETTER),
        *schema_defects(LETTER),
        *_schema(),
        *from_lender.mismatch_defects(LETTER),
        *from_lender.address_defects(LETTER),
        *_nonces(),
        *_operations(),
        *shape_pairs(LETTER),
        *from_lender.lender_pairs(LETTER),
        *_pairs(),
    ]


def accepted(name: str, message: Parts, *, confirms: bool, before: Vector = HOLDING, **result: Any) -> Vector:
    """Return an entry that is accepted; unless `result` says otherwise, the phone's floor and time stay."""
    expected = {"floor": before["floor"], "trusted_now": before["trusted_now"], "confirms": confirms} | result
    return vector(name, standing=before, message=message.pack(), result=expected)


def _accepted() -> list[Vector]:
    answer = cast.FRESH_ANSWER
    bound = floor(cast.LOCKED_STATE)
    reset = phone(nonce=cast.NONCE)
    unbound = phone(floor=floor(cast.LOCKED_STATE, bound=False), nonce=cast.NONCE)
    elsewhere = phone(
        floor=floor(lender=cast.OTHER_LENDER, bound=False, epoch=9, version=900, state_hash="11" * 32), nonce=cast.NONCE
    )
    return [
        accepted("it confirms what the phone holds", fresh(), confirms=True),
        accepted(
            "it binds a phone that holds a state and no lender", fresh(), before=unbound, floor=bound, confirms=True
        ),
        accepted(
            "it binds a phone that was reset, and confirms nothing",
            fresh(),
            before=reset,
            floor=floor(),
            confirms=False,
        ),
        accepted(
            "it replaces a lender that was not bound: no order carries over",
            fresh(),
            before=elsewhere,
            floor=floor(),
            confirms=False,
        ),
        accepted("there is a newer version", fresh(replace(answer, version=42)), confirms=False),
        accepted(
            "the same version, another state", fresh(replace(answer, state_hash=cast.hash_of(b"x"))), confirms=False
        ),
        accepted("the same version of an earlier epoch", fresh(replace(answer, epoch=1)), confirms=False),
        accepted(
            "the same order and hash, held of another lender: it binds and confirms nothing",
            fresh(),
            before=phone(floor=floor(cast.LOCKED_STATE, lender=cast.OTHER_LENDER, bound=False), nonce=cast.NONCE),
            floor=floor(),
            confirms=False,
        ),
        *_times(answer),
        _under_next_delegation(answer),
        _under_next_epoch(answer),
    ]


def _times(answer: Fresh) -> list[Vector]:
    expired = phone(floor=floor(cast.LOCKED_STATE), nonce=cast.NONCE, trusted_now=EXPIRES + 1)
    return [
        accepted(
            "it raises the phone's time",
            fresh(replace(answer, now=cast.NOW + 5)),
            confirms=True,
            trusted_now=cast.NOW + 5,
        ),
        accepted("it never lowers the phone's time", fresh(replace(answer, now=0)), confirms=True),
        accepted(
            "it raises time at most to the delegation's end",
            fresh(replace(answer, now=2**32 - 1)),
            confirms=True,
            trusted_now=EXPIRES,
        ),
        accepted("an expired delegation still answers", fresh(), before=expired, confirms=True),
    ]


def _under_next_delegation(answer: Fresh) -> Vector:
    newer = payload(cast.GRANT, version=4)
    message = fresh(replace(answer, delegation_version=4), under=grant(newer))
    kept = floor(cast.LOCKED_STATE, under=newer, delegation_version=4)
    return accepted("under the next delegation, which becomes known", message, confirms=True, floor=kept)


def _under_next_epoch(answer: Fresh) -> Vector:
    newer = payload(cast.GRANT, version=4, epoch=3)
    ahead = phone(floor=floor(cast.LOCKED_STATE), nonce=cast.NONCE, trusted_now=cast.NOW + 50 * cast.DAY)
    message = fresh(replace(answer, delegation_version=4), under=grant(newer))
    kept = floor(cast.LOCKED_STATE, under=newer, delegation_version=4)
    return accepted(
        "under a delegation of the next epoch: no fresh sets time back",
        message,
        confirms=True,
        before=ahead,
        floor=kept,
    )


def _shape() -> list[Vector]:
    return [
        LETTER.refused("Malformed", "two signatures", fresh(by=(cast.FRESH_KEY, cast.LOCK))),
        LETTER.refused("Malformed", "no delegation", replace(LETTER.good, delegation=b""), "BadDelegation"),
    ]


def _unknown_keys() -> list[Vector]:
    return [
        # The one signature is the unknown one, so without this rule there is none that allows anything.
        LETTER.refused("UnknownKey", f"signed by {name}", fresh(by=(one,)), "OperationNotAllowed")
        for name, one in {"a stranger": cast.STRANGER, "the device": cast.DEVICE, "the root": cast.ROOT_KEYS[0]}.items()
    ]


def _schema() -> list[Vector]:
    return changed(
        LETTER,
        {
            "epoch 0": {"epoch": 0},
            "version 0": {"version": 0},
            "sequence 2^53": {"sequence": 2**53},
            "a hash of 31 bytes": {"state_hash": bytes(31)},
            "now 2^32": {"now": 2**32},
        },
    ) + changed(LETTER, {"a nonce of 15 bytes": {"nonce": cast.NONCE[:15]}}, "WrongNonce")


def _nonces() -> list[Vector]:
    return [
        LETTER.refused(
            "WrongNonce", "the answer to another hello", fresh(replace(cast.FRESH_ANSWER, nonce=OTHER_NONCE))
        ),
        refused(
            "WrongNonce",
            "the answer to a hello that was answered already",
            LETTER.good,
            phone(floor=floor(cast.LOCKED_STATE)),
        ),
    ]


def _operations() -> list[Vector]:
    return [
        LETTER.refused("OperationNotAllowed", f"signed by the {name} key", fresh(by=(one,)))
        for name, one in {"lock": cast.LOCK, "unlock": cast.UNLOCK, "release": cast.RELEASE}.items()
    ]


def _pairs() -> list[Vector]:
    """Return the pairs of the rows that only a `Fresh` has.

    It has one signature, by an unknown key or by a known one, so UnknownKey and BadSignature exclude each other.
    """
    spoiled = payload(cast.FRESH_ANSWER) + b"\x00"
    elsewhere = phone(floor=floor(lender=cast.OTHER_LENDER), nonce=OTHER_NONCE)
    broken_and_old = from_lender.standing(LETTER, delegation_version=4)
    unasked = phone(floor=floor(cast.LOCKED_STATE))
    return [
        LETTER.both("UnknownKey", "NonCanonical", from_lender.by_stranger(LETTER, spoiled)),
        both("DelegationRollback", "BadSignature", broken(LETTER.good), broken_and_old),
        both("WrongLender", "WrongNonce", LETTER.good, elsewhere),
        both("WrongNonce", "OperationNotAllowed", fresh(by=(cast.LOCK,)), unasked),
    ]
