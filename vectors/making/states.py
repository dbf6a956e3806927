"""states.json: what a phone does with a message from its `desired` topic."""

from dataclasses import replace
from typing import Any

from lock_protocol.codec import encode
from lock_protocol.envelope import DELEGATION, DESIRED, FRESH
from lock_protocol.levels import Level, Ops, Reason
from lock_protocol.messages import DesiredState, LenderId, Notice
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
from vectors.making.parts import Parts, Vector, desired, floor, grant, parts, payload, phone, vector, wire

EARLIER = replace(cast.OPEN_STATE, version=40)
"""What the phone holds when the ordinary lock, version 41, arrives."""
BEFORE = phone(floor=floor(EARLIER))
HOLDING = phone(floor=floor(cast.LOCKED_STATE))
UNBOUND_OTHER = phone(floor=floor(EARLIER, lender=cast.OTHER_LENDER, bound=False, epoch=9, version=900))
EXPIRES = cast.GRANT.expires_at
EXPIRED = phone(floor=floor(EARLIER), trusted_now=EXPIRES + 1)
RELEASED = phone(floor=floor(EARLIER), released=True)
JUMP = 2**20
CAPPED_CONTENT = payload(cast.GRANT, max_level=Level.REMINDER)
CAPPED = grant(CAPPED_CONTENT)
SHORT = grant(payload(cast.GRANT, max_lease_s=cast.DAY))

LETTER = Letter(
    make=desired, record=cast.LOCKED_STATE, by=(cast.LOCK,), standing=BEFORE, unsigned="OperationNotAllowed"
)
REMINDER = replace(cast.LOCKED_STATE, level=Level.REMINDER, lease_then=Level.REMINDER, remind_s=3600)
LEASED = replace(
    cast.OPEN_STATE, lease_until=cast.NOW - 60 + 30 * cast.DAY, lease_then=Level.LOCKED, warn_s=2 * cast.DAY
)
"""A month that was paid for in advance."""
FALLING = replace(cast.LOCKED_STATE, lease_until=cast.NOW + 7 * cast.DAY, lease_then=Level.UNLOCKED)
"""A lock that opens when the lender falls silent."""
_FORBIDDEN = "\x00\x1f\x7f\x80\x85\x9f\u202a\u202e\u2066\u2069"
"""Control characters and bidirectional overrides: the first and last of each range, and some between."""
_ALLOWED = " ~\xa0\u200e\u200f\u2028\u2029\u202f\u2060\u2065\u206a\ufeff"
"""Their neighbours, and what is often taken for one of them."""
LINKED_ELSEWHERE = replace(cast.OPEN_STATE, notice=Notice(pay_url="https://pay.acme.example.evil.example/p"))
NEXT_EPOCH = replace(cast.GRANT, epoch=3, version=4, issued_at=cast.NOW - 10 * cast.DAY)


def vectors() -> list[Vector]:
    """Return the file's entries."""
    return [*_accepted(), *_accepted_on_their_own_terms(), *_refused(), *_pairs()]


def _refused() -> list[Vector]:
    return [
        *shape_defects(LETTER),
        *_shape(),
        *type_defects(LETTER, FRESH.media_type),
        *_delegation_as_state(),
        *from_lender.delegation_defects(LETTER),
        *_unknown_keys(),
        *signature_defects(LETTER, FRESH.media_type),
        *from_lender.small_order_defects(LETTER, Ops.LOCK),
        *non_canonical(LETTER),
        *schema_defects(LETTER),
        *_schema(),
        *from_lender.mismatch_defects(LETTER),
        *_epoch_mismatch(),
        *from_lender.address_defects(LETTER),
        *_order(),
        *_operations(),
        *_caps(),
        *_after_release(),
    ]


def _pairs() -> list[Vector]:
    return [
        *shape_pairs(LETTER),
        *from_lender.lender_pairs(LETTER),
        *_key_pairs(),
        *_order_pairs(),
        *_authority_pairs(),
    ]


# --- accepted ------------------------------------------------------------------------------------------------------


