"""Judgement: what a phone should be now, what it waits for, and when to look again. The one place that decides it.

Three things can ask for a level, and the highest of them is the phone's: arrears, by the ladder, its holds and its
gates; what the phone has noticed about itself; and a loss or theft. A settled loan is released, whatever else is known.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from lock_protocol.compiling import quick
from lock_protocol.levels import Level, Reason, Signals
from lock_protocol.messages import DesiredState

from broker_bridge.domain.episode import Episode
from broker_bridge.domain.gates import GateCondition, Missing, missing
from broker_bridge.domain.loans import Due, Loan
from broker_bridge.domain.notices import closing_notice, due_notice, settled_notice
from broker_bridge.domain.policy import DAY_S, Lease, Policy, Wish

NOT_AGAIN = 0
"""Nothing changes by the mere passing of time."""

_LOST, _SILENCE = Reason.LOST_OR_STOLEN, Reason.LEASE_EXPIRED
_TAMPER = Signals.BOOTLOADER | Signals.DEBUG | Signals.INTEGRITY | Signals.EDL


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a judgement rests on."""

    loan: Loan
    episode: Episode
    signals: Signals
    evidence: AbstractSet[str]
    """Kinds of evidence of the borrower's consent that are on file."""
    time_zone: str
    """The borrower's, an IANA name; empty for not known."""
    lender_heard_at: int
    """When the lender last reported anything, seconds UTC."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What follows from a case at one moment."""

    wish: Wish
    episode: Episode
    wanted: Level
    """The level that the arrears ask for, whether or not it is permitted yet."""
    missing: tuple[Missing, ...]
    """What the wanted level waits for; empty when nothing is held back."""
    look_at: int
    """When the judgement can change by the mere passing of time, seconds UTC; `NOT_AGAIN` for never."""


@quick
@dataclass(frozen=True, slots=True)
class _Demand:
    """One of the things that ask for a level."""

    level: Level
    reason: Reason


@quick
@dataclass(frozen=True, slots=True)
class _Arrears:
    """What the arrears ask for."""

    demand: _Demand
    episode: Episode
    wanted: Level
    missing: tuple[Missing, ...]


def judge(policy: Policy, case: Case, now: int) -> Judgement:
    """Return what a phone should be at `now` (seconds UTC) under a policy."""
    loan = case.loan
    if loan.settled:
        wish = Wish(level=Level.RELEASED, reason=Reason.SETTLED, notice=settled_notice(policy))
        return Judgement(wish=wish, episode=Episode(), wanted=Level.RELEASED, missing=(), look_at=NOT_AGAIN)
    arrears = _arrears(policy, case, now)
    demand = max((arrears.demand, _signalled(policy, case), _lost(policy, case)), key=lambda one: one.level)
    silent_until = _silence_ends(policy, case)
    if silent_until and now >= silent_until and demand.level > Level.NOTICE and demand.reason is not _LOST:
        demand = _Demand(Level.UNLOCKED, _SILENCE)
    wish = _wish(policy, case, demand, now)
    opens_alone = silent_until if demand.level > Level.NOTICE else None
    instants = [
        *(one.earliest for one in arrears.missing),
        *(hold.until for hold in loan.holds.active(now)),
        *_due_instants(policy, loan),
        opens_alone,
    ]
    later = [instant for instant in instants if instant is not None and instant > now]
    return Judgement(
        wish=wish,
        episode=arrears.episode,
        wanted=arrears.wanted,
        missing=arrears.missing,
        look_at=min(later, default=NOT_AGAIN),
    )


# --- arrears -------------------------------------------------------------------------------------------------------


def _arrears(policy: Policy, case: Case, now: int) -> _Arrears:
    """Return what the arrears ask for: the ladder's level, as far as gates have let it up and no hold caps it."""
    loan = case.loan
    wanted = policy.rung(loan.days_overdue)
    if not loan.days_overdue:
        reason = Reason.PAID if loan.cured_at >= 0 else Reason.ENROLLED
        return _Arrears(_Demand(Level.UNLOCKED, reason), Episode(), wanted, ())
    episode = case.episode.begun(now)
    caps = _caps(case, wanted, now)
    cap = min((cap for cap, _, _ in caps), default=Level.LOCKED)
    granted, lacking = _granted(policy, case, episode, min(wanted, cap), now)
    # A hold lowers what is shown and nothing that was granted: when it ends, the level before it is back at once.
    kept = max(granted, min(episode.granted, wanted))
    reason = Reason.OVERDUE
    if granted < kept:
        reason = next(why for level, why, _ in caps if level == cap)
    held = tuple(one for _, _, one in caps) if max(wanted, kept) > granted else ()
    return _Arrears(_Demand(granted, reason), episode.moved_to(kept), wanted, (*held, *lacking))


def _granted(
    policy: Policy, case: Case, episode: Episode, target: Level, now: int
) -> tuple[Level, tuple[Missing, ...]]:
    """Return the level up to `target` that the gates let through, and what is missing for the rest.

    What was let through in this episode needs no gate again: gates are for what gets worse.
    """
    if target < Level.RESTRICTED or target <= episode.granted:
        return target, ()
    zone = _zone(case.time_zone or policy.time_zone)
    lacking = missing(policy.gates, episode, case.evidence, zone, now)
    if not lacking:
        return target, ()
    announced = policy.announcing_rung(case.loan.days_overdue)
    return min(target, max(announced, episode.granted)), lacking


