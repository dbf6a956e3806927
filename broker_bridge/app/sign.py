"""Queueing: the one place where a state gets its version and its signature.

Nothing has either before it enters `queued`, and it is made from the phone's row as locked by the job that queues it:
so a lock decided earlier can neither be delivered by accident nor overwrite a newer opening.
"""

from dataclasses import dataclass
from hashlib import sha256

from broker_bridge.app.ports.signing import Signer
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.records import AuditEntry, Command, changed_command, outgoing
from broker_bridge.domain.authority import require_authority, within
from broker_bridge.domain.clock import SigningTime, signing_time
from broker_bridge.domain.commands import Event, Status, after
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.lanes import FIRST_LANE, Lane, lane_of
from broker_bridge.domain.phones import CommandId, Desired, Phone, PhoneStatus, changed_phone
from broker_bridge.domain.policy import Wish
from lock_protocol.codec import encode, pack
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import DesiredState, LenderId, StateHash


class ClockSuspectError(Exception):
    """The bridge's clock cannot be right, so it signs no closing state until it is."""


@dataclass(slots=True)
class SigningClock:
    """The bridge's time, watched against what was signed before."""

    clock: Clock
    _signed: tuple[int, float] | None = None
    """The newest time that this process signed with, and the monotonic clock then. Whether that was committed, and
    whether another bridge has signed since, does not matter: it is what this machine's clock was taken for."""

    def time_for(self, tx: Transaction, lane: Lane) -> int:
        """Return the time to sign with, and remember it.

        Raises:
            ClockSuspectError: the clock is wrong and the state is not an opening.
        """
        last = tx.last_signed_at()
        time = self._judged(last)
        if time.suspicion and lane is not Lane.OPENING:
            raise ClockSuspectError(time.suspicion)
        if time.at > last:
            tx.put_last_signed_at(time.at)
            self._signed = (time.at, self.clock.monotonic())
        return time.at

    def time_to_tell(self, tx: Transaction) -> int:
        """Return the time to tell a phone, which it believes as it believes a state's.

        The wall clock as it stands would not do: phones keep for good what one jump of it has told them, and refuse
        every lock once that is past the end of their delegation.
        """
        return self._judged(tx.last_signed_at()).at

    def is_suspect(self, tx: Transaction) -> bool:
        """Return whether the clock cannot be right."""
        return self._judged(tx.last_signed_at()).suspicion is not None

    def _judged(self, last: int) -> SigningTime:
        expected = None
        if self._signed is not None:
            at, monotonic = self._signed
            expected = at + int(self.clock.monotonic() - monotonic)
        return signing_time(self.clock.now(), last, expected)