def accepted(
    name: str, state: DesiredState, message: Parts | None = None, *, before: Vector = BEFORE, **result: Any
) -> Vector:
    """Return an entry that is accepted.

    Unless `result` says otherwise, the phone keeps the state under its delegation as floor, its time stays, and the
    state asks for its level.
    """
    known = before["floor"]
    kept = floor(state, bound=known is not None and known["bound"], delegation_version=state.delegation_version)
    expected = {"floor": kept, "trusted_now": before["trusted_now"], "asks_for": state.level} | result
    return vector(
        name,
        standing=before,
        message=(desired(state) if message is None else message).pack(),
        result={"repeated": False} | expected,
    )


def _accepted() -> list[Vector]:
    """Return a state of each level, with and without leases."""
    notice = replace(cast.OPEN_STATE, level=Level.NOTICE, lease_then=Level.NOTICE, notice=cast.NOTICE)
    restricted = replace(cast.LOCKED_STATE, level=Level.RESTRICTED, lease_then=Level.RESTRICTED)
    longest = Notice(title="漢" * 32, body="é\n" * 213 + "x", amount_due=10**12, currency="XXX", support_phone="110")
    at_its_end = phone(floor=floor(EARLIER), trusted_now=LEASED.lease_until)
    just_before = phone(floor=floor(EARLIER), trusted_now=LEASED.lease_until - 1)
    return [
        accepted("unlocked", cast.OPEN_STATE),
        accepted("notice", notice),
        accepted("reminder", REMINDER),
        accepted("restricted", restricted),
        accepted("locked", cast.LOCKED_STATE),
        accepted("released", cast.RELEASED_STATE),
        accepted("open until the lease ends, then locked: both keys sign", LEASED),
        accepted("locked until the lease ends, then open: both keys sign", FALLING),
        accepted("one second before its lease ends", LEASED, before=just_before),
        accepted("at the second at which its lease ends", LEASED, before=at_its_end, asks_for=Level.LOCKED),
        accepted(
            "signed by a key more than it needs", cast.OPEN_STATE, desired(cast.OPEN_STATE, by=(cast.LOCK, cast.UNLOCK))
        ),
        accepted(
            "every neighbour of a character that is not allowed",
            replace(cast.OPEN_STATE, notice=Notice(title="\ufeff" + _ALLOWED)),
        ),
        accepted("text of many bytes, exactly as many as fit", replace(cast.OPEN_STATE, notice=longest)),
        *_at_their_limits(),
    ]


def _at_their_limits() -> list[Vector]:
    """Return states with a field at the last value that its table allows."""
    longest_link = "https://pay.acme.example/" + "x" * 175
    states = {
        "reason 11": replace(cast.OPEN_STATE, reason=Reason.SUPPORT),
        "warn_s 864000": replace(LEASED, warn_s=864_000),
        "remind_s 0": replace(REMINDER, remind_s=0),
        "remind_s 3": replace(REMINDER, remind_s=3),
        "remind_s 86400": replace(REMINDER, remind_s=86_400),
        "a command_id of one byte": replace(cast.OPEN_STATE, command_id="x"),
        "a command_id of 32 bytes": replace(cast.OPEN_STATE, command_id="x" * 32),
        "a phone number of 19 digits": replace(cast.OPEN_STATE, notice=Notice(support_phone="+" + "1" * 19)),
        "a link of 200 bytes": replace(cast.OPEN_STATE, notice=Notice(pay_url=longest_link)),
        "a link without a path": replace(cast.OPEN_STATE, notice=Notice(pay_url="https://pay.acme.example")),
        "a path with every character that it may have": replace(
            cast.OPEN_STATE, notice=Notice(pay_url="https://pay.acme.example/" + "".join(map(chr, range(0x21, 0x7F))))
        ),
    }
    return [accepted(name, state) for name, state in states.items()]


