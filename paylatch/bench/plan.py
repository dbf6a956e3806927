"""What is decided about which phone, in which order. Pure: the same lender's book each time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

from lock_protocol.imei import Imei
from lock_protocol.levels import Level

COLUMNS = ("decision_id", "imei", "type", "occurred_at", "days_overdue", "cures", "amount_due", "currency", "pay_url")
LADDER = ((7, Level.REMINDER), (30, Level.RESTRICTED), (60, Level.LOCKED))
"""Days overdue and the level that they lead to under the `replay` profile, whose every step is a closing."""
_DUE = (129_900, "INR", "https://pay.example/l/0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One decision, and the level that its phone has to have after it."""

    decision_id: str
    imei: Imei
    occurred_at: str
    days_overdue: int
    """0 for the payment that cures."""
    level: Level

    def body(self) -> dict[str, object]:
        """Return it as `POST /v1/decisions` takes it."""
        body: dict[str, object] = {
            "decision_id": self.decision_id,
            "imei": self.imei,
            "type": "payment_overdue" if self.days_overdue else "payment_received",
            "occurred_at": self.occurred_at,
        }
        if not self.days_overdue:
            return body | {"cures": True}
        due = dict(zip(COLUMNS[-3:], _DUE, strict=True))
        return body | {"days_overdue": self.days_overdue} | due


@dataclass(slots=True)
class Book:
    """A lender's phones, and what has been decided about them so far.

    No two decisions have the same time, and later ones are later: nothing is stale, and nothing covers anything else.
    """

    name: str
    """Begins the decisions' ids, which no two books of one lender may share."""
    imeis: Sequence[Imei]
    since: datetime
    """Before the first decision; as long ago that none of a run comes to lie in the future."""
    levels: dict[Imei, Level] = field(default_factory=dict)
    """What each phone has to be; those that are not in it begin as their enrolment leaves them."""
    _made: int = 0

    def __post_init__(self) -> None:
        """Have every phone in it."""
        self.levels = dict.fromkeys(self.imeis, Level.UNLOCKED) | self.levels

    def overdue(self, imei: Imei, days: int) -> Planned:
        """Decide that a payment is so many days overdue: one of the ladder's numbers."""
        return self._next(imei, days, dict(LADDER)[days])

    def locked(self, imei: Imei) -> Planned:
        """Decide what locks a phone."""
        days, _ = LADDER[-1]
        return self.overdue(imei, days)

    def paid(self, imei: Imei) -> Planned:
        """Decide what opens a phone."""
        return self._next(imei, 0, Level.UNLOCKED)

    def turned(self, imei: Imei) -> Planned:
        """Decide what opens a phone that is locked, and locks one that is open."""
        return self.locked(imei) if self.levels[imei] is Level.UNLOCKED else self.paid(imei)

    @property
    def newest(self) -> datetime:
        """The time of the newest decision."""
        return self.since + timedelta(milliseconds=self._made)

    def alternate(self) -> list[Planned]:
        """Decide what makes every second phone locked and the others open, from whatever they are.

        Half of what turns them then opens phones and half closes them.
        """
        ends = zip(self.imeis, cycle((Level.UNLOCKED, Level.LOCKED)), strict=False)
        return [self.turned(imei) for imei, level in ends if self.levels[imei] is not level]

    def rounds(self, count: int) -> Iterator[Planned]:
        """Yield so many decisions, phone after phone and round after round, each of which turns its phone."""
        for number in range(count):
            yield self.turned(self.imeis[number % len(self.imeis)])

    def _next(self, imei: Imei, days: int, level: Level) -> Planned:
        self._made += 1
        self.levels[imei] = level
        return Planned(
            decision_id=f"{self.name}-{self._made}",
            imei=imei,
            occurred_at=self.newest.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            days_overdue=days,
            level=level,
        )


def parts_of(decisions: Iterable[Planned], size: int) -> Iterator[list[Planned]]:
    """Yield decisions in parts of a size, the last one perhaps smaller."""
    remaining = iter(decisions)
    while part := list(islice(remaining, size)):
        yield part


def as_csv(decisions: Iterable[Planned]) -> bytes:
    """Return decisions as the file that `POST /v1/imports` takes."""
    lines = [",".join(COLUMNS)]
    for one in decisions:
        body = one.body()
        lines.append(",".join(_cell(body.get(name)) for name in COLUMNS))
    return ("\n".join(lines) + "\n").encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
