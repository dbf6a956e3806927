"""agent.json: what an agent does over time, which no single message can pin."""

from dataclasses import replace

from lock_protocol.codec import encode
from lock_protocol.levels import Level, Reason, Signals
from lock_protocol.messages import DesiredState, Notice
from vectors.making import cast
from vectors.making.agent import Story
from vectors.making.parts import Vector, desired, fresh, grant, payload

_HOUR = 3600
_PROVISIONAL_S = cast.ROOT_1.provisional_s
_NEXT_ROOT = cast.root_envelope(cast.ROOT_2, (*cast.ROOT_KEYS[:2], *cast.NEXT_ROOT_KEYS[:2]))
_NEXT_EPOCH = replace(cast.GRANT, epoch=3, version=4)


def _state(version: int, level: Level, reason: Reason) -> DesiredState:
    return replace(
        cast.LOCKED_STATE,
        version=version,
        level=level,
        lease_then=level,
        reason=reason,
        issued_at=cast.NOW,
        notice=Notice(title=f"Version {version}"),
    )


_ENROLLED = _state(1, Level.UNLOCKED, Reason.ENROLLED)
_LOCK = _state(2, Level.LOCKED, Reason.OVERDUE)
_PAID = _state(3, Level.UNLOCKED, Reason.PAID)
_LOCKED_AGAIN = _state(4, Level.LOCKED, Reason.OVERDUE)
_RELEASED = _state(5, Level.RELEASED, Reason.SETTLED)


def vectors() -> list[Vector]:
    """Return the file's entries."""
    stories = [
        _first_boot(),
        _lock_pay_unlock(),
        _duplicate(),
        _lost_report(),
        _first_hello(),
        _repeated_hello(),
        _another_answer(),
        _reboot(),
        _lease(),
        _wall_clock(),
        _reset_with_lock(),
        _reset_with_stale_opening(),
        _reset_with_newest_opening(),
        _row_of_openings(),
        _reboot_of_unconfirmed(),
        _reset_with_hardware_floor(),
        _reset_after_lease(),
        _other_lender(),
        _root_followed(),
        _epoch_sets_time_back(),
        _epoch_keeps_what_is_left(),
        _noise(),
        _not_allowed(),
        _release(),
    ]
    return [story.entry() for story in stories]


def _booted(name: str, *, hardware_floor: bool = False) -> Story:
    """Return a phone that has no floor and is connected."""
    return Story(name, hardware_floor=hardware_floor).boot().connect()


def _holding(name: str, state: DesiredState, *, hardware_floor: bool = False) -> Story:
    """Return a phone that holds a confirmed state."""
    return _booted(name, hardware_floor=hardware_floor).receive(state).confirm(state)


def _reset(story: Story) -> Story:
    return story.factory_reset().boot().connect()


# --- every day -----------------------------------------------------------------------------------------------------


def _first_boot() -> Story:
    story = _booted("first boot: provisional, then what the lender says, then confirmed and counted")
    return story.receive(_ENROLLED).confirm(_ENROLLED)


def _lock_pay_unlock() -> Story:
    story = _holding("locked, paid, unlocked", _ENROLLED).receive(_LOCK, elapsed=60)
    return story.receive(_PAID, elapsed=_HOUR).press_check().confirm(_PAID)


def _duplicate() -> Story:
    story = _holding("a duplicate is applied and reported again, and moves nothing", _LOCK)
    return story.receive(_LOCK).receive(desired(_LOCK, by=(cast.LOCK, cast.UNLOCK)))


def _lost_report() -> Story:
    story = _holding("a lost report: the next hello says what is held", _ENROLLED).receive(_LOCK)
    return story.disconnect().tick(_HOUR).connect().tick(1).confirm(_LOCK)


