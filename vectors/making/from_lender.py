"""Defects that a state and a `Fresh` share: the delegation they came with, who signed, and whom they are for."""

from dataclasses import replace

from lock_protocol.codec import encode
from lock_protocol.envelope import DELEGATION, ROOT
from lock_protocol.levels import Ops
from vectors.making import cast, curve
from vectors.making.acceptance import ACCEPTED, UNREADABLE, Letter, both, broken, refused
from vectors.making.parts import Parts, Vector, grant, parts, payload

OTHER_GRANT = replace(cast.GRANT, max_lease_s=cast.DAY)
"""Another delegation of the same version."""


def under(letter: Letter, delegation: bytes) -> Parts:
    """Return the good message with another delegation beside it."""
    return replace(letter.good, delegation=delegation)


def standing(letter: Letter, **floor: object) -> Vector:
    """Return the receiver's standing with some fields of its floor changed."""
    return letter.standing | {"floor": letter.standing["floor"] | floor}


def delegation_defects(letter: Letter) -> list[Vector]:
    """Return messages whose delegation the root has not signed so, or that is older than one already known."""
    content = encode(cast.GRANT)
    good = parts(DELEGATION.media_type, content, cast.ROOT_KEYS[:2])
    three = parts(DELEGATION.media_type, content, cast.ROOT_KEYS)
    readable = {
        "one signature, threshold 2": grant(content, cast.ROOT_KEYS[:1]),
        "signed by the lender's own keys": grant(content, (cast.LOCK, cast.UNLOCK)),
        "two good signatures and a stranger's": grant(content, (*cast.ROOT_KEYS[:2], cast.STRANGER)),
        "the same signature twice": replace(good, signatures=good.signatures[:1] * 2).pack(),
        "one of three signatures broken": broken(three).pack(),
        "made under root 2": grant(payload(cast.GRANT, root_version=2)),
        "typed as a root": parts(ROOT.media_type, content, cast.ROOT_KEYS[:2]).pack(),
        "a lease cap of 2^32 s": grant(payload(cast.GRANT, max_lease_s=2**32)),
        "a trailing byte": good.pack() + b"\x00",
        "envelope version 2": replace(good, version=2).pack(),
    }
    garbage = {"not msgpack": b"\xc1", "a root in its place": cast.PINNED, "zeros": bytes(64)}
    return [
        *(_bad_delegation(letter, name, data, ACCEPTED) for name, data in readable.items()),
        *(_bad_delegation(letter, name, data, UNREADABLE) for name, data in garbage.items()),
        refused(
            "BadDelegation",
            "delegation: another one was accepted as this version",
            letter.good,
            standing(letter, delegation_hash=cast.hash_of(encode(OTHER_GRANT)).hex()),
        ),
        *(
            refused(
                "DelegationRollback",
                f"delegation 3 after delegation {version}",
                letter.good,
                standing(letter, delegation_version=version),
            )
            for version in (4, 2**31 - 1)
        ),
    ]


def _bad_delegation(letter: Letter, name: str, delegation: bytes, without: str) -> Vector:
    return letter.refused("BadDelegation", f"delegation: {name}", under(letter, delegation), without)


def small_order_defects(letter: Letter, ops: Ops) -> list[Vector]:
    """Return messages 'signed' by delegated keys whose private half everybody knows: points of small order."""
    signature = curve.signature_under_small_order(cast.seed("stranger"))
    points = {
        "small-order key: the identity": curve.IDENTITY,
        "non-canonical key: the identity plus p": curve.NON_CANONICAL_IDENTITY,
        "non-canonical key: the identity with a sign": curve.NEGATIVE_ZERO_IDENTITY,
    }
    return [
        refused(
            "BadSignature",
            name,
            replace(
                letter.good,
                delegation=grant(payload(cast.GRANT, keys=((point, int(ops)),))),
                signatures=((cast.hash_of(point)[:8], signature),),
            ),
            standing(letter, delegation_version=2),
            item="small-order key" if point == curve.IDENTITY else "",
        )
        for name, point in points.items()
    ]


def mismatch_defects(letter: Letter) -> list[Vector]:
    """Return payloads that came with another delegation than the one they name."""
    newer = grant(payload(cast.GRANT, version=4))
    foreign = grant(payload(cast.GRANT, lender=cast.OTHER_LENDER))
    return [
        letter.refused("DelegationMismatch", "came with the next delegation", under(letter, newer)),
        letter.refused("DelegationMismatch", "names the next delegation", _naming(letter, delegation_version=4)),
        letter.refused(
            "DelegationMismatch",
            "names another lender than its delegation",
            _naming(letter, lender=cast.OTHER_LENDER),
            "WrongLender",
        ),
        refused(
            "DelegationMismatch",
            "another lender's delegation, to a phone of no lender",
            under(letter, foreign),
            letter.standing | {"floor": None},
        ),
    ]


def _naming(letter: Letter, **fields: object) -> Parts:
    return letter.of(payload(letter.record, **fields))


def address_defects(letter: Letter) -> list[Vector]:
    """Return messages for another phone, or of another lender than the one this phone is bound to."""
    return [
        letter.refused("WrongPhone", "for another phone", _naming(letter, imei=cast.OTHER_PHONE)),
        refused("WrongPhone", "received by another phone", letter.good, letter.standing | {"imei": cast.OTHER_PHONE}),
        *(
            refused("WrongLender", f"to a phone bound to {name}", letter.good, standing(letter, lender=lender))
            for name, lender in {"another lender": cast.OTHER_LENDER, "a lender named alike": "acme-credit-"}.items()
        ),
    ]


def lender_pairs(letter: Letter) -> list[Vector]:
    """Return the pairs that pin the rows from the type to the lender."""
    content = encode(cast.GRANT)
    unsigned = grant(content, cast.ROOT_KEYS[:1])
    spoiled = payload(letter.record) + b"\x00"
    no_phone = payload(letter.record, imei="0" * 15)
    older = standing(letter, delegation_version=4)
    mismatched = payload(letter.record, delegation_version=4, imei=cast.OTHER_PHONE)
    return [
        letter.both("UnknownType", "BadDelegation", replace(under(letter, unsigned), type=DELEGATION.media_type)),
        both("BadDelegation", "DelegationRollback", under(letter, unsigned), older),
        both("DelegationRollback", "UnknownKey", by_stranger(letter), older),
        letter.both("BadSignature", "NonCanonical", broken(letter.of(spoiled))),
        letter.both("NonCanonical", "BadSchema", letter.of(no_phone + b"\x00")),
        letter.both("BadSchema", "DelegationMismatch", _naming(letter, delegation_version=4, imei="0" * 15)),
        letter.both("DelegationMismatch", "WrongPhone", letter.of(mismatched)),
        both(
            "WrongPhone",
            "WrongLender",
            _naming(letter, imei=cast.OTHER_PHONE),
            standing(letter, lender=cast.OTHER_LENDER),
        ),
    ]


def by_stranger(letter: Letter, content: bytes | None = None) -> Parts:
    """Return the message, signed by a key that no delegation names."""
    payload_ = letter.good.payload if content is None else content
    return replace(
        letter.good, payload=payload_, signatures=(cast.signature(letter.good.type, payload_, cast.STRANGER),)
    )
