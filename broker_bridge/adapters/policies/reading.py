"""From a TOML document to a `Policy`, with errors that name the line, what was wrong and what was expected."""

import re
import tomllib
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from broker_bridge.adapters.lender_api.problems import MAX_FAULTS, fault_of
from broker_bridge.adapters.policies.lines import Place, line_of, lines_of
from broker_bridge.domain.policy import (
    DAY_S,
    MAX_DOCUMENT_BYTES,
    OFFLINE_LOCK_DAYS,
    WARNING_DAYS,
    Gates,
    LeaseRules,
    Policy,
    PolicyError,
    Provisional,
    SignalRules,
)
from broker_bridge.domain.quiet import QuietHours, zone_name
from lock_protocol.levels import Level

MAX_DAYS = 3650
MAX_DOTS = 64
MAX_MARKS = 3000
"""How many equals signs, commas, brackets, braces and dots a document may hold: a policy takes a hundred.

As many as fit take a seventh of a second to read and check, and no payment goes on meanwhile.
"""
_MARKS = "=,[{."
_HOUR_S = 3600
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}")
_LINK = r"^(https://[a-z0-9.-]{1,64}(/[\x21-\x7e]*)?)?$"


def _clock_time(text: str) -> time:
    if not _TIME.fullmatch(text):
        raise ValueError('must be a time like "21:00"')
    return time(int(text[:2]), int(text[3:]))


def _quiet(pair: tuple[str, str]) -> QuietHours:
    return QuietHours(begins=_clock_time(pair[0]), ends=_clock_time(pair[1]))


def _quiet_pair(pair: tuple[str, str]) -> tuple[str, str]:
    _quiet(pair)
    return pair


ZoneName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(zone_name)]
"""The IANA name of a time zone."""