def _first_hello() -> Story:
    name = "a connection's first hello waits for the state, a second at most, and tells what would be reported"
    story = _holding(name, _LOCK).disconnect().connect().receive(_PAID).receive(_PAID).confirm(_PAID)
    story.disconnect().connect().receive(_PAID).confirm(_PAID)
    story.disconnect().connect().receive(_LOCK).confirm(_PAID)
    return story.disconnect().connect().notice(Signals.SIM).tick(0.5).tick(0.5).confirm(_PAID)


def _repeated_hello() -> Story:
    story = _holding("a hello is repeated with its nonce, and told what is held by then", _ENROLLED)
    story.tick(6 * _HOUR).tick(9).tick(1).tick(20).receive(_LOCK).press_check()
    return story.confirm(_LOCK).tick(15 * 60)


def _another_answer() -> Story:
    story = _holding("an answer that does not confirm: asked again at once, then patiently; still confirmed", _PAID)
    story.press_check().confirm(_LOCKED_AGAIN).confirm(_LOCKED_AGAIN)
    return story.tick(20).receive(_LOCKED_AGAIN).confirm(_LOCKED_AGAIN)


def _reboot() -> Story:
    story = _holding("a reboot: the same level before any network, and a count that goes on", _PAID)
    return story.cut_power().boot().connect().tick(1).confirm(_PAID)


def _lease() -> Story:
    leased = replace(_PAID, lease_until=cast.NOW + cast.DAY, lease_then=Level.LOCKED)
    story = _holding("a lease ends by trusted time alone, and stays so through a reboot", _ENROLLED)
    story.receive(leased).tick(cast.DAY - 1).tick(1).cut_power().boot()
    return story.connect().receive(_LOCKED_AGAIN)


def _wall_clock() -> Story:
    leased = replace(_PAID, lease_until=cast.NOW + cast.DAY, lease_then=Level.LOCKED)
    story = _holding("the wall clock changes nothing, and is told of once", leased)
    return story.set_wall_clock().set_wall_clock().notice(Signals.SIM).tick(60)


# --- after a factory reset -----------------------------------------------------------------------------------------


def _reset_with_lock() -> Story:
    story = _reset(_holding("factory reset, and the retained lock: at once", _LOCK))
    return story.receive(_LOCK).confirm(_LOCK)


def _reset_with_stale_opening() -> Story:
    story = _holding("factory reset, and a stale opening: for a while, until the newest comes", _ENROLLED)
    _reset(story.receive(_LOCK)).receive(_ENROLLED).confirm(_LOCK).confirm(_LOCK).receive(_ENROLLED)
    story.tick(_PROVISIONAL_S - 1).tick(1)
    return story.receive(_LOCK).confirm(_LOCK)


def _reset_with_newest_opening() -> Story:
    story = _reset(_holding("factory reset, and the newest opening: confirmed, for good", _PAID))
    return story.receive(_PAID).confirm(_PAID).tick(_PROVISIONAL_S).cut_power().boot()


def _row_of_openings() -> Story:
    story = _booted("a lock costs an opening no time; a row of openings gets one time together")
    story.receive(_LOCK).tick(2 * _PROVISIONAL_S).receive(_PAID)
    story.receive(replace(_PAID, version=4), elapsed=_PROVISIONAL_S - 1)
    return story.receive(replace(_PAID, version=5), elapsed=1)


def _reboot_of_unconfirmed() -> Story:
    story = _booted("an unconfirmed opening does not survive a boot, nor is given time again").receive(_PAID)
    return story.cut_power().boot().connect().receive(_PAID).confirm(_PAID)


def _reset_with_hardware_floor() -> Story:
    name = "factory reset where hardware keeps the floor: no old opening, and the state comes back as a duplicate"
    story = _reset(_holding(name, _ENROLLED, hardware_floor=True).receive(_LOCK))
    return story.receive(_ENROLLED).receive(_LOCK).confirm(_LOCK)


def _reset_after_lease() -> Story:
    leased = replace(_PAID, lease_until=cast.NOW + cast.DAY, lease_then=Level.LOCKED)
    name = "factory reset where hardware keeps the floor: a lease that ended opens for a while only"
    story = _reset(_holding(name, leased, hardware_floor=True).tick(cast.DAY))
    story.receive(leased).tick(_PROVISIONAL_S)
    return story.confirm(leased, now=cast.NOW + cast.DAY)


