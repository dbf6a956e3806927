"""Policy: a lender's rules as data. What follows from them is in `broker_bridge.domain.judgement`."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from lock_protocol.compiling import quick
from lock_protocol.levels import Level, Reason
from lock_protocol.messages import DesiredState, Notice

from broker_bridge.domain.quiet import QuietHours

DAY_S: Final = 86_400
OFFLINE_LOCK_DAYS: Final = (3, 200)
"""How long a phone may be away before it locks by itself: Knox Guard's limits."""
WARNING_DAYS: Final = (1, 10)
"""How long before that it warns: Knox Guard's limits, and the protocol's."""
MAX_DOCUMENT_BYTES: Final = 64 * 1024
"""How long a policy may be as a document."""


class PolicyError(Exception):
    """A document that is no policy; each fault is a line of the message, `line N: key: what is wrong`."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What the phone does by itself when nothing newer has come."""

    until: int
    """Seconds UTC."""
    then: Level
    warn_s: int = 0
    """How long before that the phone warns its user."""
    term_s: int = field(default=0, compare=False)
    """How long it lasts when it is new: at half of it, it is renewed. A state does not tell."""


NO_NOTICE: Final = Notice()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a phone should be, before it has a version and a signature."""

    level: Level
    reason: Reason
    remind_s: int = 0
    notice: Notice = NO_NOTICE
    lease: Lease | None = None

    @staticmethod
    def of(state: DesiredState) -> "Wish":
        """Return the wish that a state was made from."""
        lease = None
        if state.lease_until:
            lease = Lease(until=state.lease_until, then=state.lease_then, warn_s=state.warn_s)
        return Wish(level=state.level, reason=state.reason, remind_s=state.remind_s, notice=state.notice, lease=lease)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What must have happened before arrears may restrict a phone. Durations in seconds; 0 asks for nothing.

    They hold for `restricted` and above: what is below is how the borrower hears of it.
    """

    consent: frozenset[str] = frozenset()
    """Kinds of evidence that must be on file."""
    notice_s: int | None = None
    """How long before a restriction a notice must have reached the phone, by its own report; None asks for none."""
    cure_s: int = 0
    """How long the borrower has to pay, from when the notice reached the phone (without that gate: from when the bridge
    first knew of the arrears)."""
    final_notice_s: int | None = None
    """How long after the cure period, and after a reminder has reached the phone, a restriction may follow."""
    quiet: QuietHours | None = None
    """When in the borrower's day no restriction begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRules:
    """Which leases states get. Durations in seconds; 0 for no such lease."""

    offline_lock_s: int = 0
    """An open phone that has not been heard for so long goes to `offline_level`."""
    offline_level: Level = Level.LOCKED
    warn_s: int = 0
    silent_s: int = 0
    """A closed phone opens when its lender has been silent for so long."""

    def __post_init__(self) -> None:
        """Refuse a warning without a lock, and one that is longer than the time before it."""
        if self.warn_s and self.warn_s >= self.offline_lock_s:
            raise ValueError("the warning must be shorter than the time until the offline lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """The least level while a phone says that something has been done to it."""

    sim_changed: Level = Level.UNLOCKED
    tamper: Level = Level.UNLOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """What phones are between a factory reset and the bridge's answer. It stands in the root, which phones pin."""

    seconds: int
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A lender's rules.

    Invariants: the ladder rises in days and in levels, so more days overdue never mean a lower level; whatever a gate
    waits to reach the phone stands on the ladder below the first restriction.
    """

    name: str
    ladder: tuple[tuple[int, Level], ...]
    """From so many days overdue on, this level."""
    remind_s: int = 4 * 3600
    """How often a reminder comes back, in seconds."""
    support_phone: str = ""
    appeal_url: str = ""
    time_zone: str = "UTC"
    """Of borrowers whose own is not known."""
    max_level: Level = Level.LOCKED
    gates: Gates = field(default_factory=Gates)
    leases: LeaseRules = field(default_factory=LeaseRules)
    signals: SignalRules = field(default_factory=SignalRules)
    lost_level: Level = Level.LOCKED
    due_notice_s: int = 0
    """How long before a payment falls due the phone shows a notice; 0 for never."""
    longest_grace_s: int = 30 * DAY_S
    longest_dispute_s: int = 90 * DAY_S
    provisional: Provisional | None = None
    """What the root must say; None takes whatever it says."""
    development_only: bool = False
    """Whether it may lack the gates that a real borrower is owed."""

    def __post_init__(self) -> None:
        """Refuse rules that contradict each other."""
        rungs = [(days, int(level)) for days, level in self.ladder]
        rises = all(low[0] < high[0] and low[1] < high[1] for low, high in pairwise(rungs))
        if not rises or not all(days > 0 and 0 < level <= Level.LOCKED for days, level in rungs):
            shown = ", ".join(f"{days} {level.name.lower()}" for days, level in self.ladder)
            raise ValueError(f"policy {self.name}: the ladder must rise in days and in levels: {shown}")
        announced = {level for _, level in self.ladder if level < Level.RESTRICTED}
        if self.restricts and self.gates.notice_s is not None and not announced:
            raise ValueError(f"policy {self.name}: the ladder has no notice below its first restriction")
        if self.restricts and self.gates.final_notice_s is not None and Level.REMINDER not in announced:
            raise ValueError(f"policy {self.name}: the ladder has no reminder, which the final notice is")

    @property
    def restricts(self) -> bool:
        """Whether arrears can ever restrict a phone."""
        return min(self.top_of_ladder, self.max_level) >= Level.RESTRICTED

    @property
    def top_of_ladder(self) -> Level:
        """The highest level that arrears can ask for."""
        return max((level for _, level in self.ladder), default=Level.UNLOCKED)

    def rung(self, days_overdue: int) -> Level:
        """Return the level that so many days overdue ask for."""
        asked = max((level for days, level in self.ladder if days_overdue >= days), default=Level.UNLOCKED)
        return min(asked, self.max_level)

    def announcing_rung(self, days_overdue: int) -> Level:
        """Return the highest level below a restriction that so many days overdue ask for."""
        reached = (level for days, level in self.ladder if days_overdue >= days and level < Level.RESTRICTED)
        return min(max(reached, default=Level.UNLOCKED), self.max_level)
