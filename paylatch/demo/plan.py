"""What will be done each month, decided before the first: the lender's facts, and what goes wrong on the way.

The facts come from the histories alone. The seed only chooses who is reset or cut off, and when the broker dies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from lock_protocol.imei import Imei
from paylatch.facts import Fact, facts_of
from paylatch.histories import Account

_LEAST_RESETS = 5
_RESET_ONE_IN = 10
_CUT_SHARE = 0.15
_SHARE_DURING_OUTAGE = 0.2


class Outage(StrEnum):
    """With what the broker comes back after it was killed."""

    OLD = "old"
    """With the retained states of an earlier moment, all of which it had acknowledged."""
    NONE = "none"
    """With no retained state at all."""

    @property
    def told(self) -> str:
        """What it comes back with, in words."""
        return "old retained states" if self is Outage.OLD else "no retained state"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthPlan:
    """One month: each fact is in exactly one of the lists."""

    name: str
    """As `YYYY-MM`."""
    overdues: Sequence[Fact]
    partials: Sequence[Fact]
    """Payments that leave something overdue; the new figure is among `overdues`."""
    cures: Sequence[Fact]
    """Payments after which nothing is overdue, to phones that are online."""
    cures_while_cut: Sequence[Fact]
    """The same, to phones that are offline when the payment is reported."""
    cures_during_outage: Sequence[Fact]
    """The same, while the broker is dead."""
    settlements: Sequence[Fact]
    outages: Sequence[Outage]
    """One after the other; the first comes while decisions are under way."""

    @property
    def decisions(self) -> int:
        """How many facts there are."""
        lists = (self.overdues, self.partials, self.cures, self.cures_while_cut, self.cures_during_outage)
        return sum(map(len, lists)) + len(self.settlements)


def plan_months(accounts: Sequence[Account], months: int, dice: Random) -> list[MonthPlan]:
    """Return the plan of each month.

    Raises:
        ValueError: the histories have fewer months.
    """
    facts = _facts(accounts, months)
    cured = [sum(_cures(fact) for fact in month) for month in facts]
    outages = _outages(cured, dice)
    names = [month.name for month in accounts[0].months[:months]]
    return [
        _plan(name, month, outages[index], dice) for index, (name, month) in enumerate(zip(names, facts, strict=True))
    ]


def choose_resets(locked: Sequence[Imei], dice: Random) -> list[Imei]:
    """Return which of a month's locked phones are factory-reset."""
    return dice.sample(locked, min(len(locked), max(_LEAST_RESETS, len(locked) // _RESET_ONE_IN)))


def _facts(accounts: Sequence[Account], months: int) -> list[list[Fact]]:
    facts: list[list[Fact]] = [[] for _ in range(months)]
    for fact in facts_of(accounts, months):
        facts[fact.decision.month_index].append(fact)
    return facts


def _outages(cured: Sequence[int], dice: Random) -> list[list[Outage]]:
    """Return each month's outages: one of each kind, the old state preferably in a month in which phones open."""
    months = list(range(len(cured)))
    old = dice.choice([month for month in months if cured[month]] or months)
    none = dice.choice([month for month in months if month != old] or months)
    return [[kind for kind, at in ((Outage.OLD, old), (Outage.NONE, none)) if at == month] for month in months]


def _plan(name: str, facts: Sequence[Fact], outages: Sequence[Outage], dice: Random) -> MonthPlan:
    received = [fact for fact in facts if fact.decision.kind == "payment_received"]
    cures = [fact for fact in received if _cures(fact)]
    dice.shuffle(cures)
    cut = _share(cures, _CUT_SHARE)
    during = _share(cures, _SHARE_DURING_OUTAGE) if outages else 0
    return MonthPlan(
        name=name,
        overdues=[fact for fact in facts if fact.decision.kind == "payment_overdue"],
        partials=[fact for fact in received if not _cures(fact)],
        cures=cures[cut + during :],
        cures_while_cut=cures[:cut],
        cures_during_outage=cures[cut : cut + during],
        settlements=[fact for fact in facts if fact.decision.kind == "loan_settled"],
        outages=outages,
    )


def _cures(fact: Fact) -> bool:
    return fact.decision.cures is True


def _share(facts: Sequence[Fact], share: float) -> int:
    """Return how many are this share: one at least, if there are any."""
    return max(1, round(len(facts) * share)) if facts else 0