def _other_lender() -> Story:
    content = payload(cast.GRANT, lender=cast.OTHER_LENDER)
    foreign = replace(_LOCK, lender=cast.OTHER_LENDER, version=900)
    message = desired(foreign, under=grant(content))
    story = _booted("another lender's state counts until a fresh binds, and never after it")
    return story.receive(message).confirm(_PAID).receive(_PAID).confirm(_PAID).receive(message)


# --- what the root changes -----------------------------------------------------------------------------------------


def _root_followed() -> Story:
    content = payload(cast.GRANT, root_version=2, version=4)
    under = grant(content, cast.NEXT_ROOT_KEYS[:2])
    signed_anew = replace(_PAID, version=4, delegation_version=4)
    later = cast.root_envelope(replace(cast.ROOT_2, root_version=3), cast.NEXT_ROOT_KEYS[:2])
    story = _holding("roots are followed one by one; what is held stays; the state is signed anew", _PAID)
    story.receive_root(later).receive_root(_NEXT_ROOT).receive(_PAID).receive(desired(signed_anew, under=under))
    story.receive_fresh(fresh(story.answer(signed_anew), under=under))
    return story.cut_power().boot().connect().tick(1)


def _epoch_sets_time_back() -> Story:
    """A thief of the lock key has pushed the phone's time to its delegation's end, so that a lease fired."""
    leased = replace(_PAID, lease_until=cast.NOW + cast.DAY, lease_then=Level.LOCKED)
    pushed = replace(leased, version=900, issued_at=cast.GRANT.expires_at, lease_until=cast.GRANT.expires_at + 1)
    grant_ = replace(_NEXT_EPOCH, expires_at=cast.GRANT.expires_at + cast.DAY)
    cured = replace(leased, version=1, epoch=3, delegation_version=4)
    story = _holding("a new epoch sets pushed time back, and the lease runs again", _PAID)
    return story.receive(pushed).tick(1).receive(desired(cured, under=grant(encode(grant_)))).tick(cast.DAY)


def _epoch_keeps_what_is_left() -> Story:
    pushed = replace(_PAID, issued_at=cast.NOW + 50 * cast.DAY)
    opened = replace(_PAID, version=1, epoch=3, delegation_version=4)
    again = replace(opened, version=2)
    under = grant(encode(_NEXT_EPOCH))
    story = _booted("a new epoch that sets time back leaves an unconfirmed opening what was left of its time")
    story.receive(pushed).receive(desired(opened, under=under), elapsed=_PROVISIONAL_S - 60)
    return story.tick(59).tick(1).receive(desired(again, under=under))


# --- refusals ------------------------------------------------------------------------------------------------------


def _noise() -> Story:
    by_stranger = desired(_PAID, by=(cast.STRANGER,))
    story = _holding("a refusal that may be noise is reported once a minute by each name, on any topic", _LOCK)
    story.receive(_ENROLLED).receive(_ENROLLED).receive(b"").receive(by_stranger)
    story.receive(desired(_PAID).pack() + b"\x00").receive_fresh(fresh(story.answer(_LOCK), by=(cast.STRANGER,)))
    story.receive_root(cast.root_envelope(cast.ROOT_2, (cast.STRANGER,)))
    return story.receive(_ENROLLED, elapsed=59).receive(_ENROLLED, elapsed=1)


def _not_allowed() -> Story:
    opening = desired(_PAID, by=(cast.LOCK,))
    story = _holding("a refusal that is about the lender's own word is reported each time", _LOCK)
    return story.receive(opening).receive(opening)


def _release() -> Story:
    story = _holding("released, for good: a late lock, a reboot, a duplicate", _LOCK).receive(_RELEASED)
    late = replace(_LOCKED_AGAIN, version=6)
    return story.receive(late).receive(late).cut_power().boot().connect().receive(_RELEASED)