_Closing = Literal["notice", "reminder", "restricted", "locked"]
_Any = Literal["unlocked", "notice", "reminder", "restricted", "locked"]
_Kind = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")]
_Hours = Annotated[int, Field(ge=0, le=MAX_DAYS * 24)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Rung(_Table):
    days_overdue: int = Field(ge=1, le=36_500)
    level: _Closing


class _Gates(_Table):
    consent: tuple[_Kind, ...] = Field(default=(), strict=False)
    notice_reached_hours: _Hours | None = None
    cure_days: int = Field(default=0, ge=0, le=MAX_DAYS)
    final_notice_hours: _Hours | None = None
    quiet_hours: Annotated[tuple[str, str], Field(strict=False), AfterValidator(_quiet_pair)] | None = None

    def gates(self) -> Gates:
        return Gates(
            consent=frozenset(self.consent),
            notice_s=None if self.notice_reached_hours is None else self.notice_reached_hours * _HOUR_S,
            cure_s=self.cure_days * DAY_S,
            final_notice_s=None if self.final_notice_hours is None else self.final_notice_hours * _HOUR_S,
            quiet=None if self.quiet_hours is None else _quiet(self.quiet_hours),
        )


class _Leases(_Table):
    offline_lock_days: int | None = Field(default=None, ge=OFFLINE_LOCK_DAYS[0], le=OFFLINE_LOCK_DAYS[1])
    offline_level: _Closing = "locked"
    warning_days: int | None = Field(default=None, ge=WARNING_DAYS[0], le=WARNING_DAYS[1])
    lender_silent_days: int | None = Field(default=None, ge=1, le=MAX_DAYS)

    def rules(self) -> LeaseRules:
        return LeaseRules(
            offline_lock_s=(self.offline_lock_days or 0) * DAY_S,
            offline_level=_level(self.offline_level),
            warn_s=(self.warning_days or 0) * DAY_S,
            silent_s=(self.lender_silent_days or 0) * DAY_S,
        )


class _Signals(_Table):
    sim_changed: _Any = "unlocked"
    tamper: _Any = "unlocked"


class _Holds(_Table):
    longest_grace_days: int = Field(default=30, ge=1, le=MAX_DAYS)
    longest_dispute_days: int = Field(default=90, ge=1, le=MAX_DAYS)


class _Due(_Table):
    notice_days: int = Field(ge=1, le=60)


class _Lost(_Table):
    level: _Closing


class _Reset(_Table):
    provisional_minutes: int = Field(ge=0, le=10_080)
    provisional_level: Literal["unlocked", "notice", "reminder", "restricted"]


class _Document(_Table):
    """The whole document. Its tables are described in `docs/policy.md`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    description: str = Field(default="", max_length=2000)
    development_only: bool = False
    support_phone: str = Field(default="", pattern=r"^(\+?[0-9]{3,19})?$")
    appeal_url: str = Field(default="", max_length=200, pattern=_LINK)
    time_zone: ZoneName = "UTC"
    max_level: _Closing = "locked"
    remind_every_minutes: int = Field(default=240, ge=1, le=1440)
    ladder: tuple[_Rung, ...] = Field(strict=False, max_length=4)
    gates: _Gates = Field(default_factory=_Gates)
    leases: _Leases = Field(default_factory=_Leases)
    signals: _Signals = Field(default_factory=_Signals)
    holds: _Holds = Field(default_factory=_Holds)
    due: _Due | None = None
    lost: _Lost = Field(default_factory=lambda: _Lost(level="locked"))
    reset: _Reset | None = None

    def policy(self) -> Policy:
        """Return the policy; a ValueError of the domain says what contradicts what."""
        reset = self.reset
        return Policy(
            name=self.name,
            ladder=tuple((rung.days_overdue, _level(rung.level)) for rung in self.ladder),
            remind_s=self.remind_every_minutes * 60,
            support_phone=self.support_phone,
            appeal_url=self.appeal_url,
            time_zone=self.time_zone,
            max_level=_level(self.max_level),
            gates=self.gates.gates(),
            leases=self.leases.rules(),
            signals=SignalRules(sim_changed=_level(self.signals.sim_changed), tamper=_level(self.signals.tamper)),
            lost_level=_level(self.lost.level),
            due_notice_s=0 if self.due is None else self.due.notice_days * DAY_S,
            longest_grace_s=self.holds.longest_grace_days * DAY_S,
            longest_dispute_s=self.holds.longest_dispute_days * DAY_S,
            provisional=None
            if reset is None
            else Provisional(seconds=reset.provisional_minutes * 60, level=_level(reset.provisional_level)),
            development_only=self.development_only,
        )


def read_policy(document: str) -> Policy:
    """Return the policy in a TOML document.

    Raises:
        PolicyError: it is none; the message has a line for each fault, in the order of the document.
    """
    content = _content(document)
    lines = lines_of(document)
    try:
        policy = _Document.model_validate(content).policy()
    except ValidationError as error:
        raise PolicyError("\n".join(_told(error, lines))) from error
    except ValueError as error:
        place = ("leases", "warning_days") if str(error).startswith("the warning") else ("ladder",)
        raise PolicyError(f"line {line_of(lines, place)}: {error}") from error
    if not policy.development_only and policy.restricts and policy.gates.notice_s is None:
        line = line_of(lines, ("gates",))
        raise PolicyError(
            f"line {line}: gates.notice_reached_hours: a policy that restricts phones must wait until the phone itself "
            "has reported a notice; say for how many hours (development_only = true does without)"
        )
    return policy


def _content(document: str) -> dict[str, Any]:
    """Return the tables of a document that does not take long to read."""
    if len(document.encode()) > MAX_DOCUMENT_BYTES:
        raise PolicyError(f"line 1: a policy has at most {MAX_DOCUMENT_BYTES} bytes")
    if sum(map(document.count, _MARKS)) > MAX_MARKS:
        raise PolicyError(f"line 1: more than {MAX_MARKS} of the characters {_MARKS} in all")
    for number, text in enumerate(document.split("\n"), start=1):
        if text.count(".") > MAX_DOTS:  # reading a dotted key takes time with the square of its length
            raise PolicyError(f"line {number}: more than {MAX_DOTS} dots in a line")
    try:
        return tomllib.loads(document)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(_syntax(str(error), document)) from error
    except RecursionError as error:
        raise PolicyError("line 1: tables or arrays are nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise PolicyError(f"line 1: {error}") from error


def _told(error: ValidationError, lines: Mapping[Place, int]) -> list[str]:
    """Return the first faults, in the order of the document."""
    faults = sorted((line_of(lines, one["loc"]), fault_of(one)) for one in error.errors(include_url=False))
    more = [(line, "and more") for line, _ in faults[MAX_FAULTS : MAX_FAULTS + 1]]
    return [f"line {line}: {fault}" for line, fault in (*faults[:MAX_FAULTS], *more)]


def _level(name: str) -> Level:
    return Level[name.upper()]


def _syntax(message: str, document: str) -> str:
    """Return tomllib's message as `line N: …`; it puts the place behind, or says that the document has ended."""
    text, _, place = message.partition(" (at ")
    line = place.removeprefix("line ").split(",")[0].rstrip(")")
    return f"line {line if line.isdecimal() else max(len(document.splitlines()), 1)}: {text}"