def _accepted_on_their_own_terms() -> list[Vector]:
    """Return states that one rule or another could be thought to refuse."""
    at_expiry = phone(floor=floor(EARLIER), trusted_now=EXPIRES)
    never = phone()
    farthest = replace(cast.LOCKED_STATE, version=40 + JUMP)
    far = replace(cast.LOCKED_STATE, version=2**53 - 1)
    coded = phone(floor=floor(cast.LOCKED_STATE, state_hash=bytes(32).hex()))
    no_state_yet = phone(floor=floor())
    return [
        accepted("a phone that was reset: no floor", cast.LOCKED_STATE, before=never),
        accepted("no floor: no jump is too far", far, before=never),
        accepted("bound by a fresh, no state yet: no jump is too far", far, before=no_state_yet),
        accepted("2^20 versions ahead", farthest),
        accepted("the signed state of an offline code that was used", cast.LOCKED_STATE, before=coded),
        accepted("of another lender, while no fresh has bound the phone", cast.LOCKED_STATE, before=UNBOUND_OTHER),
        accepted("a lock in the second in which its delegation expires", cast.LOCKED_STATE, before=at_expiry),
        accepted("opened under an expired delegation", cast.OPEN_STATE, before=EXPIRED),
        accepted("released under an expired delegation", cast.RELEASED_STATE, before=EXPIRED),
        accepted(
            "released, though the delegation's cap is 2",
            cast.RELEASED_STATE,
            desired(cast.RELEASED_STATE, under=CAPPED),
            before=phone(),
            floor=floor(cast.RELEASED_STATE, bound=False, under=CAPPED_CONTENT),
        ),
        accepted("a lease of exactly the longest", _leased_for(cast.GRANT.max_lease_s)),
        _next_delegation(),
        _next_epoch(),
        _next_epoch_before_its_lease_ends(),
        *_many_to_know(),
    ]


def _leased_for(seconds: int) -> DesiredState:
    return replace(LEASED, lease_until=LEASED.issued_at + seconds)


def _next_delegation() -> Vector:
    newer = payload(cast.GRANT, version=4)
    state = replace(cast.LOCKED_STATE, delegation_version=4)
    kept = floor(state, under=newer, delegation_version=4)
    return accepted("under the next delegation", state, desired(state, under=grant(newer)), floor=kept)


def _next_epoch() -> Vector:
    """Return the cure for a stolen key: version 1 of the next epoch, and time set back."""
    state = replace(cast.LOCKED_STATE, epoch=3, version=1, delegation_version=4, issued_at=cast.NOW)
    fast_forwarded = phone(floor=floor(EARLIER, version=2**53 - 1), trusted_now=cast.NOW + 90 * cast.DAY)
    kept = floor(state, under=encode(NEXT_EPOCH), delegation_version=4)
    return accepted(
        "version 1 of the next epoch: time is set back",
        state,
        desired(state, under=grant(encode(NEXT_EPOCH))),
        before=fast_forwarded,
        floor=kept,
        trusted_now=cast.NOW,
    )


def _next_epoch_before_its_lease_ends() -> Vector:
    """By the time from before its lease has ended; by the time that it sets, it has not."""
    state = replace(
        LEASED, epoch=3, version=1, delegation_version=4, issued_at=cast.NOW, lease_until=cast.NOW + 20 * cast.DAY
    )
    pushed = phone(floor=floor(EARLIER), trusted_now=cast.NOW + 90 * cast.DAY)
    return accepted(
        "of the next epoch, which sets time back to before its lease ends",
        state,
        desired(state, under=grant(encode(NEXT_EPOCH))),
        before=pushed,
        floor=floor(state, under=encode(NEXT_EPOCH), delegation_version=4),
        trusted_now=cast.NOW,
    )


def _many_to_know() -> list[Vector]:
    """Return states of lenders whose name is as short and as long as it may be."""
    vectors_ = []
    for lender in (LenderId("a-1"), LenderId("l" * 32)):
        content = payload(cast.GRANT, lender=lender)
        state = replace(cast.LOCKED_STATE, lender=lender)
        kept = floor(state, lender=lender, bound=False, under=content)
        message = desired(state, under=grant(content))
        vectors_.append(
            accepted(f"of a lender of {len(lender)} characters", state, message, before=phone(), floor=kept)
        )
    return vectors_


# --- one defect ----------------------------------------------------------------------------------------------------


def _shape() -> list[Vector]:
    two = desired(cast.LOCKED_STATE, by=(cast.LOCK, cast.UNLOCK))
    three = desired(cast.LOCKED_STATE, by=(cast.LOCK, cast.UNLOCK, cast.RELEASE))
    return [
        LETTER.refused(
            "Malformed", "signatures not ascending by key id", replace(two, signatures=two.signatures[::-1])
        ),
        LETTER.refused("Malformed", "three signatures", three),
        LETTER.refused("Malformed", "no delegation", replace(LETTER.good, delegation=b""), "BadDelegation"),
    ]


