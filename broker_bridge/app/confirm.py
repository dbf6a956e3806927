"""Confirm: what phones say about themselves, and what follows.

Only a phone's signed word makes a command succeed. A word that does not fit what the database knows is acted on too: a
refused opening is signed anew, a phone that claims a version nobody queued gets a higher one, and a phone that refused
something which is not its newest state gets its newest state again, over whatever somebody has put on its topic.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from broker_bridge.app.jobs import AboutNoDecision, OnePhone
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.ports.surroundings import Clock, Log
from broker_bridge.app.records import AuditEntry, changed_command, outgoing
from broker_bridge.app.sent import RESEND_AFTER_S, RESTORE_AGAIN_S, Ack, is_restored_soon, mark_sent
from broker_bridge.app.sign import ClockSuspectError, Queue
from broker_bridge.domain.authority import NotDelegatedError
from broker_bridge.domain.commands import Event, Status, after
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import Phone, PhoneStatus, Said, changed_phone, is_about, said_in
from lock_protocol.acceptance import DeviceStanding, accept_hello, accept_report
from lock_protocol.acceptance.floor import MAX_VERSION_JUMP
from lock_protocol.compiling import quick
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level, Result
from lock_protocol.messages import Hello, Reported
from lock_protocol.refusals import AlreadyReleased, AuthorityRefusal, BadRoot, RootNotNext, WrongNonce
from lock_protocol.schema import MAX_INTEGER

CLIMB_AGAIN_S = RESEND_AFTER_S[-1]
"""A version above what its phone claims is signed at once; above a higher claim, no sooner than so long after that one.

