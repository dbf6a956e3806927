"""What can be asked of a fleet, and what it answers: one JSON object a line, over a UNIX domain socket.

A request is `{"op": "...", ...}`, a response `{"ok": true, "result": ...}` or `{"ok": false, "error": "..."}`.
Levels go by name: "unlocked", "notice", "reminder", "restricted", "locked", "released".
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

from device_sim.fleet.link import Obstacle
from lock_protocol.imei import Imei, parse_imei
from lock_protocol.levels import Condition, Level, Signals

MAX_LINE_BYTES = 2**24
"""Room for the dump of ten thousand phones."""


def _level(value: object) -> object:
    names = {level.name.lower(): level for level in Level}
    if isinstance(value, Level):
        return value
    if isinstance(value, str) and value in names:
        return names[value]
    raise ValueError(f"a level is one of {', '.join(names)}")


def _condition(value: object) -> object:
    return Condition[value.upper()] if isinstance(value, str) and value.upper() in Condition.__members__ else value


def _name(value: Level | Condition) -> str:
    return value.name.lower()


ImeiText = Annotated[Imei, BeforeValidator(parse_imei)]
LevelName = Annotated[Level, BeforeValidator(_level), PlainSerializer(_name)]
ConditionName = Annotated[Condition, BeforeValidator(_condition), PlainSerializer(_name)]
Imeis = list[ImeiText] | None
"""Some phones; None for all of them."""
Timeout = Annotated[float, Field(ge=0, le=3600)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- requests ------------------------------------------------------------------------------------------------------


class Dump(_Strict):
    """Tell what each phone is; answers a list of `PhoneDump`."""

    op: Literal["dump"] = "dump"
    imeis: Imeis = None


class Transitions(_Strict):
    """Tell each phone's last changes of level; answers `{imei: [TransitionDump, ...]}`, oldest first."""

    op: Literal["transitions"] = "transitions"
    imeis: Imeis = None


class FactoryReset(_Strict):
    """Erase these phones and let those that were connected come back."""

    op: Literal["factory_reset"] = "factory_reset"
    imeis: list[ImeiText]


class PowerCycle(_Strict):
    """Take the power from these phones and give it back; those that were connected come back."""

    op: Literal["power_cycle"] = "power_cycle"
    imeis: list[ImeiText]


class Cut(_Strict):
    """Drop these phones' connections; they stay offline until `reconnect`."""

    op: Literal["cut"] = "cut"
    imeis: list[ImeiText]


class Reconnect(_Strict):
    """Let these phones connect again."""

    op: Literal["reconnect"] = "reconnect"
    imeis: list[ImeiText]


class Clock(_Strict):
    """Set these phones' wall clocks forward or back; it must change nothing but the `clock` signal."""

    op: Literal["clock"] = "clock"
    imeis: list[ImeiText]
    shift_s: int


class RaiseSignals(_Strict):
    """Let these phones notice something about themselves: bits of `Signals`."""

    op: Literal["signal"] = "signal"
    imeis: list[ImeiText]
    signals: Annotated[Signals, Field(ge=1, le=sum(Signals))]


class Check(_Strict):
    """Press "check payment status" on these phones."""

    op: Literal["check"] = "check"
    imeis: list[ImeiText]


class Tamper(_Strict):
    """Make this handset show another level than its agent applies; no level undoes that."""

    op: Literal["tamper"] = "tamper"
    imei: ImeiText
    level: LevelName | None


class AwaitLevels(_Strict):
    """Wait until each of these phones shows its level; answers the list of `Mismatch` that are left in the end."""

    op: Literal["await_levels"] = "await_levels"
    levels: dict[ImeiText, LevelName]
    timeout_s: Timeout


class AwaitSettled(_Strict):
    """Wait until a `Fresh` has confirmed, on their present connection, what these phones hold.

    Without `imeis` all phones that are not cut. Answers the IMEIs that are not settled in the end; with `each_once`
    those that were not settled at any moment since.
    """

    op: Literal["await_settled"] = "await_settled"
    imeis: Imeis = None
    timeout_s: Timeout
    each_once: bool = False


class AwaitConnected(_Strict):
    """Wait until these phones are connected and subscribed.

    Without `imeis` all phones that are not cut. Answers the IMEIs that are not connected in the end.
    """

    op: Literal["await_connected"] = "await_connected"
    imeis: Imeis = None
    timeout_s: Timeout


class AwaitRefusals(_Strict):
    """Wait until at least so many messages have been refused since the fleet started; answers how many were."""

    op: Literal["await_refusals"] = "await_refusals"
    total: int
    timeout_s: Timeout


class ReadCounters(_Strict):
    """Tell the fleet's totals; answers `CountersDump`."""

    op: Literal["counters"] = "counters"


class ReadJournal(_Strict):
    """Tell what has happened to the phones, from event number `start` on; answers `JournalDump`.

    Events are kept from the first time on that this is asked; those before `start` are forgotten. One reader only.
    """

    op: Literal["journal"] = "journal"
    start: Annotated[int, Field(ge=0)]


class Stop(_Strict):
    """Disconnect all phones and end the process."""

    op: Literal["stop"] = "stop"


Request = (
    Dump
    | Transitions
    | FactoryReset
    | PowerCycle
    | Cut
    | Reconnect
    | Clock
    | RaiseSignals
    | Check
    | Tamper
    | AwaitLevels
    | AwaitConnected
    | AwaitSettled
    | AwaitRefusals
    | ReadCounters
    | ReadJournal
    | Stop
)
REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="op")])


# --- answers -------------------------------------------------------------------------------------------------------


class FailureDump(_Strict):
    """An attempt to connect that came to nothing."""

    at_ns: int
    """By CLOCK_MONOTONIC."""
    obstacle: Obstacle
    why: str


class PhoneDump(_Strict):
    """What one phone is."""

    imei: ImeiText
    level: LevelName
    """What the handset shows."""
    applied: LevelName
    """What the agent applied last; differs from `level` on a handset that was tampered with."""
    condition: ConditionName
    epoch: int
    version: int
    connected: bool
    wanted: bool
    """Whether it is to be connected; false while it is cut."""
    last_failure: FailureDump | None
    """Its last attempt to connect that failed; None while none has."""
    confirmed: bool
    settled: bool
    last_transition_ns: int
    """By CLOCK_MONOTONIC; 0 for none."""
    applies: int
    refusals: dict[str, int]


class TransitionDump(_Strict):
    """One change of the level that a handset shows."""

    at_ns: int
    level: LevelName
    epoch: int
    version: int


class Mismatch(_Strict):
    """A phone that does not show the level waited for."""

    imei: ImeiText
    wanted: LevelName
    level: LevelName


class CountersDump(_Strict):
    """The fleet's totals since it started."""

    refusals: dict[str, int]
    happenings: dict[str, int]
    """By the names of `device_sim.phone.effects.Happening`: hello, report, accepted, duplicate, …"""
    applies: int
    locks: int
    unlocks: int
    connects: int
    online: int
    """Phones that are connected and subscribed now."""
    storage_failures: int
    rss_bytes: int
    """Memory of the fleet's process, or processes, that is resident."""
    empty_bytes: int
    """The same before there were phones."""


class JournalDump(_Strict):
    """What has happened, in its order: as much as fits in one answer."""

    first: int
    """The number of the first of these events; above what was asked for when some were lost."""
    events: list[tuple[int, Imei, str, int]]
    """As `device_sim.fleet.journal.Entry` has them."""


class Response(_Strict):
    """An answer, or why there is none."""

    ok: bool
    result: Any = None
    error: str = ""