def _caps(case: Case, wanted: Level, now: int) -> list[tuple[Level, Reason, Missing]]:
    """Return the active holds that are in the way of the wanted level: cap, reason, and what to say of it."""
    holds = case.loan.holds
    asked = max(wanted, case.episode.granted)
    kinds = (
        (holds.grace, Reason.GRACE, GateCondition.GRACE, "a grace period has been granted"),
        (holds.dispute, Reason.DISPUTE, GateCondition.DISPUTE, "the debt is in dispute"),
    )
    return [
        (hold.cap, reason, Missing(condition=condition, detail=detail, earliest=hold.until))
        for hold, reason, condition, detail in kinds
        if hold is not None and hold.is_active(now) and hold.cap < asked
    ]


# --- everything else that asks for a level -------------------------------------------------------------------------


def _signalled(policy: Policy, case: Case) -> _Demand:
    rules, demand = policy.signals, _Demand(Level.UNLOCKED, Reason.SIM_CHANGED)
    if not case.signals:
        return demand  # as of most phones: asking an enumeration for each costs more than all else here
    if case.signals & Signals.SIM:
        demand = _Demand(min(rules.sim_changed, policy.max_level), Reason.SIM_CHANGED)
    if case.signals & _TAMPER and rules.tamper > demand.level:
        demand = _Demand(min(rules.tamper, policy.max_level), Reason.TAMPER)
    return demand


def _lost(policy: Policy, case: Case) -> _Demand:
    level = min(policy.lost_level, policy.max_level) if case.loan.holds.is_lost else Level.UNLOCKED
    return _Demand(level, _LOST)


def _due_instants(policy: Policy, loan: Loan) -> list[int | None]:
    """Return when the notice of a coming payment begins and ends."""
    due = loan.due
    if due is None or not policy.due_notice_s:
        return []
    return [due.at - policy.due_notice_s, due.at + DAY_S]


def _announced(policy: Policy, loan: Loan, now: int) -> Due | None:
    """Return the coming payment that is to be shown: from some time before it, until a day after it or a payment."""
    due = loan.due
    if due is None or not policy.due_notice_s or due.since <= loan.cured_at:
        return None
    return due if due.at - policy.due_notice_s <= now < due.at + DAY_S else None


# --- the wish ------------------------------------------------------------------------------------------------------


def _wish(policy: Policy, case: Case, demand: _Demand, now: int) -> Wish:
    level, loan = demand.level, case.loan
    lease = _lease(policy, case, demand, now)
    if level is Level.UNLOCKED:
        due = _announced(policy, loan, now)
        if due is None:
            return Wish(level=level, reason=demand.reason, lease=lease)
        return Wish(level=Level.NOTICE, reason=demand.reason, notice=due_notice(policy, due), lease=lease)
    return Wish(
        level=level,
        reason=demand.reason,
        remind_s=policy.remind_s if level is Level.REMINDER else 0,
        notice=closing_notice(policy, loan, demand.reason),
        lease=lease,
    )


def _lease(policy: Policy, case: Case, demand: _Demand, now: int) -> Lease | None:
    rules = policy.leases
    if demand.level.is_open:
        held = case.loan.holds.active(now)
        then = min(rules.offline_level, policy.max_level)
        # A hold freezes escalation, and a phone that locks by itself would be one.
        if not rules.offline_lock_s or held or policy.gates.consent - case.evidence or demand.reason is _SILENCE:
            return None
        term_s = rules.offline_lock_s
        return Lease(until=now + term_s, then=then, warn_s=rules.warn_s, term_s=term_s)
    silent_until = _silence_ends(policy, case)
    if not silent_until or demand.reason is _LOST:
        return None
    return Lease(until=silent_until, then=Level.UNLOCKED, term_s=policy.leases.silent_s)


def _silence_ends(policy: Policy, case: Case) -> int:
    """Return when a closed phone opens because its lender has fallen silent, seconds UTC; 0 for never."""
    silent_s = policy.leases.silent_s
    # Never heard of since that is remembered: not the same as silent for so long.
    return case.lender_heard_at + silent_s if silent_s and case.lender_heard_at else 0


def needs_new_state(state: DesiredState, wish: Wish, now: int) -> bool:
    """Return whether a phone with this state has to be sent another one to be as wished."""
    shown = (state.level, state.reason, state.remind_s, state.notice)
    wished = (wish.level, wish.reason, wish.remind_s, wish.notice)
    return shown != wished or _lease_is_due(Wish.of(state).lease, wish.lease, now)


def lease_look(lease: Lease | None, wish: Wish, now: int) -> int:
    """Return when to look at a state's lease again, seconds UTC: at half its time, then at its end; or `NOT_AGAIN`."""
    if wish.lease is None or lease is None:
        return NOT_AGAIN
    instants = (lease.until - wish.lease.term_s // 2, lease.until)
    return next((instant for instant in instants if instant > now), NOT_AGAIN)


def _lease_is_due(before: Lease | None, after: Lease | None, now: int) -> bool:
    """Return whether a state needs another lease: another kind, a shorter one, or a longer one at half its time."""
    if before is None or after is None:
        return before is not after
    if (before.then, before.warn_s) != (after.then, after.warn_s) or after.until < before.until:
        return True
    return after.until > before.until and now >= before.until - after.term_s // 2


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
