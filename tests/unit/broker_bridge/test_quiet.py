"""Quiet hours, also on the nights in which a clock is changed."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_bridge.domain.quiet import QuietHours
from tests.unit.broker_bridge.cases import quiet_hours

NEW_YORK, LORD_HOWE, APIA = (ZoneInfo(name) for name in ("America/New_York", "Australia/Lord_Howe", "Pacific/Apia"))
CHANGES = [
    # each some hours around a change of the clock
    ("UTC", "2026-03-08T07:00:00+00:00"),
    ("America/New_York", "2026-03-08T07:00:00+00:00"),  # 02:00 becomes 03:00
    ("America/New_York", "2026-11-01T06:00:00+00:00"),  # 02:00 becomes 01:00
    ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),  # half an hour is skipped
    ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00"),  # and repeated
    ("Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("Pacific/Apia", "2011-12-30T10:00:00+00:00"),  # a whole day is skipped
    ("Asia/Kolkata", "2026-11-25T18:30:00+00:00"),
]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def shown(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%m-%d %H:%M")


def hours(begins: str, ends: str) -> QuietHours:
    return QuietHours(begins=time.fromisoformat(begins), ends=time.fromisoformat(ends))


@pytest.mark.parametrize(
    ("begins", "ends", "zone", "now", "until"),
    [
        ("21:00", "08:00", ZoneInfo("Asia/Kolkata"), "2026-11-25T23:00:00+05:30", "11-26 02:30"),
        ("21:00", "08:00", ZoneInfo("Asia/Kolkata"), "2026-11-25T20:59:59+05:30", ""),
        ("21:00", "08:00", ZoneInfo("Asia/Kolkata"), "2026-11-25T21:00:00+05:30", "11-26 02:30"),
        ("21:00", "08:00", ZoneInfo("Asia/Kolkata"), "2026-11-26T08:00:00+05:30", ""),
        ("13:00", "15:00", ZoneInfo("UTC"), "2026-11-25T14:00:00+00:00", "11-25 15:00"),
        # 01:30 comes twice: the night lasts until the second
        ("21:00", "01:30", NEW_YORK, "2026-11-01T05:10:00+00:00", "11-01 06:30"),
        ("21:00", "01:30", NEW_YORK, "2026-11-01T06:10:00+00:00", "11-01 06:30"),
        ("21:00", "01:30", NEW_YORK, "2026-11-01T06:30:00+00:00", ""),
        # it begins with the first
        ("01:30", "06:00", NEW_YORK, "2026-11-01T05:30:00+00:00", "11-01 11:00"),
        ("01:30", "06:00", NEW_YORK, "2026-11-01T06:10:00+00:00", "11-01 11:00"),
        # 02:30 does not come: it ends as late, and begins as early, as it can mean
        ("21:00", "02:30", NEW_YORK, "2026-03-08T06:59:00+00:00", "03-08 07:30"),
        ("02:30", "06:00", NEW_YORK, "2026-03-08T06:40:00+00:00", "03-08 10:00"),
        # an hour of a day is missing, or is there twice: the night is a shorter or a longer one
        ("21:00", "08:00", NEW_YORK, "2026-03-08T02:00:00+00:00", "03-08 12:00"),
        ("21:00", "08:00", NEW_YORK, "2026-11-01T01:00:00+00:00", "11-01 13:00"),
    ],
)
def test_the_night_ends_when_the_borrowers_clock_says_so(
    begins: str, ends: str, zone: ZoneInfo, now: str, until: str
) -> None:
    end = hours(begins, ends).until(at(now), zone)
    assert (shown(end) if end else "") == until


@settings(max_examples=150, deadline=None)
@given(quiet=quiet_hours, change=st.sampled_from(CHANGES), offset=st.integers(-2 * 86_400, 2 * 86_400), data=st.data())
def test_a_night_is_quiet_to_its_end_and_not_a_second_longer(
    quiet: QuietHours, change: tuple[str, str], offset: int, data: st.DataObject
) -> None:
    zone, now = ZoneInfo(change[0]), at(change[1]) + offset
    until = quiet.until(now, zone)
    if not until:
        return
    assert until > now
    assert quiet.until(data.draw(st.integers(now, until - 1)), zone) == until
    assert not quiet.until(until, zone)


@settings(max_examples=150, deadline=None)
@given(quiet=quiet_hours, change=st.sampled_from(CHANGES), offset=st.integers(-2 * 86_400, 2 * 86_400))
def test_whatever_the_borrowers_clock_shows_within_the_hours_is_quiet(
    quiet: QuietHours, change: tuple[str, str], offset: int
) -> None:
    zone, now = ZoneInfo(change[0]), at(change[1]) + offset
    local = datetime.fromtimestamp(now, zone).time()
    overnight = quiet.ends < quiet.begins
    within = local >= quiet.begins or local < quiet.ends if overnight else quiet.begins <= local < quiet.ends
    assert bool(quiet.until(now, zone)) >= within


def test_hours_that_begin_when_they_end_are_refused() -> None:
    with pytest.raises(ValueError, match="must not begin when they end"):
        hours("08:00", "08:00")


@pytest.mark.parametrize("zone", [LORD_HOWE, APIA], ids=str)
def test_a_year_has_a_night_for_each_of_its_days(zone: ZoneInfo) -> None:
    quiet, nights, now = hours("21:00", "08:00"), 0, at("2026-01-01T12:00:00+00:00")
    while now < at("2027-01-01T12:00:00+00:00"):
        until = quiet.until(now, zone)
        nights += bool(until)
        now = until or now + 3600
    assert nights in (365, 366)