A database that was restored from a backup is behind a phone once. Whoever has a phone's key can claim without end, and
each version stays in the phone's history for ever.
"""

HIGHEST_BELIEVED = MAX_INTEGER - MAX_VERSION_JUMP
"""No version above this is gone on from: a phone that claims the last ones would leave none to lock or open it with."""

EPOCH_ABOVE_OURS, VERSION_ABOVE_OURS, VERSION_NOT_OURS = "epoch_above_ours", "version_above_ours", "version_not_ours"
SIGNS_OF_ANOTHER = frozenset({EPOCH_ABOVE_OURS, VERSION_ABOVE_OURS, VERSION_NOT_OURS})
"""What phones' words show when they hold a state that this database never gave them: it is an older one than it should
be, or somebody else signs."""

_AUTHORITY = frozenset(refusal.__name__ for refusal in AuthorityRefusal.__subclasses__())
_NOT_ABOUT_STATES = frozenset(refusal.__name__ for refusal in (BadRoot, RootNotNext, WrongNonce))


class UnknownDeviceError(Exception):
    """Something was said in the name of an IMEI that is not enrolled."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Acts on phones' words: what they prove, and what has to be signed, published or told because of them."""

    queue: Queue
    clock: Clock
    log: PhonesLog
    signs_of_another: Counter[str] = field(default_factory=Counter)
    """How often a phone's word has shown each of `SIGNS_OF_ANOTHER`."""

    def log_of(self, phone: Phone) -> Log:
        """Return the log of what a phone brings about."""
        return self.log.about(phone.imei, imei=phone.imei, lender=phone.lender)

    def take_word(self, tx: Transaction, phone: Phone, said: Said, sequence: int, *, proven: bool) -> Phone:
        """Store a phone's verified word about itself, which may prove its newest state, and return the phone."""
        heard = phone.heard(said, sequence, self.queue.signing_clock.time_to_tell(tx), proven=proven)
        tx.put_phone(heard)
        epoch, version = phone.desired.order
        if said.epoch > epoch:
            # Only a newer delegation raises the epoch, and this bridge does not have it: a person has to look.
            self._note_another(phone, EPOCH_ABOVE_OURS, claimed=said.epoch, ours=epoch)
        if said.epoch == epoch and said.version > version:
            return self._climb_above(tx, heard, VERSION_ABOVE_OURS)
        if said.forks(phone.desired):
            return self._climb_above(tx, heard, VERSION_NOT_OURS)
        return heard

    def settle(self, tx: Transaction, phone: Phone, event: Event, detail: str = "") -> Phone:
        """Tell the phone's newest command what happened to it, and return the phone."""
        command = tx.command(phone.command_id)
        if command is None:
            return phone
        status = after(command.status, event)
        if status is command.status:
            return phone  # a phone that goes on about it, each time in other words, fills no disk
        now = self.clock.now()
        proven = event is Event.APPLIED
        finished_at = 0 if status.is_pending else now
        due_at = 0 if proven else command.due_at
        tx.put_command(changed_command(command, status=status, detail=detail, finished_at=finished_at, due_at=due_at))
        text = f"{command.epoch}.{command.version} {status} {detail}".rstrip()
        tx.audit(AuditEntry(at=now, lender=phone.lender, imei=phone.imei, event="phone", detail=text))
        return self._proven(tx, phone) if proven else phone

    def refused(self, tx: Transaction, phone: Phone, detail: str) -> Phone:
        """Act on a phone's refusal of its newest state: an opening is signed anew, and somebody is told."""
        phone = self.settle(tx, phone, Event.REFUSED, detail)
        fields = {"error": detail, "version": phone.desired.order[1]}
        if phone.lane is not Lane.OPENING or detail == AlreadyReleased.__name__:
            self.log_of(phone).warning("state_refused", **fields)
            return phone
        self.log_of(phone).critical("opening_refused", **fields)
        if self._stands(tx, phone):
            return phone
        delay = RESEND_AFTER_S[min(phone.refused_openings, len(RESEND_AFTER_S) - 1)]
        counted = changed_phone(phone, refused_openings=phone.refused_openings + 1)
        return self._sign_again(tx, counted, delay_s=delay)

    def _stands(self, tx: Transaction, phone: Phone) -> bool:
        """Return whether a refused opening stays as it is for now; it is published again when it does so no longer.

        A hello brings a phone what its refusal has put off: refused once more, that would be a version for each hello.
        """
        command = tx.command(phone.command_id)
        if command is None:
            return False
        refused = min(phone.refused_openings, len(RESEND_AFTER_S))
        # A phone that says in turns that it applied its state and that it refused it would begin anew each time.
        stands_s = RESEND_AFTER_S[-1] if command.status is Status.SUCCEEDED else (0, *RESEND_AFTER_S)[refused]
        if not self._is_young(tx, phone, stands_s):
            return False
        if not command.due_at:
            tx.put_command(changed_command(command, due_at=command.created_at + stands_s))
        return True

    def refused_unproven(self, tx: Transaction, phone: Phone, detail: str) -> Phone:
        """Act on a refusal of what looks like the newest state and may be a forgery around its payload.

        Whichever it was: the newest state is published again, and a phone that still cannot take it says so again.
        """
        self.restore(tx, phone, error=detail)
        return self.settle(tx, phone, Event.REFUSED, detail)

    def restore(self, tx: Transaction, phone: Phone, **fields: object) -> None:
        """Publish the newest state again, as the phone says that it has seen something else on its topic.

        It can say so as often as it likes. When the state is about to be published once more, that is the answer.
        """
        command = tx.command(phone.command_id)
        if command is None or not is_restored_soon(command, self.clock.now()):
            self.cover(tx, phone, **fields)

    def cover(self, tx: Transaction, phone: Phone, **fields: object) -> None:
        """Publish the newest state over something else on its topic, and have it published once more later.

        Not put off, however often: nothing foreign that is seen there may stay. No phone can put anything there.
        """
        self.log_of(phone).warning("foreign_state", **fields)
        tx.publish_after_commit(outgoing(phone, repetition=True))
        command, later = tx.command(phone.command_id), self.clock.now() + RESTORE_AGAIN_S
        if command is not None and not 0 < command.due_at <= later:
            tx.put_command(changed_command(command, due_at=later))

    def _note_another(self, phone: Phone, sign: str, *, claimed: int, ours: int) -> None:
        self.signs_of_another[sign] += 1
        self.log_of(phone).critical(sign, claimed=claimed, ours=ours)

    def _climb_above(self, tx: Transaction, phone: Phone, sign: str) -> Phone:
        """Go on above a version that this database never gave: it is older than it should be, or a key is stolen."""
        said = phone.said
        claimed = said.version if said is not None else 0
        self._note_another(phone, sign, claimed=claimed, ours=phone.desired.order[1])
        if claimed > HIGHEST_BELIEVED:
            return phone
        warned = changed_phone(phone, seen_version=max(claimed, phone.seen_version))
        if not (phone.has_climbed and self._is_young(tx, phone, CLIMB_AGAIN_S)):
            return self._sign_again(tx, warned)
        tx.put_phone(warned)  # a decision goes on above it at once
        return warned

    def _is_young(self, tx: Transaction, phone: Phone, age_s: int) -> bool:
        """Return whether the phone's newest version was made less than so long ago; one from a clock ahead was not."""
        command = tx.command(phone.command_id)
        return command is not None and 0 <= self.clock.now() - command.created_at < age_s

    def _sign_again(self, tx: Transaction, phone: Phone, *, delay_s: int = 0) -> Phone:
        """Sign what the phone should be anew, unless that must not be signed now: its word counts all the same."""
        try:
            return self.queue.again(tx, phone, delay_s=delay_s)
        except (ClockSuspectError, NotDelegatedError) as error:
            why = f"{type(error).__name__}: {error}"
            self.log_of(phone).critical("not_signed_again", error=why)
            return phone

    def _proven(self, tx: Transaction, phone: Phone) -> Phone:
        status = PhoneStatus.RELEASED if phone.desired.level is Level.RELEASED else phone.status
        if status is phone.status and not phone.refused_openings:
            return phone
        proven = changed_phone(phone, status=status, refused_openings=0)
        tx.put_phone(proven)
        return proven


