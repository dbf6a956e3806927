"""Sequences of decisions in the few words of `docs/decisions.md`, and what becomes of a phone that they are told of.

`overdue 95 @2` is a `payment_overdue` of 95 days that occurred on day 2. All of a sequence arrives on day 10.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.judgement import Case, Judgement, judge
from broker_bridge.domain.loans import Effect, Loan, Moment
from broker_bridge.domain.policy import DAY_S, Policy
from lock_protocol.levels import Level, Signals
from tests.unit.broker_bridge.facts import IMEI, LENDER

NO_SIGNALS = Signals(0)
DAY_0 = 1_700_000_000
ARRIVAL = 10
LADDER = ((3, Level.NOTICE), (15, Level.REMINDER), (60, Level.RESTRICTED), (90, Level.LOCKED))
UNGATED = Policy(name="ungated", ladder=LADDER, due_notice_s=3 * DAY_S)
"""The default profile's ladder without its gates, so that a table shows what the decisions themselves do."""


def day(number: int) -> int:
    """Seconds UTC."""
    return DAY_0 + number * DAY_S


_WORDS: dict[str, tuple[DecisionType, dict[str, Any]]] = {
    "due": (DecisionType.PAYMENT_DUE, {}),
    "overdue": (DecisionType.PAYMENT_OVERDUE, {}),
    "paid": (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.CURING}),
    "part": (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.PARTIAL}),
    "bounced": (DecisionType.PAYMENT_RECEIVED, {"payment": Payment.REVERSED}),
    "settled": (DecisionType.LOAN_SETTLED, {}),
    "grace": (DecisionType.GRACE_GRANTED, {}),
    "dispute": (DecisionType.DISPUTE_OPENED, {}),
    "closed": (DecisionType.DISPUTE_CLOSED, {}),
    "lost": (DecisionType.LOST_OR_STOLEN, {}),
    "recovered": (DecisionType.RECOVERED, {}),
    "resend": (DecisionType.RESEND, {}),
}
_TOLD = re.compile(r"(?P<word>[a-z]+)(?: (?P<days>\d+))?(?: to (?P<to>\d+))?(?: at (?P<level>[a-z]+))? @(?P<at>\d+)")


def decision(text: str) -> Decision:
    """Read one decision, like `grace to 20 at notice @3`."""
    parts = _TOLD.fullmatch(text)
    assert parts, f"{text!r} is no decision in the words of docs/decisions.md"
    kind, figures = _WORDS[parts["word"]]
    if parts["days"]:
        figures = figures | {"days_overdue": int(parts["days"])}
    if parts["to"]:
        name = "due_at" if kind is DecisionType.PAYMENT_DUE else "until"
        figures = figures | {name: day(int(parts["to"]))}
    if parts["level"]:
        figures = figures | {"level": Level[parts["level"].upper()]}
    return Decision(
        lender=LENDER,
        decision_id=DecisionId(text.replace(" ", "-")),
        imei=IMEI,
        type=kind,
        occurred_at=day(int(parts["at"])) * 1000,
        **figures,
    )


def decisions(text: str) -> list[Decision]:
    """Read a sequence, separated by commas; `-` for none."""
    return [] if text == "-" else [decision(one) for one in text.split(", ")]


@dataclass
class Told:
    """A phone that a lender reports on, without a bridge around it: loan, episode, and what both come to."""

    policy: Policy = UNGATED
    now: int = day(ARRIVAL)
    loan: Loan = field(default_factory=Loan)
    episode: Episode = field(default_factory=Episode)
    signals: Signals = NO_SIGNALS
    heard_at: int = 0

    @property
    def case(self) -> Case:
        return Case(
            loan=self.loan,
            episode=self.episode,
            signals=self.signals,
            evidence=frozenset({"contract"}),
            time_zone="",
            lender_heard_at=self.heard_at,
        )

    def judge(self) -> Judgement:
        """Judge it now, and go on from there."""
        judgement = judge(self.policy, self.case, self.now)
        self.episode = judgement.episode
        return judgement

    def tell(self, one: Decision) -> Effect:
        """Fold a decision in, as `Decide` does."""
        moment = Moment(
            now=self.now,
            latest=self.now,
            level=min(self.judge().wish.level, self.episode.granted),
            escalated_from=self.episode.escalated_from,
            longest_grace_s=self.policy.longest_grace_s,
            longest_dispute_s=self.policy.longest_dispute_s,
        )
        self.loan, effect = self.loan.after(one, moment)
        self.judge()
        return effect

    def tell_all(self, several: Sequence[Decision]) -> "Told":
        for one in several:
            self.tell(one)
        return self

    @property
    def level(self) -> Level:
        return self.judge().wish.level

    def on_day(self, number: int) -> "Told":
        """The same phone that much later, with nothing told in between."""
        return replace(self, now=day(number))
