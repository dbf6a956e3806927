"""What a phone does with what it receives: verify, keep, apply, report."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lock_protocol.acceptance import (
    Verified,
    accept_fresh,
    accept_state,
    confirms,
    floor_after_fresh,
    floor_after_state,
    raised_by_fresh,
    raised_by_state,
)
from lock_protocol.codec import decode
from lock_protocol.envelope import DESIRED, FRESH, MAX_ENVELOPE_BYTES, ROOT, MessageType, ShapeError, open_envelope
from lock_protocol.levels import Result
from lock_protocol.messages import DesiredState, Fresh, Root
from lock_protocol.refusals import AuthorityRefusal, Refusal
from lock_protocol.topics import PhoneTopic
from lock_protocol.trust import follow_root

from device_sim.phone.effects import Happening, SubscribeRoot
from device_sim.phone.events import AskingEvent, MessageArrived, RootArrived
from device_sim.phone.hello import ask_about_news, ask_now, greet, note_confirmed, note_disappointed
from device_sim.phone.turn import Turn
from device_sim.phone.words import ABOUT_NOTHING, About, held, report, resume_count

COMPLAINT_EVERY_S = 60.0


def receive(turn: Turn[MessageArrived]) -> None:
    """Judge a message and act on it, or report why not."""
    try:
        _RECEIVERS[turn.event.topic](turn)
    except Refusal as refusal:
        _refuse(turn, refusal, _about(_KINDS[turn.event.topic], turn.event.payload))
    if turn.event.topic is PhoneTopic.DESIRED:
        greet(turn)


def receive_root(turn: Turn[RootArrived]) -> None:
    """Follow the next root, then look for the one after it and ask what is newest under the new one."""
    payload = turn.event.payload
    try:
        root = follow_root(turn.phone.root, payload)
    except Refusal as refusal:
        _refuse(turn, refusal, _about(ROOT, payload))
        return
    turn.remember(root=root)
    turn.become(root=root)
    turn.observe(Happening.ROOT_FOLLOWED)
    turn.apply()
    turn.do(SubscribeRoot(root.root_version + 1))
    ask_now(turn)


# --- states --------------------------------------------------------------------------------------------------------


def _receive_state(turn: Turn[MessageArrived]) -> None:
    accepted = accept_state(turn.event.payload, turn.phone.standing(turn.now))
    if accepted.repeated:
        turn.observe(Happening.DUPLICATE)
        # A floor that hardware kept through a reset knows this state by its hash; the state itself was lost.
        turn.remember(state=accepted.message)
    else:
        turn.observe(Happening.ACCEPTED)
        _hold(turn, accepted)
    _open_window(turn, accepted.message)
    turn.apply()
    report(turn, Result.APPLIED, held(turn.phone))
    if not accepted.repeated:
        ask_about_news(turn)


def _hold(turn: Turn[MessageArrived], accepted: Verified[DesiredState]) -> None:
    """Take over a new state: the floor, the state, and the time it tells."""
    before, now = turn.phone.memory.floor, turn.now
    after = raised_by_state(now, before, accepted)
    turn.remember(floor=floor_after_state(before, accepted), state=accepted.message)
    turn.set_time(after)
    if after < now:
        _shift_window(turn, now - after)


def _shift_window(turn: Turn[MessageArrived], back: int) -> None:
    """Keep what is left of the provisional time when a higher epoch sets the time back.

    Setting back must neither stretch it by months nor give time again that was over.
    """
    until = turn.phone.memory.provisional_until
    if until is not None:
        turn.remember(provisional_until=max(until - back, 0))


def _open_window(turn: Turn[MessageArrived], state: DesiredState) -> None:
    """Give the first unconfirmed opening since the last factory reset its time; none after it gets more.

    Only an opening uses it up: a closing state that came first must not cost the payer who comes after it.
    """
    memory, root = turn.phone.memory, turn.phone.root
    opens = min(state.level, state.lease_then) < root.provisional_level
    if opens and not memory.confirmed and memory.provisional_until is None:
        turn.remember(provisional_until=turn.now + root.provisional_s)


# --- freshness -----------------------------------------------------------------------------------------------------


def _receive_fresh(turn: Turn[MessageArrived]) -> None:
    accepted = accept_fresh(turn.event.payload, turn.phone.standing(turn.now))
    turn.set_time(raised_by_fresh(turn.now, accepted))
    _bind(turn, accepted)
    resume_count(turn, accepted.message.sequence)
    _show_and_tell(turn)
    if turn.phone.memory.state is not None and confirms(accepted, turn.phone.memory.floor):
        turn.observe(Happening.CONFIRMED)
        note_confirmed(turn)
    else:
        turn.observe(Happening.UNCONFIRMED)
        note_disappointed(turn)


def _bind(turn: Turn[MessageArrived], accepted: Verified[Fresh]) -> None:
    """Belong to the lender that answered; a state that another lender had signed counts no more."""
    floor = turn.phone.memory.floor
    if floor is not None and floor.lender != accepted.message.lender:
        turn.remember(state=None, confirmed=False)
    bound = floor_after_fresh(floor, accepted)
    turn.remember(floor=bound)
    if confirms(accepted, bound):
        turn.remember(confirmed=True, provisional_until=None)


def _show_and_tell(turn: Turn[MessageArrived]) -> None:
    """Apply what the answer changed, and report it together with what had to wait for it."""
    changed = turn.apply_changes()
    if changed or turn.phone.report_waits:
        turn.become(report_waits=False)
        report(turn, Result.APPLIED if turn.phone.memory.state else Result.OBSERVED, held(turn.phone))


# --- refusals ------------------------------------------------------------------------------------------------------


def _refuse(turn: Turn[AskingEvent], refusal: Refusal, about: About) -> None:
    """Count a refusal and report it; what may be mere noise only once a minute by each name."""
    turn.observe(Happening.REFUSED, refusal.name)
    if isinstance(refusal, AuthorityRefusal) or _may_complain(turn, refusal.name):
        report(turn, Result.REFUSED, about, refusal.name)


def _may_complain(turn: Turn[AskingEvent], name: str) -> bool:
    now = turn.event.monotonic
    recent = tuple((said, at) for said, at in turn.phone.complaints if now - at < COMPLAINT_EVERY_S)
    if any(said == name for said, _ in recent):
        return False
    turn.become(complaints=(*recent, (name, now)))
    return True


def _about(kind: MessageType[Any], data: bytes) -> About:
    """Return what a refused message seems to be, unproven as it is: enough for the bridge to recognise its own.

    Its hash is told when there is a whole envelope around its payload, its order when its payload fits its table.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        return ABOUT_NOTHING
    try:
        envelope = open_envelope(kind, data)
    except ShapeError:
        return ABOUT_NOTHING
    try:
        message = decode(kind.message, envelope.payload)
    except ValueError:
        return About(hash=envelope.payload_hash)
    if isinstance(message, Root):
        return About(hash=envelope.payload_hash)
    return About(epoch=message.epoch, version=message.version, hash=envelope.payload_hash)


_KINDS: Mapping[PhoneTopic, MessageType[Any]] = MappingProxyType({PhoneTopic.DESIRED: DESIRED, PhoneTopic.FRESH: FRESH})
_RECEIVERS: Mapping[PhoneTopic, Callable[[Turn[MessageArrived]], None]] = MappingProxyType(
    {PhoneTopic.DESIRED: _receive_state, PhoneTopic.FRESH: _receive_fresh}
)
