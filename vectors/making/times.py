"""time.json and effective.json: the phone's clock, and the level it takes by itself."""

from dataclasses import replace

from lock_protocol.codec import encode
from lock_protocol.levels import Condition, Level
from lock_protocol.messages import DesiredState, Fresh
from vectors.making import cast, states
from vectors.making.parts import Parts, Vector, desired, floor, fresh, grant, phone, vector

_EXPIRES = cast.GRANT.expires_at
_UNTIL = states.LEASED.lease_until


def clocks() -> list[Vector]:
    """Return the entries of time.json."""
    return [*_at_boot(), *_raised_by_states(), *_raised_by_freshes()]


def _at_boot() -> list[Vector]:
    readings = {
        "no checkpoint: the root's issued_at": (None, 0.0, cast.START),
        "no checkpoint, an hour of running": (None, 3600.0, cast.START + 3600),
        "a checkpoint": (cast.NOW, 0.0, cast.NOW),
        "a checkpoint and 59.9 seconds": (cast.NOW, 59.9, cast.NOW + 59),
        "a checkpoint older than the root": (cast.START - 5, 10.0, cast.START + 5),
        "never beyond 2^32-1": (2**32 - 2, 100.0, 2**32 - 1),
        "a monotonic clock that runs backwards stands still": (cast.NOW, -5.0, cast.NOW),
    }
    return [
        vector(f"boot: {name}", root=cast.PINNED, checkpoint=checkpoint, elapsed=elapsed, result={"trusted_now": now})
        for name, (checkpoint, elapsed, now) in readings.items()
    ]


def _raised(name: str, type_: str, message: Parts, before: Vector, trusted_now: int) -> Vector:
    return vector(
        f"{type_}: {name}", type=type_, standing=before, message=message.pack(), result={"trusted_now": trusted_now}
    )


def _raised_by_states() -> list[Vector]:
    def issued(name: str, at: int, trusted_now: int, became: int) -> Vector:
        state = replace(cast.OPEN_STATE, issued_at=at)
        before = phone(floor=floor(states.EARLIER), trusted_now=trusted_now)
        return _raised(name, "desired", desired(state), before, became)

    return [
        issued("later than the phone's time raises it", cast.NOW + 7, cast.NOW, cast.NOW + 7),
        issued("earlier leaves it", cast.NOW - 7, cast.NOW, cast.NOW),
        issued("at most to the delegation's end", 2**32 - 1, cast.NOW, _EXPIRES),
        issued("beyond that end nothing moves it", 2**32 - 1, _EXPIRES + 9, _EXPIRES + 9),
        *_new_epochs(),
    ]


def _new_epochs() -> list[Vector]:
    """Return what a delegation of the next epoch does to a phone whose time was pushed ahead."""
    ahead = cast.NOW + 90 * cast.DAY
    begins = states.NEXT_EPOCH.issued_at
    early = replace(states.NEXT_EPOCH, version=4)
    known = floor(states.EARLIER)

    def arrives(name: str, issued_at: int, kept: Vector | None, became: int) -> Vector:
        state = replace(cast.OPEN_STATE, epoch=3, version=1, delegation_version=4, issued_at=issued_at)
        before = phone(floor=kept, trusted_now=ahead)
        return _raised(name, "desired", desired(state, under=grant(encode(early))), before, became)

    return [
        arrives("a higher epoch sets it back to the state's issue", cast.NOW, known, cast.NOW),
        arrives("a higher epoch sets it back to the delegation's issue", begins - 1, known, begins),
        arrives("no epoch known before: no setting back", cast.NOW, None, ahead),
        arrives("bound by a fresh, no epoch known: no setting back", cast.NOW, floor(), ahead),
        arrives(
            "another lender's epoch is no measure",
            cast.NOW,
            floor(states.EARLIER, lender=cast.OTHER_LENDER, bound=False, epoch=1),
            ahead,
        ),
    ]


def _raised_by_freshes() -> list[Vector]:
    before = phone(floor=floor(cast.LOCKED_STATE), nonce=cast.NONCE)
    ahead = phone(floor=floor(cast.LOCKED_STATE), nonce=cast.NONCE, trusted_now=cast.NOW + 90 * cast.DAY)
    next_epoch = fresh(replace(cast.FRESH_ANSWER, delegation_version=4), under=grant(encode(states.NEXT_EPOCH)))

    def told(name: str, now: int, became: int) -> Vector:
        answer: Fresh = replace(cast.FRESH_ANSWER, now=now)
        return _raised(name, "fresh", fresh(answer), before, became)

    return [
        told("later raises it", cast.NOW + 3, cast.NOW + 3),
        told("earlier leaves it", cast.NOW - 3, cast.NOW),
        told("at most to the delegation's end", _EXPIRES + 1, _EXPIRES),
        _raised("a higher epoch sets nothing back", "fresh", next_epoch, ahead, cast.NOW + 90 * cast.DAY),
    ]


