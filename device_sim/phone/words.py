"""What a phone says: its hellos and reports, and the count that numbers them.

Sequence numbers are reserved in blocks: one write makes a block durable before its first number is used, and a boot
goes on above it, so that no number is ever used twice.
"""

from dataclasses import dataclass

from lock_protocol.compiling import quick
from lock_protocol.envelope import HELLO, REPORTED, M, MessageType, seal
from lock_protocol.levels import Result
from lock_protocol.messages import NO_HASH, NO_LENDER, Hello, LenderId, Reported, StateHash
from lock_protocol.schema import MAX_INTEGER
from lock_protocol.topics import PhoneTopic

from device_sim.phone.effects import Happening, Publish
from device_sim.phone.events import Event
from device_sim.phone.phone import Phone, Stage
from device_sim.phone.turn import Turn

SEQUENCE_BLOCK = 64
_TOLD_BY_HELLO = frozenset({Result.APPLIED, Result.OBSERVED})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which message a report is about, as far as that can be read; zeros for none."""

    epoch: int = 0
    version: int = 0
    hash: StateHash = NO_HASH


ABOUT_NOTHING = About()


def held(phone: Phone) -> About:
    """Return the state that the phone holds."""
    holding = phone.memory.holding
    if holding is None:
        return ABOUT_NOTHING
    return About(epoch=holding.epoch, version=holding.version, hash=holding.state_hash)


def say_hello(turn: Turn[Event], nonce: bytes) -> None:
    """Ask whether what is held is the newest. A phone that has lost its count says so by sequence 0."""
    phone, holding, now = turn.phone, held(turn.phone), turn.now
    level, condition = phone.effective(now)
    floor = phone.memory.floor
    hello = Hello(
        lender=_lender(phone),
        imei=phone.identity.imei,
        nonce=nonce,
        boot_count=phone.memory.boot_count,
        sequence=_next_sequence(turn) if phone.counts else 0,
        root_version=phone.root.root_version,
        delegation_version=0 if floor is None else floor.delegation_version,
        epoch=holding.epoch,
        version=holding.version,
        state_hash=holding.hash,
        effective_level=level,
        condition=condition,
        signals=phone.signals,
        trusted_now=now,
    )
    _publish(turn, PhoneTopic.HELLO, HELLO, hello)
    turn.observe(Happening.HELLO)


def report(turn: Turn[Event], result: Result, about: About = ABOUT_NOTHING, detail: str = "") -> None:
    """Report what is held and what became of a message.

    Offline nothing is said: the hello of the next connection says what is held. Without a count only what is held
    waits to be said; a refusal is not kept, because whatever is still wrong will be refused again. Before a
    connection's first hello, that one says what is held, and proves it just as well.
    """
    if turn.phone.stage is not Stage.ONLINE:
        return
    if not turn.phone.counts:
        turn.become(report_waits=True)
        return
    if result in _TOLD_BY_HELLO and not turn.phone.dialogue.greeted:
        return
    phone, holding, now = turn.phone, held(turn.phone), turn.now
    level, condition = phone.effective(now)
    reported = Reported(
        lender=_lender(phone),
        imei=phone.identity.imei,
        epoch=holding.epoch,
        version=holding.version,
        state_hash=holding.hash,
        effective_level=level,
        condition=condition,
        result=result,
        about_epoch=about.epoch,
        about_version=about.version,
        about_hash=about.hash,
        detail=detail,
        applied_at=now,
        boot_count=phone.memory.boot_count,
        sequence=_next_sequence(turn),
        signals=phone.signals,
    )
    _publish(turn, PhoneTopic.REPORTED, REPORTED, reported)
    turn.observe(Happening.REPORT)


def resume_count(turn: Turn[Event], returned: int) -> None:
    """Go on above both the own count and the one that the bridge returned."""
    turn.become(sequence=max(turn.phone.sequence, returned))
    _reserve(turn, turn.phone.sequence + 1)


def _next_sequence(turn: Turn[Event]) -> int:
    number = min(turn.phone.sequence + 1, MAX_INTEGER)
    turn.become(sequence=number)
    _reserve(turn, number)
    return number


def _reserve(turn: Turn[Event], number: int) -> None:
    if number > turn.phone.memory.sequence:
        turn.remember(sequence=min(number + SEQUENCE_BLOCK - 1, MAX_INTEGER))


def _lender(phone: Phone) -> LenderId:
    return NO_LENDER if phone.memory.floor is None else phone.memory.floor.lender


def _publish(turn: Turn[Event], topic: PhoneTopic, kind: MessageType[M], message: M) -> None:
    turn.do(Publish(topic, seal(kind, message, [turn.phone.identity.key])))
