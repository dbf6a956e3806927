"""What holds for every judgement: nothing comes early, nothing is missed, and what was sent is not sent again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from broker_bridge.domain.authority import within
from broker_bridge.domain.decisions import Decision, DecisionType, Payment
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.gates import missing
from broker_bridge.domain.holds import Hold
from broker_bridge.domain.judgement import Case, Judgement, judge, lease_look, needs_new_state
from broker_bridge.domain.policy import DAY_S, Gates, LeaseRules, Policy, Wish
from lock_protocol.levels import Level
from lock_protocol.messages import Delegation, DesiredState
from lock_protocol.trust import verify_delegation
from tests.loopback.lender import Lender
from tests.unit.broker_bridge.cases import cases, closed_levels, gates, histories, made, moments, policies
from tests.unit.broker_bridge.facts import IMEI
from tests.unit.broker_bridge.told import DAY_0, UNGATED, Told, day

MODEST = settings(max_examples=60, deadline=None)
USUAL = verify_delegation(Lender().authority.root, Lender().delegation)
GATED = replace(UNGATED, gates=Gates(notice_s=3 * DAY_S), leases=LeaseRules(silent_s=60 * DAY_S))


def outcome(judgement: Judgement) -> tuple[object, ...]:
    """What must not change before it is looked at again. When to renew a lease is for `lease_look` to say."""
    wish = judgement.wish
    lease = None if wish.lease is None else (wish.lease.then, wish.lease.warn_s, wish.lease.term_s)
    return replace(wish, lease=None), lease, judgement.wanted


def later(case: Case, judgement: Judgement) -> Case:
    return replace(case, episode=judgement.episode)


def of_a_lender_that_is_there(policy: Policy, case: Case, now: int) -> Case:
    """The case, heard of just now where its lender would be silent."""
    silent = policy.leases.silent_s and now >= case.lender_heard_at + policy.leases.silent_s
    return replace(case, lender_heard_at=now) if silent else case


def looked_at(policy: Policy, case: Case, now: int, end: int, extra: Sequence[int]) -> Case:
    """What a case has become by `end`, judged whenever it is due, and at these moments as well."""
    for _ in range(1000):
        judgement = judge(policy, case, now)
        case = later(case, judgement)
        upcoming = [at for at in (judgement.look_at, *extra) if now < at <= end]
        if not upcoming:
            return case
        now = min(upcoming)
    raise AssertionError("there is no end to looking")


# --- nothing is missed ---------------------------------------------------------------------------------------------


@MODEST
@given(policy=policies, case=cases(), now=moments, data=st.data())
def test_a_judgement_stands_until_it_is_looked_at_again(
    policy: Policy, case: Case, now: int, data: st.DataObject
) -> None:
    first = judge(policy, case, now)
    case = later(case, first)
    end = first.look_at - 1 if first.look_at else now + 400 * DAY_S
    for at in (end, *data.draw(st.lists(st.integers(now, end), max_size=5))):
        assert outcome(judge(policy, case, at)) == outcome(first)


@MODEST
@given(policy=policies, case=cases(), now=moments, minutes=st.lists(st.integers(1, 120 * 24 * 60), max_size=20))
def test_looking_only_when_told_to_comes_to_the_same_as_looking_all_the_time(
    policy: Policy, case: Case, now: int, minutes: list[int]
) -> None:
    extra = sorted(now + minute * 60 for minute in minutes)
    end = extra[-1] if extra else now
    seldom = looked_at(policy, case, now, end, ())
    assert (
        outcome(judge(policy, seldom, end))[0]
        == outcome(judge(policy, looked_at(policy, case, now, end, extra), end))[0]
    )


@MODEST
@given(policy=policies, case=cases(), now=moments)
def test_there_is_no_end_to_looking_only_where_there_are_nights(policy: Policy, case: Case, now: int) -> None:
    looks, at = 0, now
    while at and looks < 12:
        judgement = judge(policy, case, at)
        case, at, looks = later(case, judgement), judgement.look_at, looks + 1
    # Consent or a notice may be missing for ever, and each night is an instant of its own.
    assert not at or policy.gates.quiet is not None


def test_the_end_of_a_hold_that_is_in_nobodys_way_is_looked_at_as_its_lease_comes_back() -> None:
    policy = replace(UNGATED, leases=LeaseRules(offline_lock_s=3 * DAY_S))
    phone = Told(policy=policy)
    phone.loan = replace(
        phone.loan, holds=replace(phone.loan.holds, grace=Hold(since=1, until=day(12), cap=Level.LOCKED))
    )
    assert phone.judge().wish.lease is None
    assert phone.judge().look_at == day(12)
    assert phone.on_day(12).judge().wish.lease is not None


# --- nothing comes early -------------------------------------------------------------------------------------------


@MODEST
@given(policy=policies, case=cases(), now=moments)
def test_gates_let_nothing_through_that_is_still_missing(policy: Policy, case: Case, now: int) -> None:
    judgement = judge(policy, case, now)
    let_up = judgement.episode.granted
    if let_up <= case.episode.granted or let_up < Level.RESTRICTED:
        return
    rules, episode = policy.gates, judgement.episode
    assert rules.consent <= case.evidence
    if rules.notice_s is not None:
        assert 0 < episode.notice_at <= now - rules.notice_s
    begins = episode.arrears_since if rules.notice_s is None else episode.notice_at
    assert not rules.cure_s or now >= begins + rules.cure_s
    if rules.final_notice_s is not None:
        assert 0 < episode.reminder_at <= now - rules.final_notice_s
    zone = ZoneInfo(case.time_zone or policy.time_zone)
    assert rules.quiet is None or not rules.quiet.until(now, zone)
    assert all(hold.cap >= let_up for hold in case.loan.holds.active(now))
    assert not missing(rules, episode, case.evidence, zone, now)


@MODEST
@given(policy=policies, case=cases(), now=moments)
def test_what_a_phone_is_asked_to_be_is_never_above_what_is_wanted_and_allowed(
    policy: Policy, case: Case, now: int
) -> None:
    judgement = judge(policy, case, now)
    other = max(policy.signals.sim_changed, policy.signals.tamper, policy.lost_level, Level.NOTICE)
    lost_or_signalled = case.loan.holds.is_lost or bool(case.signals)
    assert judgement.wish.level <= max(judgement.wanted, other if lost_or_signalled else Level.NOTICE)
    assert judgement.wish.level <= max(policy.max_level, Level.NOTICE)


@MODEST
@given(policy=policies, case=cases(), now=moments)
def test_what_is_held_back_says_why_and_what_is_not_does_not(policy: Policy, case: Case, now: int) -> None:
    judgement = judge(policy, case, now)
    arrears_hold_back = judgement.wanted > judgement.episode.granted
    assert bool(judgement.missing) >= arrears_hold_back
    assert all(one.earliest is None or one.earliest > now for one in judgement.missing)


@MODEST
@given(policy=policies, case=cases(overdue=True), now=moments, more=st.integers(1, 100))
def test_more_days_never_mean_a_lower_level(policy: Policy, case: Case, now: int, more: int) -> None:
    # Of a silent lender, a level that it may keep up is higher than one that it may not.
    case = of_a_lender_that_is_there(policy, case, now)
    worse = replace(case, loan=replace(case.loan, days_overdue=case.loan.days_overdue + more))
    assert judge(policy, worse, now).wish.level >= judge(policy, case, now).wish.level


@MODEST
@given(policy=policies, case=cases(), now=moments, cap=closed_levels, days=st.integers(1, 30))
def test_a_hold_never_raises_a_level(policy: Policy, case: Case, now: int, cap: Level, days: int) -> None:
    hold = Hold(since=1000, until=now + days * DAY_S, cap=cap)
    case = of_a_lender_that_is_there(policy, case, now)
    free = replace(case, loan=replace(case.loan, holds=replace(case.loan.holds, grace=None, dispute=None)))
    for holds in (replace(free.loan.holds, grace=hold), replace(free.loan.holds, dispute=hold)):
        held = replace(free, loan=replace(free.loan, holds=holds))
        before, during = judge(policy, free, now), judge(policy, held, now)
        assert during.wish.level <= before.wish.level
        assert during.wish.lease is None or not during.wish.level.is_open
        after = judge(policy, later(held, during), hold.until)
        assert not after.missing or {one.condition for one in after.missing}.isdisjoint(("grace", "dispute"))


# --- what was sent is not sent again -------------------------------------------------------------------------------


@st.composite
def delegations(draw: st.DrawFn) -> Delegation:
    return replace(
        USUAL,
        issued_at=DAY_0 - 200 * DAY_S,
        expires_at=DAY_0 + draw(st.integers(-90, 90)) * DAY_S,
        max_level=draw(closed_levels),
        max_lease_s=draw(st.sampled_from([0, 1, 3600, DAY_S, 7 * DAY_S, 90 * DAY_S, 400 * DAY_S])),
    )


def state_of(wish: Wish, at: int) -> DesiredState:
    """A state as `Queue` makes it of a wish."""
    lease = wish.lease
    return replace(
        Lender().state(IMEI, wish.level),
        reason=wish.reason,
        issued_at=at,
        lease_until=0 if lease is None else lease.until,
        lease_then=wish.level if lease is None else lease.then,
        warn_s=0 if lease is None else lease.warn_s,
        remind_s=wish.remind_s,
        notice=wish.notice,
    )


@MODEST
@given(policy=policies, case=cases(), now=moments, delegation=delegations())
def test_what_has_just_been_sent_need_not_be_sent_again(
    policy: Policy, case: Case, now: int, delegation: Delegation
) -> None:
    judgement = judge(policy, case, now)
    wish = within(judgement.wish, delegation, now)
    assert within(wish, delegation, now) == wish
    state = state_of(wish, now)
    assert not needs_new_state(state, wish, now)
    again = judge(policy, later(case, judgement), now)
    assert not needs_new_state(state, within(again.wish, delegation, now), now)


@MODEST
@given(policy=policies, case=cases(), now=moments, delegation=delegations(), data=st.data())
def test_nothing_is_sent_before_it_is_looked_at_again(
    policy: Policy, case: Case, now: int, delegation: Delegation, data: st.DataObject
) -> None:
    judgement = judge(policy, case, now)
    wish = within(judgement.wish, delegation, now)
    state, case = state_of(wish, now), later(case, judgement)
    looks = [look for look in (judgement.look_at, lease_look(Wish.of(state).lease, wish, now)) if look]
    assert all(look > now for look in looks)
    end = min(looks, default=now + 400 * DAY_S) - 1
    if now <= delegation.expires_at < end:
        end = delegation.expires_at  # another wish, but of the delegation's, which a person looks after
    for at in (end, *data.draw(st.lists(st.integers(now, end), max_size=3))):
        assert not needs_new_state(state, within(judge(policy, case, at).wish, delegation, at), at)


@MODEST
@given(policy=policies, case=cases(), now=moments, delegation=delegations())
def test_a_lease_is_renewed_before_it_ends_as_long_as_it_is_to_be_there(
    policy: Policy, case: Case, now: int, delegation: Delegation
) -> None:
    wish = within(judge(policy, case, now).wish, delegation, now)
    state = state_of(wish, now)
    if wish.lease is None or not wish.level.is_open:
        return
    look = lease_look(Wish.of(state).lease, wish, now)
    assert now < look <= state.lease_until - wish.lease.term_s // 2
    renewed = within(judge(policy, case, look).wish, delegation, look)
    if renewed.lease is not None:
        assert renewed.lease.until > state.lease_until or renewed.level != wish.level
    assert needs_new_state(state, renewed, look)


# --- what the phone has shown --------------------------------------------------------------------------------------


@MODEST
@given(history=histories(), data=st.data())
def test_a_gated_phone_that_never_says_it_has_shown_a_notice_is_never_restricted_for_arrears(
    history: list[Decision], data: st.DataObject
) -> None:
    phone = Told(policy=replace(GATED, lost_level=Level.NOTICE), heard_at=day(0))
    for one in data.draw(st.permutations(history)):
        phone.tell(one)
        assert phone.level < Level.RESTRICTED or phone.level is Level.RELEASED


@MODEST
@given(since=st.integers(1, 10**9), told=st.lists(st.tuples(closed_levels, st.integers(0, 10**9)), max_size=8))
def test_what_has_reached_the_phone_is_dated_by_the_first_word_of_it(since: int, told: list[tuple[Level, int]]) -> None:
    episode = Episode(arrears_since=since)
    for level, at in sorted(told, key=lambda one: one[1]):
        episode = episode.reached(level, at + 1)
    noticed = [at + 1 for _, at in told]
    reminded = [at + 1 for level, at in told if level >= Level.REMINDER]
    assert episode.notice_at == min(noticed, default=0)
    assert episode.reminder_at == min(reminded, default=0)


_happenings = st.one_of(
    st.tuples(st.just("overdue"), st.integers(1, 150)),
    st.tuples(st.just("paid"), st.just(0)),
    st.tuples(st.just("report"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 30 * DAY_S)),
)


@dataclass
class Watch:
    """What a borrower could hold against a lender: when the phone showed what, by a watch of its own."""

    noticed: int | None = None
    reminded: int | None = None

    def see(self, level: Level, now: int) -> None:
        if level >= Level.NOTICE and self.noticed is None:
            self.noticed = now
        if level >= Level.REMINDER and self.reminded is None:
            self.reminded = now

    def require(self, rules: Gates, now: int) -> None:
        """Fail unless a restriction may be there now."""
        if rules.notice_s is not None:
            assert self.noticed is not None
            assert now - self.noticed >= rules.notice_s
            assert now - self.noticed >= rules.cure_s
        if rules.final_notice_s is not None:
            assert self.reminded is not None
            assert now - self.reminded >= rules.final_notice_s


@MODEST
@given(rules=gates, happenings=st.lists(_happenings, max_size=25))
def test_whatever_is_reported_and_however_time_passes_no_phone_is_restricted_early(
    rules: Gates, happenings: list[tuple[str, int]]
) -> None:
    rules = replace(rules, consent=frozenset())
    phone, watch = Told(policy=replace(UNGATED, gates=rules), heard_at=day(0)), Watch()
    for number, (what, figure) in enumerate(happenings):
        before, at = phone.level, phone.now * 1000 + number
        match what:
            case "overdue":
                phone.tell(made(DecisionType.PAYMENT_OVERDUE, at, days_overdue=figure))
            case "paid":
                phone.tell(made(DecisionType.PAYMENT_RECEIVED, at, payment=Payment.CURING))
                watch = Watch()
            case "report" if phone.loan.days_overdue:
                phone.episode = phone.episode.reached(phone.level, phone.now)
                watch.see(phone.level, phone.now)
            case "wait":
                phone.now += figure
        if phone.level >= Level.RESTRICTED:
            watch.require(rules, phone.now)
            rises = before < Level.RESTRICTED
            assert not (rises and rules.quiet and rules.quiet.until(phone.now, ZoneInfo("UTC")))
