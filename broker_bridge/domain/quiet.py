"""Quiet hours: the part of the borrower's day in which nothing gets worse."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From `begins` on and before `ends`, in local time; they may span midnight.

    Invariant: they do not begin when they end, which would be never or always.
    """

    begins: time
    ends: time

    def __post_init__(self) -> None:
        """Refuse hours that nobody can tell from no hours."""
        if self.begins == self.ends:
            raise ValueError("quiet hours must not begin when they end")

    def until(self, now: int, zone: ZoneInfo) -> int:
        """Return when they end, seconds UTC, or 0 if it is not quiet at `now` in this time zone.

        Where a clock change skips the end, they end at the change.
        """
        local = datetime.fromtimestamp(now, zone)
        if not self._contain(local.time()):
            return 0
        ends = _instant(local.date(), self.ends, zone)
        return ends if ends > now else _instant(local.date() + timedelta(days=1), self.ends, zone)

    def _contain(self, at: time) -> bool:
        if self.begins < self.ends:
            return self.begins <= at < self.ends
        return at >= self.begins or at < self.ends


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    local = datetime.combine(day, at, zone)
    return int(local.astimezone(UTC).timestamp())
