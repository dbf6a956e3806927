"""Decide: from a lender's fact to a queued state, exactly once."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from broker_bridge.app.ports import AuditEntry, Clock, RecordedDecision, Transaction
from broker_bridge.app.sign import Queue
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType
from broker_bridge.domain.loans import Effect
from broker_bridge.domain.phones import CommandId
from broker_bridge.domain.policy import Policy
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import LenderId

MAX_AHEAD_S = 300
"""How far ahead of the bridge's clock an overdue figure may be dated: what two honest clocks may differ by."""


class FutureDecisionError(Exception):
    """An overdue payment that has not happened yet: dated ahead, it would outrank the payment that cures it."""


class UnknownPhoneError(Exception):
    """No phone of this lender has this IMEI."""


class DecisionConflictError(Exception):
    """This decision_id was used before, for another decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The answer to a decision: the same each time it is sent."""

    decision_id: DecisionId
    imei: Imei
    effect: str
    """What it did to the loan; see `broker_bridge.domain.loans`."""
    level: Level
    """The level that the phone has to have now."""
    command_id: CommandId | None
    """The command that carries it to the phone, or None where nothing had to change."""
    repeated: bool
    """Whether the decision had been taken before."""


@dataclass(frozen=True, slots=True)
class Decide:
    """The job of one decision."""

    decision: Decision
    policy: Policy
    queue: Queue
    clock: Clock
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
            ClockSuspectError: a closing state would have to be signed with a clock that cannot be right.
        """
        known = tx.decision(self.decision.lender, self.decision.decision_id)
        if known is not None:
            return self._repeat(known)
        return self._first_time(tx)

    def _repeat(self, known: RecordedDecision) -> Decided:
        if known.fingerprint != self.decision.fingerprint:
            raise DecisionConflictError(f"decision_id {known.decision_id} was used before, for another decision")
        return Decided(
            decision_id=known.decision_id,
            imei=known.imei,
            effect=known.effect,
            level=Level(known.level),
            command_id=known.command_id,
            repeated=True,
        )

    def _first_time(self, tx: Transaction) -> Decided:
        decision, phone = self.decision, tx.phone(self.decision.imei)
        if phone is None or phone.lender != decision.lender:
            raise UnknownPhoneError(f"no phone with IMEI {decision.imei} is enrolled with you")
        self._refuse_the_future()
        loan, effect = phone.loan.after(decision)
        before, wish = self.policy.wish(phone.loan), self.policy.wish(loan)
        command_id = None
        if wish != before:
            phone = self.queue.next(tx, phone, wish, decision=decision.decision_id, loan=loan)
            command_id = phone.command_id
        elif loan != phone.loan:
            tx.put_phone(replace(phone, loan=loan))
        self._record(tx, effect, wish.level, command_id)
        return Decided(
            decision_id=decision.decision_id,
            imei=decision.imei,
            effect=effect,
            level=wish.level,
            command_id=command_id,
            repeated=False,
        )

    def _refuse_the_future(self) -> None:
        """Refuse an overdue figure that is dated ahead. Payments are taken whatever a clock says: payers never wait."""
        decision, now = self.decision, self.clock.now()
        if decision.type is DecisionType.PAYMENT_OVERDUE and decision.occurred_at > (now + MAX_AHEAD_S) * 1000:
            ahead = decision.occurred_at // 1000 - now
            raise FutureDecisionError(f"occurred_at is {ahead} s ahead of the bridge's clock, at most {MAX_AHEAD_S} s")

    def _record(self, tx: Transaction, effect: Effect, level: Level, command_id: CommandId | None) -> None:
        decision, now = self.decision, self.clock.now()
        tx.put_decision(
            RecordedDecision(
                lender=decision.lender,
                decision_id=decision.decision_id,
                imei=decision.imei,
                type=decision.type,
                occurred_at=decision.occurred_at,
                fingerprint=decision.fingerprint,
                effect=effect,
                level=level,
                command_id=command_id,
                received_at=now,
                told=self.told,
            )
        )
        detail = f"{decision.decision_id} {decision.type} {effect}"
        tx.audit(AuditEntry(at=now, lender=decision.lender, imei=decision.imei, event="decision", detail=detail))