def _delegation_as_state() -> list[Vector]:
    item = "a delegation typed as a state"
    content = encode(cast.GRANT)
    typed = parts(DESIRED.media_type, content, cast.ROOT_KEYS[:2])
    delegation = parts(DELEGATION.media_type, content, cast.ROOT_KEYS[:2])
    return [
        LETTER.refused("Malformed", "a delegation typed as a state", typed, "BadDelegation", item),
        LETTER.refused(
            "UnknownKey",
            "a delegation typed as a state, with a delegation",
            replace(typed, delegation=cast.GRANTED),
            "BadSchema",
            item,
        ),
        LETTER.refused(
            "UnknownType", "a delegation, with a delegation", replace(delegation, delegation=cast.GRANTED), "UnknownKey"
        ),
    ]


def _unknown_keys() -> list[Vector]:
    next_key = cast.key("lock of the next delegation")
    return [
        LETTER.refused("UnknownKey", "a good signature and a stranger's", desired(by=(cast.LOCK, cast.STRANGER))),
        LETTER.refused("UnknownKey", "a good signature and the root's", desired(by=(cast.LOCK, cast.ROOT_KEYS[0]))),
        LETTER.refused("UnknownKey", "a good signature and the device's", desired(by=(cast.LOCK, cast.DEVICE))),
        LETTER.refused("UnknownKey", "a key of another delegation", desired(by=(next_key,)), "OperationNotAllowed"),
    ]


def _schema() -> list[Vector]:
    """Return what does not fit the table of a state, field by field."""
    state = cast.LOCKED_STATE
    versions = {
        f"version {name}": {"version": number}
        for name, number in {"0": 0, "2^53": 2**53, "2^63": 2**63, "2^64-1": 2**64 - 1}.items()
    }
    return [
        *changed(LETTER, {"version 0": versions.pop("version 0")}, "Rollback", "version 0, -1, 2^63, 2^64-1"),
        *changed(LETTER, versions, "VersionJump", "version 0, -1, 2^63, 2^64-1"),
        LETTER.refused(
            "NonCanonical",
            "version -1",
            LETTER.of(payload(state, version=-1)),
            "BadSchema",
            "version 0, -1, 2^63, 2^64-1",
        ),
        *changed(LETTER, _bad_leases(), item="lease before issue"),
        *_leased_releases(),
        *changed(LETTER, _bad_levels(), "unreadable"),
        *changed(LETTER, _bad_fields()),
        *changed(LETTER, {f"notice: {name}": {"notice": bad} for name, bad in _bad_notices().items()}),
        *changed(LETTER, _linking(_own_links())),
        *changed(LETTER, _linking(_foreign_links()), "NoticeNotAllowed"),
    ]


def _leased_releases() -> list[Vector]:
    by, until = (cast.LOCK, cast.RELEASE), cast.NOW + cast.DAY
    return [
        LETTER.refused(
            "BadSchema",
            "released, then locked by lease",
            desired(cast.RELEASED_STATE, by=by, lease_until=until, lease_then=4),
        ),
        LETTER.refused("BadSchema", "locked, then released by lease", desired(by=by, lease_until=until, lease_then=9)),
    ]


def _bad_leases() -> dict[str, Vector]:
    issued = cast.LOCKED_STATE.issued_at
    return {
        "a lease that ends before the state was issued": {"lease_until": issued - 1},
        "a lease that ends when the state was issued": {"lease_until": issued},
    }


def _bad_levels() -> dict[str, Vector]:
    return {
        "level 5": {"level": 5, "lease_then": 5},
        "level 8": {"level": 8, "lease_then": 8},
        "level 10": {"level": 10, "lease_then": 10},
        "level as a string": {"level": "4", "lease_then": "4"},
        "reason 0": {"reason": 0},
        "reason 12": {"reason": 12},
    }


