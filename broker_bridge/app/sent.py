"""Sent: what the broker's PUBACK makes of a command, and when its state is published again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from broker_bridge.app.jobs import AboutNoDecision
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.records import Command, changed_command
from broker_bridge.domain.commands import Event, after
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import Phone, changed_phone
from lock_protocol.compiling import quick
from lock_protocol.imei import Imei

RESEND_AFTER_S = (5, 30, 300)
"""An opening that is not proven is published again so long after each PUBACK; later, with every hello."""

RESTORE_AGAIN_S = 60
"""A state that was restored on its topic is published once more so long after; honest phones complain no sooner again.

That is the answer to all that its phone complains of meanwhile: so a phone in a loop has its state published twice a
minute, and one whose topic is attacked again has it back within one.
"""


@quick
@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged publish."""

    imei: Imei
    order: tuple[int, int]
    number: int
    """The publish number."""


@dataclass(frozen=True, slots=True)
class MarkSent(AboutNoDecision):
    """The job of many acknowledged publishes."""

    acks: Sequence[Ack]
    clock: Clock

    @property
    def imeis(self) -> Collection[Imei]:
        """All phones that were published to."""
        return [ack.imei for ack in self.acks]

    def run(self, tx: Transaction) -> None:
        """Mark the commands as sent, and say when an opening is due again."""
        for ack in self.acks:
            phone = tx.phone(ack.imei)
            if phone is not None:
                mark_sent(tx, phone, ack, self.clock.now())


def mark_sent(tx: Transaction, phone: Phone, ack: Ack, now: int) -> Phone:
    """Write a PUBACK down, once: it may come by itself and with the phone's word. Return the phone.

    One that waited for the database while the state was published again comes after that one's, and counts no more: a
    number that fell would have a broker which lost the newer publish be taken for one that has it.
    """
    if phone.desired.order != ack.order or phone.publish_number >= ack.number:
        return phone  # a newer state was queued meanwhile, or this is known
    marked = changed_phone(phone, publish_number=ack.number)
    tx.put_phone(marked)
    command = tx.command(phone.command_id)
    if command is None:
        return marked
    status, due_at = after(command.status, Event.ACKNOWLEDGED), 0
    if _is_repeated(command):
        due_at = now + RESEND_AFTER_S[command.attempts]
    elif is_restored_soon(command, now):
        due_at = command.due_at
    attempts, sent_at = command.attempts + 1, command.sent_at or now
    tx.put_command(changed_command(command, status=status, sent_at=sent_at, attempts=attempts, due_at=due_at))
    return marked


def _is_repeated(command: Command) -> bool:
    """Return whether it is an opening that is still published again after each PUBACK."""
    unproven = command.lane is Lane.OPENING and not command.status.is_settled
    return unproven and command.attempts < len(RESEND_AFTER_S)


def is_restored_soon(command: Command, now: int) -> bool:
    """Return whether it has been restored, and will be once more within a minute. No opening ever waits for that."""
    return not _is_repeated(command) and now < command.due_at <= now + RESTORE_AGAIN_S
