"""Reconsider: judge a phone by what is known now, and queue another state if it should be another.

Every change comes this way, whether a decision, a phone's word, a policy or the mere passing of time has caused it.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from broker_bridge.app.policies import Policies
from broker_bridge.app.ports.store import Transaction
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.records import LenderRecord
from broker_bridge.app.sign import ClockSuspectError, Queue
from broker_bridge.domain.authority import NotDelegatedError, within
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.judgement import NOT_AGAIN, Case, Judgement, judge, lease_look, needs_new_state
from broker_bridge.domain.lanes import Lane, lane_of
from broker_bridge.domain.loans import Loan
from broker_bridge.domain.phones import Phone, changed_phone
from broker_bridge.domain.policy import Policy, Wish
from lock_protocol.levels import Signals
from lock_protocol.messages import LenderId

HEARD_EVERY_S = 3600
"""How exactly the bridge remembers when it last heard of a lender."""
POSTPONE_S = 60
"""After how long a phone that cannot be judged now (a suspect clock, an expired delegation) is looked at again."""


@dataclass(frozen=True, slots=True)
class Reconsider:
    """Judges phones, each in the transaction of the job that has changed something about it."""

    policies: Policies
    queue: Queue
    clock: Clock

    def phone(
        self,
        tx: Transaction,
        phone: Phone,
        now: int,
        *,
        decision: DecisionId | None = None,
        resend: bool = False,
        patient: bool = False,
    ) -> tuple[Phone, Judgement]:
        """Judge a phone, store it with what follows, and return both.

        Args:
            tx: the job's transaction; the phone's row is locked in it.
            phone: as it is to be judged, with what is new about it.
            now: the time to judge by (`now`), seconds UTC.
            decision: what caused it, if a decision did. What follows by itself later, when nothing holds it back any
                more, follows from the decision that was held.
            resend: whether it is to be sent another version even when it should be what it is.
            patient: whether a state that must not be signed now may follow later, as soon as it can be.

        Raises:
            ClockSuspectError, NotDelegatedError: what should follow must not be signed now.
        """
        record, cause = tx.lender(phone.lender), decision or phone.held_decision
        judgement = judge(self.policies.of(record), case_of(phone, record), now)
        # A decision that asks for nothing higher does not become the cause of what was held before it.
        asks = decision is not None and (judgement.wanted > phone.wanted or phone.held_decision is None)
        holding = decision if asks else phone.held_decision
        held_decision = holding if judgement.missing else None
        wish = within(judgement.wish, self.queue.signer.delegation(phone.lender), now)
        waits = self._lease_waits(tx, phone, wish)
        if waits:
            wish = replace(wish, lease=None)
        # The state is read only where its level is the wished one: a change of level is what most judgements end in.
        renews = resend or phone.desired.level is not wish.level or needs_new_state(phone.desired.state, wish, now)
        lease = wish.lease if renews else Wish.of(phone.desired.state).lease
        looks = (judgement.look_at, now + POSTPONE_S if waits else lease_look(lease, wish, now))
        judged = changed_phone(
            phone,
            episode=judgement.episode,
            wanted=judgement.wanted,
            held_decision=held_decision,
            look_at=min((look for look in looks if look), default=NOT_AGAIN),
        )
        if not renews:
            tx.put_phone(judged)
            return judged, judgement
        try:
            return self.queue.next(tx, judged, wish, decision=cause), judgement
        except (ClockSuspectError, NotDelegatedError):
            if not patient:
                raise
            return self._postponed(tx, changed_phone(phone, held_decision=cause), judgement, now), judgement

    def _lease_waits(self, tx: Transaction, phone: Phone, wish: Wish) -> bool:
        """Return whether an open phone's lease waits until the clock can be right.

        Where the time that is believed is behind the phone's, the lease that it is given now may be over for the phone:
        it would go on being locked although it has been paid for. A lease that a phone has is left alone.
        """
        if wish.lease is None or not wish.level.is_open or not self.queue.signing_clock.is_suspect(tx):
            return False
        opens = lane_of(wish.level, phone.may_be_at) is Lane.OPENING
        return opens or Wish.of(phone.desired.state).lease is None

    def _postponed(self, tx: Transaction, phone: Phone, judgement: Judgement, now: int) -> Phone:
        """Store what is known of a phone and look at it again later; what could not be signed was not granted."""
        rises = judgement.episode.granted > phone.episode.granted
        episode = phone.episode if rises else judgement.episode
        postponed = changed_phone(phone, episode=episode, wanted=judgement.wanted, look_at=now + POSTPONE_S)
        tx.put_phone(postponed)
        return postponed

    def now(self, tx: Transaction) -> int:
        """Return the time to judge by: the clock's, unless it cannot be right."""
        return self.queue.signing_clock.time_to_tell(tx)

    def judgement(self, phone: Phone, record: LenderRecord) -> Judgement:
        """Return what a phone should be now, changing nothing."""
        return judge(self.policies.of(record), case_of(phone, record), self.clock.now())

    def new_phone(self, tx: Transaction, lender: LenderId, evidence: AbstractSet[str]) -> Wish:
        """Return what a phone should be that is just being enrolled, with this evidence on file."""
        now, record = self.now(tx), tx.lender(lender)
        case = Case(
            loan=Loan(),
            episode=Episode(),
            signals=Signals(0),
            evidence=evidence,
            time_zone="",
            lender_heard_at=record.heard_at,
        )
        wish = judge(self.policies.of(record), case, now).wish
        return within(wish, self.queue.signer.delegation(lender), now)

    def policy(self, tx: Transaction, phone: Phone) -> Policy:
        """Return the policy that a phone is judged by."""
        return self.policies.of(tx.lender(phone.lender))

    def note_heard(self, tx: Transaction, phone: Phone, now: int) -> None:
        """Remember that a phone's lender is there at `now`, seconds UTC.

        When it had been silent, all its phones are judged again; and from half that time on, when leases were to be
        renewed and could not: otherwise a phone opens although its lender has come back in time.
        """
        record = tx.lender(phone.lender)
        if now - record.heard_at < HEARD_EVERY_S:
            return
        tx.put_heard(phone.lender, now)
        silent_s = self.policies.of(record).leases.silent_s
        if silent_s and now - record.heard_at >= silent_s // 2:
            tx.judge_all_again(phone.lender, now)


def case_of(phone: Phone, record: LenderRecord) -> Case:
    """Return what a phone is judged by."""
    return Case(
        loan=phone.loan,
        episode=phone.episode,
        signals=phone.signals,
        evidence=phone.evidence_kinds,
        time_zone=phone.time_zone,
        lender_heard_at=record.heard_at,
    )