def _bad_fields() -> dict[str, Vector]:
    return {
        "no lease, and another level afterwards": {"lease_then": 3},
        "remind_s at level 4": {"remind_s": 3600},
        "remind_s 2": {"level": 2, "lease_then": 2, "remind_s": 2},
        "remind_s 86401": {"level": 2, "lease_then": 2, "remind_s": 86_401},
        "warn_s as text": {"warn_s": "60"},
        "warn_s 864001": {"warn_s": 864_001},
        "remind_s 1": {"level": 2, "lease_then": 2, "remind_s": 1},
        "issued_at 2^32": {"issued_at": 2**32},
        "an empty command_id": {"command_id": ""},
        "a command_id of 33 bytes": {"command_id": "x" * 33},
        "a tab in command_id": {"command_id": "a\tb"},
        "command_id as a byte string": {"command_id": b"abc"},
    }


def _bad_notices() -> dict[str, tuple[Any, ...]]:
    texts: dict[str, Vector] = {
        "a line feed in the title": {"title": "a\nb"},
        "a bell in the title": {"title": "\x07"},
        **{f"U+{ord(one):04X} in the title": {"title": f"a{one}b"} for one in _FORBIDDEN},
        "an isolate in the body": {"body": "\u2066x\u2069"},
        "a carriage return in the body": {"body": "a\r\nb"},
        "a title of 97 bytes in 33 characters": {"title": "漢" * 32 + "x"},
        "a body of 641 bytes": {"body": "x" * 641},
        "a body of 642 bytes in 214 characters": {"body": "漢" * 214},
        **{
            f"U+{ord(one):04X} in the body": {"body": f"a{one}b"}
            for one in "\x00\t\x0b\x1f\x7f\x80\x9f\u202a\u202e\u2069"
        },
        "amount_due 10^12+1": {"amount_due": 10**12 + 1},
        "currency in small letters": {"currency": "twd"},
        "currency of two letters": {"currency": "TW"},
        "no currency": {"currency": ""},
        "support_phone with spaces": {"support_phone": "+886 2 1234"},
        "support_phone of two digits": {"support_phone": "11"},
        "support_phone in full-width digits": {"support_phone": "\uff11\uff11\uff10"},
        "support_phone of 20 digits": {"support_phone": "1" * 20},
        "support_phone with a second plus": {"support_phone": "++886212"},
    }
    return {name: wire(cast.NOTICE, **fields) for name, fields in texts.items()}


def _linking(links: dict[str, str]) -> dict[str, Vector]:
    return {f"link: {name}": {"notice": wire(Notice(), pay_url=link)} for name, link in links.items()}


def _own_links() -> dict[str, str]:
    """Return links to a host that the delegation names, of a form that is not allowed."""
    return {
        "http": "http://pay.acme.example/p",
        "a query without a path": "https://pay.acme.example?x=1",
        "a fragment without a path": "https://pay.acme.example#x",
        "a space in the path": "https://pay.acme.example/a b",
        "a path that is not ASCII": "https://pay.acme.example/é",
        "U+007F in the path": "https://pay.acme.example/a\x7fb",
        "201 bytes": "https://pay.acme.example/" + "x" * 176,
    }


def _foreign_links() -> dict[str, str]:
    """Return links that could be read as naming one host or another."""
    return {
        "another scheme": "javascript:alert(1)",
        "a port": "https://pay.acme.example:8443/p",
        "a user": "https://pay.acme.example@evil.example/p",
        "a host in capitals": "https://PAY.acme.example/p",
        "a host that is not ASCII": "https://pay.ácme.example/p",
        "a host of 65 characters": "https://" + "x" * 65 + "/p",
    }


def _epoch_mismatch() -> list[Vector]:
    raised = replace(cast.LOCKED_STATE, epoch=3)
    return [
        LETTER.refused("DelegationMismatch", "epoch 3 under a delegation of epoch 2", desired(raised, by=(cast.LOCK,))),
        refused(
            "DelegationMismatch",
            "epoch 1 under a delegation of epoch 2, to a phone without floor",
            desired(replace(cast.LOCKED_STATE, epoch=1)),
            phone(),
        ),
    ]


