"""Policy: which state of a loan asks for which level of the phone."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from lock_protocol.levels import Level, Reason
from lock_protocol.messages import Notice

from broker_bridge.domain.loans import Loan


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a phone should be, before it has a version and a signature."""

    level: Level
    reason: Reason
    remind_s: int = 0
    notice: Notice = field(default_factory=Notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A lender's rules.

    Invariant: the ladder rises in days and in levels, so more days overdue never mean a lower level.
    """

    name: str
    ladder: tuple[tuple[int, Level], ...]
    """From so many days overdue on, this level."""
    remind_s: int = 4 * 3600
    """How often a reminder comes back, in seconds."""
    support_phone: str = ""
    development_only: bool = False
    """Whether it lacks the gates that a real borrower is owed."""

    def __post_init__(self) -> None:
        """Refuse a ladder that does not rise."""
        rungs = [(days, int(level)) for days, level in self.ladder]
        rises = all(low[0] < high[0] and low[1] < high[1] for low, high in pairwise(rungs))
        if not rises or not all(days > 0 and 0 < level <= Level.LOCKED for days, level in rungs):
            raise ValueError(f"policy {self.name}: the ladder must rise in days and in levels: {self.ladder}")

    def level(self, loan: Loan) -> Level:
        """Return the level that a loan asks for."""
        if loan.settled:
            return Level.RELEASED
        return max((level for days, level in self.ladder if loan.days_overdue >= days), default=Level.UNLOCKED)

    def wish(self, loan: Loan) -> Wish:
        """Return what the phone should be, with what its user is to read."""
        level = self.level(loan)
        if level is Level.RELEASED:
            return Wish(level=level, reason=Reason.SETTLED, notice=Notice(title="Your loan is settled"))
        if level is Level.UNLOCKED:
            return Wish(level=level, reason=Reason.PAID if loan.cured_at >= 0 else Reason.ENROLLED)
        return Wish(
            level=level,
            reason=Reason.OVERDUE,
            remind_s=self.remind_s if level is Level.REMINDER else 0,
            notice=self._overdue_notice(loan),
        )

    def _overdue_notice(self, loan: Loan) -> Notice:
        return Notice(
            title="Payment overdue",
            body=(
                f"Your payment is {loan.days_overdue} days overdue.\n"
                "The phone opens as soon as the payment has arrived. Emergency calls always work."
            ),
            amount_due=loan.amount_due,
            currency=loan.currency,
            pay_url=loan.pay_url,
            support_phone=self.support_phone,
        )


PROFILES: Final = {
    policy.name: policy
    for policy in (
        Policy(
            name="default",
            ladder=((3, Level.NOTICE), (15, Level.REMINDER), (60, Level.RESTRICTED), (90, Level.LOCKED)),
        ),
        Policy(
            name="replay",
            ladder=((1, Level.NOTICE), (7, Level.REMINDER), (30, Level.RESTRICTED), (60, Level.LOCKED)),
            development_only=True,
        ),
    )
}
"""The policies that ship, by name."""