def levels() -> list[Vector]:
    """Return the entries of effective.json."""
    return [*_without_state(), *_confirmed(), *_unconfirmed(), *_leases(), *_lenient_root()]


def _holds(
    name: str,
    state: DesiredState | None,
    expected: tuple[Level, Condition],
    *,
    confirmed: bool = True,
    provisional_until: int = 0,
    trusted_now: int = cast.NOW,
    provisional_level: Level = cast.ROOT_1.provisional_level,
) -> Vector:
    level, condition = expected
    root = replace(cast.ROOT_1, provisional_level=provisional_level)
    return vector(
        name,
        root=cast.root_envelope(root),
        state=None if state is None else encode(state),
        confirmed=confirmed,
        provisional_until=provisional_until,
        trusted_now=trusted_now,
        result={"level": level, "condition": condition},
    )


def _of(level: Level) -> DesiredState:
    return replace(cast.OPEN_STATE, level=level, lease_then=level)


_PROVISIONAL = (Level.RESTRICTED, Condition.PROVISIONAL)


def _without_state() -> list[Vector]:
    return [
        _holds("no state: the root's provisional level", None, _PROVISIONAL, confirmed=False),
        _holds("no state, confirmed: the same", None, _PROVISIONAL),
        _holds(
            "no state, a lenient root",
            None,
            (Level.UNLOCKED, Condition.PROVISIONAL),
            confirmed=False,
            provisional_level=Level.UNLOCKED,
        ),
    ]


def _confirmed() -> list[Vector]:
    return [_holds(f"confirmed, level {level}", _of(level), (level, Condition.APPLIED)) for level in Level]


def _unconfirmed() -> list[Vector]:
    """Return closing states, which count at once, and openings, which count for a while."""
    until = cast.NOW + 10
    waiting = [Level.UNLOCKED, Level.NOTICE, Level.REMINDER]
    at_once = [Level.RESTRICTED, Level.LOCKED, Level.RELEASED]
    return [
        *(
            _holds(f"unconfirmed, level {level}: at once", _of(level), (level, Condition.APPLIED), confirmed=False)
            for level in at_once
        ),
        *(
            _holds(
                f"unconfirmed, level {level}: for a while",
                _of(level),
                (level, Condition.PROVISIONAL),
                confirmed=False,
                provisional_until=until,
            )
            for level in waiting
        ),
        *(
            _holds(
                f"unconfirmed, level {level}: the while is over",
                _of(level),
                _PROVISIONAL,
                confirmed=False,
                provisional_until=until,
                trusted_now=until,
            )
            for level in waiting
        ),
        _holds(
            "unconfirmed, level 0: its last second",
            _of(Level.UNLOCKED),
            (Level.UNLOCKED, Condition.PROVISIONAL),
            confirmed=False,
            provisional_until=until,
            trusted_now=until - 1,
        ),
        _holds("unconfirmed after a reboot: no while is left", _of(Level.UNLOCKED), _PROVISIONAL, confirmed=False),
    ]


def _leases() -> list[Vector]:
    fired = Condition.LEASE_FIRED
    falling, ends = states.FALLING, states.FALLING.lease_until
    return [
        _holds(
            "a paid month: its last second", states.LEASED, (Level.UNLOCKED, Condition.APPLIED), trusted_now=_UNTIL - 1
        ),
        _holds("a paid month: over", states.LEASED, (Level.LOCKED, fired), trusted_now=_UNTIL),
        _holds(
            "a paid month: long over, and unconfirmed",
            states.LEASED,
            (Level.LOCKED, fired),
            confirmed=False,
            provisional_until=2**32 - 1,
            trusted_now=_UNTIL + cast.DAY,
        ),
        _holds("a silent lender: its last second", falling, (Level.LOCKED, Condition.APPLIED), trusted_now=ends - 1),
        _holds("a silent lender: open", falling, (Level.UNLOCKED, fired), trusted_now=ends),
        _holds(
            "a silent lender, unconfirmed: still locked",
            falling,
            (Level.LOCKED, Condition.APPLIED),
            confirmed=False,
            trusted_now=ends - 1,
        ),
        _holds(
            "a silent lender, unconfirmed: open for a while",
            falling,
            (Level.UNLOCKED, Condition.PROVISIONAL),
            confirmed=False,
            provisional_until=ends + 9,
            trusted_now=ends,
        ),
        _holds(
            "a silent lender, unconfirmed: no while is left", falling, _PROVISIONAL, confirmed=False, trusted_now=ends
        ),
    ]


def _lenient_root() -> list[Vector]:
    """Return what changes when the root's provisional level is 0: no opening is below it."""
    return [
        _holds(
            f"a lenient root: unconfirmed level {level} counts at once",
            _of(level),
            (level, Condition.APPLIED),
            confirmed=False,
            provisional_level=Level.UNLOCKED,
        )
        for level in (Level.UNLOCKED, Level.LOCKED)
    ]
