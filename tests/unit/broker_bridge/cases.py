"""Policies, decisions and cases of every kind, drawn at random."""

from datetime import time
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.holds import NEVER, Hold, Holds
from broker_bridge.domain.judgement import Case
from broker_bridge.domain.loans import Due, Loan
from broker_bridge.domain.policy import DAY_S, Gates, LeaseRules, Policy, SignalRules
from broker_bridge.domain.quiet import QuietHours
from lock_protocol.levels import Level, Signals
from tests.unit.broker_bridge.facts import IMEI, LENDER
from tests.unit.broker_bridge.told import DAY_0, LADDER

HOUR_S = 3600
closed_levels = st.sampled_from([Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED])
levels = st.sampled_from([Level.UNLOCKED, Level.NOTICE, Level.REMINDER, Level.RESTRICTED, Level.LOCKED])
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
_hours = st.integers(0, 40 * 24).map(lambda hours: hours * HOUR_S)
_clock_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
quiet_hours = (
    st.tuples(_clock_times, _clock_times)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: QuietHours(begins=pair[0], ends=pair[1]))
)
gates = st.builds(
    Gates,
    consent=st.sampled_from([frozenset(), frozenset({"contract"}), frozenset({"contract", "device_lock"})]),
    notice_s=st.none() | _hours,
    cure_s=st.just(0) | _hours,
    final_notice_s=st.none() | _hours,
    quiet=st.none() | quiet_hours,
)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[tuple[int, Level], ...]:
    """Rising ones, each with a notice and a reminder, so that any gates go with them."""
    days = draw(st.lists(st.integers(1, 120), min_size=4, max_size=4, unique=True))
    return tuple(zip(sorted(days), [level for _, level in LADDER], strict=True))


@st.composite
def lease_rules(draw: st.DrawFn) -> LeaseRules:
    days = draw(st.sampled_from([0, 3, 30, 200]))
    return LeaseRules(
        offline_lock_s=days * DAY_S,
        offline_level=draw(closed_levels),
        warn_s=draw(st.integers(0, min(days, 3) - 1)) * DAY_S if days else 0,
        silent_s=draw(st.sampled_from([0, 1, 30, 90])) * DAY_S,
    )


policies = st.builds(
    Policy,
    name=st.just("drawn"),
    ladder=ladders(),
    time_zone=zones,
    max_level=closed_levels,
    gates=gates,
    leases=lease_rules(),
    signals=st.builds(SignalRules, sim_changed=levels, tamper=levels),
    lost_level=closed_levels,
    due_notice_s=st.integers(0, 5).map(lambda days: days * DAY_S),
)

_around = st.integers(-60 * DAY_S, 60 * DAY_S).map(lambda offset: DAY_0 + offset)
moments = _around
_holds = st.none() | st.builds(Hold, since=st.integers(0, 100), until=_around, cap=levels)


@st.composite
def cases(draw: st.DrawFn, *, overdue: bool = False) -> Case:
    """What a bridge may know of a phone, of one in arrears if so asked; times lie around `DAY_0`."""
    some = st.integers(1, 150)
    days = draw(some if overdue else st.just(0) | some)
    heard = draw(st.integers(DAY_0 - 100 * DAY_S, DAY_0))
    loan = Loan(
        days_overdue=days,
        cured_at=draw(st.sampled_from([NEVER, 5, 50])),
        due=draw(st.none() | st.builds(Due, since=st.integers(0, 100), at=_around)),
        holds=Holds(
            grace=draw(_holds),
            dispute=draw(_holds),
            lost_at=draw(st.sampled_from([NEVER, 7])),
            recovered_at=draw(st.sampled_from([NEVER, 8])),
        ),
    )
    return Case(
        loan=loan,
        episode=draw(episodes()) if days else Episode(),
        signals=draw(st.sampled_from([Signals(0), Signals.SIM, Signals.DEBUG, Signals.SIM | Signals.EDL])),
        evidence=draw(st.sampled_from([frozenset({"contract"}), frozenset({"contract", "device_lock"})])),
        time_zone=draw(st.just("") | zones),
        lender_heard_at=heard,
    )


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """One that can have come about: it began, then a notice reached the phone, then a reminder."""
    since, noticed, reminded = sorted(draw(st.lists(_around, min_size=3, max_size=3)))
    noticed = draw(st.sampled_from([0, noticed]))
    granted = draw(levels)
    return Episode(
        arrears_since=since,
        notice_at=noticed,
        reminder_at=draw(st.sampled_from([0, reminded])) if noticed else 0,
        granted=granted,
        escalated_from=draw(levels.filter(lambda level: level <= granted)),
    )


# --- decisions -----------------------------------------------------------------------------------------------------

_TYPED: dict[DecisionType, st.SearchStrategy[dict[str, Any]]] = {
    DecisionType.PAYMENT_DUE: st.fixed_dictionaries({"due_at": _around}),
    DecisionType.PAYMENT_OVERDUE: st.fixed_dictionaries({"days_overdue": st.integers(1, 150)}),
    DecisionType.LOAN_SETTLED: st.just({}),
    DecisionType.GRACE_GRANTED: st.fixed_dictionaries({"until": _around}, optional={"level": levels}),
    DecisionType.DISPUTE_OPENED: st.fixed_dictionaries({}, optional={"until": _around}),
    DecisionType.DISPUTE_CLOSED: st.just({}),
    DecisionType.LOST_OR_STOLEN: st.just({}),
    DecisionType.RECOVERED: st.just({}),
    DecisionType.RESEND: st.just({}),
    DecisionType.PAYMENT_RECEIVED: st.sampled_from(
        [{"payment": Payment.CURING}, {"payment": Payment.PARTIAL}, {"payment": Payment.REVERSED, "days_overdue": 40}]
    ),
}


def made(kind: DecisionType, at: int, **figures: Any) -> Decision:
    """A decision; `at` in milliseconds UTC."""
    name = DecisionId(f"{kind}-{at}")
    return Decision(lender=LENDER, decision_id=name, imei=IMEI, type=kind, occurred_at=at, **figures)


@st.composite
def histories(draw: st.DrawFn, *, without: frozenset[DecisionType] = frozenset()) -> list[Decision]:
    """Decisions of all types, each of its own moment, in the order of their moments."""
    kinds = st.sampled_from([kind for kind in DecisionType if kind not in without])
    times = sorted(draw(st.lists(st.integers(0, 10**12), min_size=1, max_size=9, unique=True)))
    told = []
    for at in times:
        kind = draw(kinds)
        told.append(made(kind, at, **draw(_TYPED[kind])))
    assert all(one.occurred_at < other.occurred_at for one, other in pairwise(told))
    return told
