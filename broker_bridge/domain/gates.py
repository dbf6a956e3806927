"""Gates: what is still missing before arrears may restrict a phone, and when it can be met."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from broker_bridge.domain.counted import counted
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.policy import DAY_S, Gates


class GateCondition(StrEnum):
    """What a decision can wait for."""

    CONSENT = "consent"
    NOTICE_REACHED = "notice_reached"
    NOTICE_PERIOD = "notice_period"
    CURE_PERIOD = "cure_period"
    FINAL_NOTICE = "final_notice"
    QUIET_HOURS = "quiet_hours"
    GRACE = "grace"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One condition that is not met."""

    condition: GateCondition
    detail: str
    earliest: int | None
    """When it can be met by the mere passing of time, seconds UTC; None when something has to happen first."""


def missing(
    gates: Gates, episode: Episode, evidence: AbstractSet[str], zone: ZoneInfo, now: int
) -> tuple[Missing, ...]:
    """Return what is missing at `now` (seconds UTC) before a restriction may begin."""
    found = (
        _consent(gates, evidence),
        _notice(gates, episode, now),
        _cure(gates, episode, now),
        _final_notice(gates, episode, now),
        _quiet(gates, zone, now),
    )
    return tuple(one for one in found if one is not None)


def earliest_of(conditions: Sequence[Missing]) -> int | None:
    """Return when all of these can be met, seconds UTC; None when something has to happen first."""
    times = [one.earliest for one in conditions if one.earliest is not None]
    return max(times) if times and len(times) == len(conditions) else None


def _consent(gates: Gates, evidence: AbstractSet[str]) -> Missing | None:
    lacking = sorted(gates.consent - evidence)
    if not lacking:
        return None
    detail = f"no evidence of {', '.join(lacking)} on file; enrol the phone again with it"
    return Missing(condition=GateCondition.CONSENT, detail=detail, earliest=None)


def _notice(gates: Gates, episode: Episode, now: int) -> Missing | None:
    if gates.notice_s is None:
        return None
    if not episode.notice_at:
        detail = "the phone has not reported that it shows the notice"
        return Missing(condition=GateCondition.NOTICE_REACHED, detail=detail, earliest=None)
    detail = f"the notice must have reached the phone {_duration(gates.notice_s)} before"
    return _at(GateCondition.NOTICE_PERIOD, detail, episode.notice_at + gates.notice_s, now)


def _cure(gates: Gates, episode: Episode, now: int) -> Missing | None:
    ends = _cure_ends(gates, episode)
    if not gates.cure_s or ends is None:
        return None  # it has not begun: the notice is what is missing
    return _at(GateCondition.CURE_PERIOD, f"the borrower has {_duration(gates.cure_s)} to pay", ends, now)


def _final_notice(gates: Gates, episode: Episode, now: int) -> Missing | None:
    if gates.final_notice_s is None:
        return None
    if not episode.reminder_at:
        detail = "the phone has not reported that it shows the final notice (a reminder)"
        return Missing(condition=GateCondition.FINAL_NOTICE, detail=detail, earliest=None)
    begins = max(episode.reminder_at, _cure_ends(gates, episode) or 0)
    detail = f"the final notice must stand for {_duration(gates.final_notice_s)} after the cure period"
    return _at(GateCondition.FINAL_NOTICE, detail, begins + gates.final_notice_s, now)


def _cure_ends(gates: Gates, episode: Episode) -> int | None:
    begins = episode.arrears_since if gates.notice_s is None else episode.notice_at
    return begins + gates.cure_s if begins else None


def _quiet(gates: Gates, zone: ZoneInfo, now: int) -> Missing | None:
    until = 0 if gates.quiet is None else gates.quiet.until(now, zone)
    if not until:
        return None
    return Missing(condition=GateCondition.QUIET_HOURS, detail=f"it is night in {zone.key}", earliest=until)


def _at(condition: GateCondition, detail: str, earliest: int, now: int) -> Missing | None:
    return None if now >= earliest else Missing(condition=condition, detail=detail, earliest=earliest)


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, DAY_S)
    return counted(days, "day") if days and not rest else counted(seconds // 3600, "hour")