def _order() -> list[Vector]:
    held = phone(floor=floor(cast.LOCKED_STATE))
    ahead = phone(floor=floor(EARLIER, version=42))
    later_epoch = phone(floor=floor(EARLIER, epoch=3, version=1))
    other_body = replace(cast.LOCKED_STATE, notice=Notice(title="Another body"))
    expired_repeat = phone(floor=floor(cast.LOCKED_STATE), trusted_now=EXPIRES + 1)
    item = "equal version with another body"
    return [
        refused("Rollback", "version 41 after 42", LETTER.good, ahead),
        refused("Rollback", "an old opening after a lock", desired(EARLIER), held),
        refused("Rollback", "of an earlier epoch", LETTER.good, later_epoch),
        refused("Duplicate", "the state that is held already", LETTER.good, held),
        refused(
            "Duplicate",
            "the state that is held already, signed by a key more",
            desired(by=(cast.LOCK, cast.UNLOCK)),
            held,
        ),
        refused(
            "Duplicate",
            "the state that is held already, its delegation expired",
            LETTER.good,
            expired_repeat,
            without="DelegationExpired",
        ),
        refused("Equivocation", "equal version with another body", desired(other_body), held, item=item),
        refused("Equivocation", "equal version, open instead of locked", desired(cast.OPEN_STATE), held, item=item),
        refused("VersionJump", "2^20+1 versions ahead", desired(version=41 + JUMP), BEFORE),
        refused("VersionJump", "version 2^53-1", desired(version=2**53 - 1), BEFORE),
        _jump_in_new_epoch(),
    ]


def _jump_in_new_epoch() -> Vector:
    """A new epoch begins at 0 again, however far the one before had come."""
    state = replace(cast.LOCKED_STATE, epoch=3, version=JUMP + 1, delegation_version=4)
    far = phone(floor=floor(EARLIER, version=JUMP + 40))
    message = desired(state, under=grant(encode(NEXT_EPOCH)))
    return refused("VersionJump", "version 2^20+1 of the next epoch", message, far)


def _operations() -> list[Vector]:
    def unable(name: str, state: DesiredState, *by: Any) -> Vector:
        return LETTER.refused("OperationNotAllowed", name, desired(state, by=by))

    return [
        unable("a lock by the unlock key", cast.LOCKED_STATE, cast.UNLOCK),
        unable("an opening by the lock key", cast.OPEN_STATE, cast.LOCK),
        unable("a reminder by the unlock key", REMINDER, cast.UNLOCK),
        unable("a release by the lock and unlock keys", cast.RELEASED_STATE, cast.LOCK, cast.UNLOCK),
        unable("open, locked by lease, without the lock key", LEASED, cast.UNLOCK),
        unable("open, locked by lease, without the unlock key", LEASED, cast.LOCK),
        unable("locked, opened by lease, without the lock key", FALLING, cast.UNLOCK),
        unable("locked, opened by lease, without the unlock key", FALLING, cast.LOCK),
        unable("a lock by the fresh key", cast.LOCKED_STATE, cast.FRESH_KEY),
    ]


def _caps() -> list[Vector]:
    """Return what the keys may do, but not so, or no longer."""
    capped_open = replace(LEASED, lease_then=Level.RESTRICTED)
    prefixed = replace(cast.OPEN_STATE, notice=Notice(pay_url="https://evil-pay.acme.example/p"))
    appeal = replace(cast.OPEN_STATE, notice=Notice(appeal_url="https://evil.example"))
    item = "delegation expired by one second"
    return [
        refused("DelegationExpired", "a lock one second after the delegation expired", LETTER.good, EXPIRED, item=item),
        refused("DelegationExpired", "a reminder after the delegation expired", desired(REMINDER), EXPIRED),
        refused("DelegationExpired", "open, locked by lease, after the delegation expired", desired(LEASED), EXPIRED),
        *(
            refused(
                "DelegationExpired",
                f"level {level}, opened by lease to {then}, after the delegation expired",
                desired(replace(FALLING, level=level, lease_then=then)),
                EXPIRED,
            )
            for level in (Level.REMINDER, Level.RESTRICTED, Level.LOCKED)
            for then in (Level.UNLOCKED, Level.NOTICE)
        ),
        refused("LevelNotAllowed", "level 4 under a cap of 2", desired(under=CAPPED), phone()),
        refused("LevelNotAllowed", "level 3 by lease under a cap of 2", desired(capped_open, under=CAPPED), phone()),
        refused("LevelNotAllowed", "level 4, open by lease, under a cap of 2", desired(FALLING, under=CAPPED), phone()),
        LETTER.refused("LeaseNotAllowed", "a lease longer by a second", desired(_leased_for(30 * cast.DAY + 1))),
        refused("LeaseNotAllowed", "a month under a cap of a day", desired(LEASED, under=SHORT), phone()),
        LETTER.refused("NoticeNotAllowed", "a payment link to a host named alike", desired(LINKED_ELSEWHERE)),
        LETTER.refused("NoticeNotAllowed", "a payment link to a host that ends alike", desired(prefixed)),
        LETTER.refused("NoticeNotAllowed", "an appeal link to another host", desired(appeal)),
    ]