def _standing(tx: Transaction, imei: Imei) -> tuple[Phone, DeviceStanding]:
    phone = tx.phone(imei)
    if phone is None:
        raise UnknownDeviceError(f"{imei} is not enrolled")
    return phone, DeviceStanding(imei=imei, device_key=phone.device_key, sequence=phone.sequence)


@quick
@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """What a hello has to be answered with."""

    phone: Phone
    hello: Hello
    holds_newest: bool
    """Whether the phone holds the newest queued state; if not, that is published first."""
    now: int
    """The time that the phone is told, seconds UTC."""


@quick
@dataclass(frozen=True, slots=True)
class HearHello(OnePhone):
    """The job of one hello."""

    imei: Imei
    data: bytes
    judge: Judge

    def run(self, tx: Transaction) -> HelloAnswer:
        """Verify, store what the phone says, and return what it has to be told.

        Raises:
            Refusal, UnknownDeviceError: it is not this phone's newest word.
        """
        phone, standing = _standing(tx, self.imei)
        hello = accept_hello(self.data, standing).message
        if hello.sequence:
            said = said_in(hello, self.judge.clock.now())
            proven = phone.proves(said, hello.trusted_now)
            phone = self.judge.take_word(tx, phone, said, hello.sequence, proven=proven)
            if proven:
                phone = self.judge.settle(tx, phone, Event.APPLIED)
        desired = phone.desired
        held = (hello.lender, hello.epoch, hello.version, hello.state_hash)
        newest = (phone.lender, *desired.order, desired.state_hash)
        now = self.judge.queue.signing_clock.time_to_tell(tx)
        # A phone that could not apply its state is given it again: that is what has it try once more.
        holds = held == newest and hello.condition is not Condition.APPLY_FAILED
        return HelloAnswer(phone, hello, holds_newest=holds, now=now)


@quick
@dataclass(frozen=True, slots=True)
class HearReport(OnePhone):
    """The job of one report."""

    imei: Imei
    data: bytes
    judge: Judge
    ack: Ack | None = None
    """The PUBACK that came before it, if that is not written yet."""

    def run(self, tx: Transaction) -> Reported:
        """Verify and act on it; return it.

        Raises:
            Refusal, UnknownDeviceError: it is not this phone's newest word. Its PUBACK is not written either.
        """
        phone, standing = _standing(tx, self.imei)
        report = accept_report(self.data, standing).message
        if self.ack is not None:
            phone = mark_sent(tx, phone, self.ack, self.judge.clock.now())
        said = said_in(report, self.judge.clock.now())
        asked, proven = phone, phone.proves(said, report.applied_at)
        phone = self.judge.take_word(tx, phone, said, report.sequence, proven=proven)
        if phone.desired is not asked.desired:
            return report  # a higher version has just been queued; this word was about what came before
        self._act(tx, phone, report, proven=proven)
        return report

    def _act(self, tx: Transaction, phone: Phone, report: Reported, *, proven: bool) -> None:
        ours = is_about(report, phone.desired)
        match report.result:
            case Result.REFUSED if ours and report.detail in _AUTHORITY:
                self.judge.refused(tx, phone, report.detail)
            case Result.REFUSED if ours:
                self.judge.refused_unproven(tx, phone, report.detail)
            case Result.REFUSED if report.detail in _NOT_ABOUT_STATES:
                self.judge.log_of(phone).info("refused_no_state", error=report.detail)
            case Result.REFUSED:
                self.judge.restore(tx, phone, error=report.detail, about=report.about_version)
            case Result.FAILED if ours:
                self.judge.settle(tx, phone, Event.FAILED, report.detail)
            case Result.APPLIED | Result.OBSERVED if proven:
                self.judge.settle(tx, phone, Event.APPLIED)
            case _:
                self.judge.log_of(phone).info("late_report", about=report.about_version, result=report.result)


@dataclass(frozen=True, slots=True)
class TimeOut(AboutNoDecision):
    """The job of phones that have not answered for long. Not final: a phone may come back after a year."""

    imeis: Collection[Imei]
    sent_before: int
    judge: Judge

    def run(self, tx: Transaction) -> None:
        """Mark those of their newest commands that are still only sent."""
        for imei in self.imeis:
            phone = tx.phone(imei)
            command = None if phone is None else tx.command(phone.command_id)
            if phone is None or command is None:
                continue
            if command.status is Status.SENT and command.sent_at < self.sent_before:
                self.judge.settle(tx, phone, Event.WAITED_TOO_LONG)