@dataclass(slots=True)
class Queue:
    """Turns what a phone should be into its next signed version, in the job's own commit."""

    signer: Signer
    signing_clock: SigningClock
    clock: Clock

    def first(self, tx: Transaction, lender: LenderId, imei: Imei, wish: Wish) -> tuple[Desired, CommandId]:
        """Sign version 1 for a phone that is being enrolled; the caller stores the phone and has it published."""
        delegation = self.signer.delegation(lender)
        at = self.signing_clock.time_for(tx, lane_of(wish.level, None))
        return self._sign(tx, lender, imei, (delegation.epoch, 1), wish, lane=FIRST_LANE, at=at)

    def next(
        self,
        tx: Transaction,
        phone: Phone,
        wish: Wish,
        *,
        decision: DecisionId | None = None,
        delay_s: int = 0,
    ) -> Phone:
        """Sign the next version, supersede the command before it, store the phone and return it.

        With `delay_s` it is published that much later (a state that was just refused is not sent again at once).
        """
        epoch = self.signer.delegation(phone.lender).epoch
        same_epoch = epoch == phone.desired.order[0]
        version = phone.next_version if same_epoch else 1
        lane = self._lane(tx, phone, wish.level)
        order = (epoch, version)
        at = self.signing_clock.time_for(tx, lane)
        desired, command_id = self._sign(
            tx, phone.lender, phone.imei, order, wish, lane=lane, at=at, decision=decision, delay_s=delay_s
        )
        self._supersede(tx, phone.command_id)
        releases = wish.level is Level.RELEASED and phone.status is not PhoneStatus.RELEASED
        status = PhoneStatus.RELEASING if releases else phone.status
        queued = changed_phone(
            phone,
            desired=desired,
            command_id=command_id,
            status=status,
            seen_version=phone.seen_version if same_epoch else 0,
            publish_number=0,
        )
        tx.put_phone(queued)
        if not delay_s:
            tx.publish_after_commit(outgoing(queued, lane=lane))
        return queued

    def again(self, tx: Transaction, phone: Phone, *, delay_s: int = 0) -> Phone:
        """Sign what the phone should be anew, as the next version, for the sake of the same decision."""
        command = tx.command(phone.command_id)
        decision = None if command is None else command.decision_id
        return self.next(tx, phone, Wish.of(phone.desired.state), decision=decision, delay_s=delay_s)

    def _sign(
        self,
        tx: Transaction,
        lender: LenderId,
        imei: Imei,
        order: tuple[int, int],
        wish: Wish,
        *,
        lane: Lane,
        at: int,
        decision: DecisionId | None = None,
        delay_s: int = 0,
    ) -> tuple[Desired, CommandId]:
        state = self._state(lender, imei, order, wish, at)
        state_hash = StateHash(sha256(encode(state)).digest())
        desired = Desired.signed(state, state_hash, self.signer.sign_state(state))
        return desired, self._record(tx, state, lane, decision, delay_s)

    def _state(self, lender: LenderId, imei: Imei, order: tuple[int, int], wish: Wish, at: int) -> DesiredState:
        """Return what is signed: a wish, as far as the lender's delegation allows it now."""
        delegation = self.signer.delegation(lender)
        require_authority(wish, delegation, at)
        wish = within(wish, delegation, at)
        lease = wish.lease
        epoch, version = order
        return DesiredState(
            lender=lender,
            imei=imei,
            epoch=epoch,
            version=version,
            delegation_version=delegation.version,
            level=wish.level,
            reason=wish.reason,
            issued_at=at,
            lease_until=0 if lease is None else lease.until,
            lease_then=wish.level if lease is None else lease.then,
            warn_s=0 if lease is None else lease.warn_s,
            remind_s=wish.remind_s,
            command_id=_command_id(at, lender, imei, order),
            notice=wish.notice,
        )

    def _record(
        self, tx: Transaction, state: DesiredState, lane: Lane, decision: DecisionId | None, delay_s: int
    ) -> CommandId:
        """Put down that a state is queued, and return its command's id."""
        now, command_id = self.clock.now(), CommandId(state.command_id)
        tx.put_command(
            Command(
                command_id=command_id,
                lender=state.lender,
                imei=state.imei,
                epoch=state.epoch,
                version=state.version,
                level=state.level,
                reason=state.reason,
                lane=lane,
                status=Status.QUEUED,
                decision_id=decision,
                detail="",
                created_at=now,
                due_at=now + delay_s,
            )
        )
        detail = f"{state.epoch}.{state.version} {state.level.name.lower()}"
        tx.audit(AuditEntry(at=now, lender=state.lender, imei=state.imei, event="queued", detail=detail))
        return command_id

    def _lane(self, tx: Transaction, phone: Phone, level: Level) -> Lane:
        """Return the lane of a phone's next state."""
        if not level.is_open:
            return lane_of(level, phone.reported_level)
        command = tx.command(phone.command_id)
        if command is not None and command.lane is Lane.OPENING and command.status.is_pending:
            # It takes the place of an opening that the phone has not proven: whoever has paid waits for this one now.
            return Lane.OPENING
        # A payment right after a lock that the phone has not reported yet opens a phone all the same.
        return lane_of(level, phone.may_be_at)

    def _supersede(self, tx: Transaction, command_id: CommandId) -> None:
        command = tx.command(command_id)
        if command is None:
            return
        status = after(command.status, Event.REPLACED)
        if status is command.status and not command.due_at:
            return
        finished_at = command.finished_at if status is command.status else self.clock.now()
        tx.put_command(changed_command(command, status=status, finished_at=finished_at, due_at=0))


def _command_id(at: int, lender: LenderId, imei: Imei, order: tuple[int, int]) -> CommandId:
    """Return the id of one version's command: it sorts by time, and needs no draw, as versions never repeat."""
    unique = sha256(pack((lender, imei, *order))).hexdigest()[:18]
    return CommandId(f"cmd_{at:010x}{unique}")