def _after_release() -> list[Vector]:
    return [
        refused("AlreadyReleased", "a lock after the release", LETTER.good, RELEASED),
        refused("AlreadyReleased", "an opening after the release", desired(cast.OPEN_STATE), RELEASED),
        refused("AlreadyReleased", "a second release", desired(cast.RELEASED_STATE), RELEASED),
    ]


# --- two defects ---------------------------------------------------------------------------------------------------


def _key_pairs() -> list[Vector]:
    stranger = cast.key_with_id_above(cast.LOCK, "stranger")
    # The broken signature comes first in the envelope, and still the unknown key is found first.
    both_bad = broken(desired(by=(cast.LOCK, stranger)))
    return [LETTER.both("UnknownKey", "BadSignature", both_bad)]


def _order_pairs() -> list[Vector]:
    """Return the pairs around the order of versions.

    A phone bound to another lender compares no orders, so WrongLender goes with what comes after them. Of Rollback,
    Duplicate, Equivocation and VersionJump only the first and the last can both be true: in an earlier epoch.
    """
    by_unlock = (cast.UNLOCK,)
    ahead = phone(floor=floor(EARLIER, version=42))
    bound_elsewhere = phone(floor=floor(EARLIER, lender=cast.OTHER_LENDER))
    later_epoch = phone(floor=floor(EARLIER, epoch=3, version=1))
    other_body = replace(cast.LOCKED_STATE, notice=Notice(title="Another body"))
    misdelivered = {"imei": cast.OTHER_PHONE}
    far = 41 + JUMP
    return [
        both("WrongLender", "OperationNotAllowed", desired(by=by_unlock), bound_elsewhere),
        both("WrongPhone", "Rollback", LETTER.good, ahead | misdelivered),
        both("Rollback", "VersionJump", desired(version=far), later_epoch),
        both("Rollback", "OperationNotAllowed", desired(by=by_unlock), ahead),
        both("WrongPhone", "Duplicate", LETTER.good, HOLDING | misdelivered),
        both("Duplicate", "OperationNotAllowed", desired(by=by_unlock), HOLDING),
        both("WrongPhone", "Equivocation", desired(other_body), HOLDING | misdelivered),
        both("Equivocation", "OperationNotAllowed", desired(other_body, by=by_unlock), HOLDING),
        both("WrongPhone", "VersionJump", desired(version=far), BEFORE | misdelivered),
        both("VersionJump", "OperationNotAllowed", desired(version=far, by=by_unlock), BEFORE),
    ]


def _authority_pairs() -> list[Vector]:
    too_long = replace(_leased_for(60 * cast.DAY), lease_then=Level.REMINDER)
    capped_and_long = replace(_leased_for(31 * cast.DAY), lease_then=Level.LOCKED)
    long_and_foreign = replace(too_long, notice=LINKED_ELSEWHERE.notice)
    unfloored_expired = phone(trusted_now=EXPIRES + 1)
    return [
        both("OperationNotAllowed", "DelegationExpired", desired(by=(cast.UNLOCK,)), EXPIRED),
        both("DelegationExpired", "LevelNotAllowed", desired(under=CAPPED), unfloored_expired),
        both("LevelNotAllowed", "LeaseNotAllowed", desired(capped_and_long, under=CAPPED), phone()),
        both("LeaseNotAllowed", "NoticeNotAllowed", desired(long_and_foreign), BEFORE),
        both("NoticeNotAllowed", "AlreadyReleased", desired(LINKED_ELSEWHERE), RELEASED),
    ]
