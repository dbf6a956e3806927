"""Decide: from a lender's fact to a queued state, exactly once."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.records import AuditEntry, RecordedDecision
from broker_bridge.domain.authority import require_link
from broker_bridge.domain.decisions import Decision, DecisionId
from broker_bridge.domain.gates import GateCondition, Missing
from broker_bridge.domain.loans import Effect, Moment
from broker_bridge.domain.phones import CommandId, Phone, changed_phone
from lock_protocol.compiling import quick
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

MAX_AHEAD_S = 300
"""How far ahead of the bridge's clock what would lock may be dated: what two honest clocks may differ by."""

_NONE = "[]"


class FutureDecisionError(Exception):
    """Something that would lock and has not happened yet: dated ahead, it would outrank the payment that cures it."""


class UnknownPhoneError(Exception):
    """No phone of this lender has this IMEI."""


class DecisionConflictError(Exception):
    """This decision_id was used before, for another decision."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The answer to a decision: the same each time it is sent."""

    decision_id: DecisionId
    imei: Imei
    type: str
    effect: str
    """What it did to the loan; see `broker_bridge.domain.loans`."""
    level: Level
    """The level that the phone has to have now."""
    wanted: Level
    """The level that the arrears ask for, whether or not it is permitted yet."""
    held: tuple[Missing, ...]
    """What that level waits for; empty when nothing is held back."""
    command_id: CommandId | None
    """The command that carries it to the phone, or None where nothing had to change."""
    repeated: bool
    """Whether the decision had been taken before."""


@quick
@dataclass(frozen=True, slots=True)
class Decide:
    """The job of one decision."""

    decision: Decision
    reconsider: Reconsider
    told: bool = False
    """Whether the lender is told of each step of what follows: it is when the decision came by MQTT."""

    @property
    def imeis(self) -> Collection[Imei]:
        """The one phone."""
        return (self.decision.imei,)

    @property
    def decisions(self) -> Collection[tuple[LenderId, DecisionId]]:
        """The one record."""
        return ((self.decision.lender, self.decision.decision_id),)

    def run(self, tx: Transaction) -> Decided:
        """Record the decision, fold it into the loan, queue what follows.

        Raises:
            DecisionConflictError, UnknownPhoneError, FutureDecisionError: nothing is recorded.
            LinkNotDelegatedError: its link to pay leads to a host that the delegation does not name; the same.
            ClockSuspectError, NotDelegatedError: it asks for a closing state that must not be signed now; the same.
        """
        known = tx.decision(self.decision.lender, self.decision.decision_id)
        if known is not None:
            return self._repeat(known)
        return self._first_time(tx)

    def _repeat(self, known: RecordedDecision) -> Decided:
        if known.fingerprint != self.decision.fingerprint:
            raise DecisionConflictError(f"decision_id {known.decision_id} was used before, for another decision")
        return recorded(known)

    def _first_time(self, tx: Transaction) -> Decided:
        decision, phone = self.decision, tx.phone(self.decision.imei)
        if phone is None or phone.lender != decision.lender:
            raise UnknownPhoneError(f"no phone with IMEI {decision.imei} is enrolled with you")
        clock = self.reconsider.clock.now()
        self._refuse_the_future(clock)
        require_link(decision.pay_url, self.reconsider.queue.signer.delegation(phone.lender))
        now = self.reconsider.now(tx)
        self.reconsider.note_heard(tx, phone, now)
        loan, effect = phone.loan.after(decision, self._moment(tx, phone, now, clock))
        before = phone.command_id
        resend = effect is Effect.RESENT
        phone, judgement = self.reconsider.phone(
            tx,
            changed_phone(phone, loan=loan),
            now,
            decision=decision.decision_id,
            resend=resend,
            # A payment does not wait for whatever else its phone is to be sent, like another lease.
            patient=not decision.can_close and not resend,
        )
        decided = Decided(
            decision_id=decision.decision_id,
            imei=decision.imei,
            type=decision.type,
            effect=effect,
            level=phone.desired.level,
            wanted=judgement.wanted,
            held=judgement.missing,
            command_id=None if phone.command_id == before else phone.command_id,
            repeated=False,
        )
        self._record(tx, decided, clock)
        return decided

    def _moment(self, tx: Transaction, phone: Phone, now: int, clock: int) -> Moment:
        policy = self.reconsider.policy(tx, phone)
        return Moment(
            now=now,
            latest=max(now, clock),
            level=min(phone.desired.level, phone.episode.granted),
            escalated_from=phone.episode.escalated_from,
            longest_grace_s=policy.longest_grace_s,
            longest_dispute_s=policy.longest_dispute_s,
        )

    def _refuse_the_future(self, clock: int) -> None:
        """Refuse what would lock and is dated ahead. Payments are taken whatever a clock says: payers never wait."""
        decision = self.decision
        if decision.can_close and decision.occurred_at > (clock + MAX_AHEAD_S) * 1000:
            ahead = decision.occurred_at // 1000 - clock
            raise FutureDecisionError(f"occurred_at is {ahead} s ahead of the bridge's clock, at most {MAX_AHEAD_S} s")

    def _record(self, tx: Transaction, decided: Decided, clock: int) -> None:
        decision = self.decision
        tx.put_decision(
            RecordedDecision(
                lender=decision.lender,
                decision_id=decision.decision_id,
                imei=decision.imei,
                type=decision.type,
                occurred_at=decision.occurred_at,
                fingerprint=decision.fingerprint,
                effect=decided.effect,
                level=decided.level,
                command_id=decided.command_id,
                received_at=clock,
                wanted=decided.wanted,
                held=_held_text(decided.held),
                told=self.told,
            )
        )
        detail = f"{decision.decision_id} {decision.type} {decided.effect}"
        if decided.held:
            detail += f" held: {', '.join(one.condition for one in decided.held)}"
        tx.audit(AuditEntry(at=clock, lender=decision.lender, imei=decision.imei, event="decision", detail=detail))


def recorded(known: RecordedDecision) -> Decided:
    """Return the answer that a recorded decision was given."""
    return Decided(
        decision_id=known.decision_id,
        imei=known.imei,
        type=known.type,
        effect=known.effect,
        level=Level(known.level),
        wanted=Level(known.wanted),
        held=_held(known.held),
        command_id=known.command_id,
        repeated=True,
    )


def _held_text(held: tuple[Missing, ...]) -> str:
    return json.dumps([(one.condition, one.detail, one.earliest) for one in held]) if held else _NONE


def _held(text: str) -> tuple[Missing, ...]:
    entries = [] if text == _NONE else json.loads(text)
    return tuple(
        Missing(condition=GateCondition(condition), detail=detail, earliest=earliest)
        for condition, detail, earliest in entries
    )
