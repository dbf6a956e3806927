"""Quiet hours: the part of the borrower's day in which nothing gets worse."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


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

        Where a clock change has their begin or end happen twice, or not at all, the longer night counts.
        """
        end = 0
        for begins, ends in self._nights(now, zone):
            if begins <= (end or now) < ends:
                end = ends
        return end

    def _nights(self, now: int, zone: ZoneInfo) -> list[tuple[int, int]]:
        """Return when the nights around `now` begin and end, seconds UTC, in order."""
        today = datetime.fromtimestamp(now, zone).date()
        overnight = timedelta(days=self.ends < self.begins)
        days = [today + timedelta(days=offset) for offset in range(-_NIGHTS_AROUND, _NIGHTS_AROUND + 1)]
        return [
            (min(_instants(day, self.begins, zone)), max(_instants(day + overnight, self.ends, zone))) for day in days
        ]


_NIGHTS_AROUND = 2
"""A night that began yesterday may last; and where the date line has moved, a whole day is missing."""


def _instants(day: date, at: time, zone: ZoneInfo) -> tuple[int, int]:
    """Return what a local time can mean, seconds UTC: twice the same, unless a clock change repeats or skips it."""
    first, second = (datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    return int(first.timestamp()), int(second.timestamp())


def zone_name(name: str) -> str:
    """Return the name of a time zone, if there is one of this name.

    Raises:
        ValueError: there is none.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone, like Asia/Kolkata") from error
    return name
