"""What a scenario is: a few numbers that flags can replace, and steps that are done one after the other."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lock_protocol.levels import Level
from paylatch.fleet.distributions import Times
from paylatch.fleet.durations import Duration
from paylatch.fleet.thresholds import Threshold, threshold_of

AT_ONCE: Literal["at-once"] = "at-once"
MOST_PHONES = 1_000_000
_LEVELS: Mapping[str, Level] = {level.name.lower(): level for level in Level}

Who = Literal["all", "open", "closed", "unlocked", "notice", "reminder", "restricted", "locked"]
"""Phones by what they have to be now. Open is unlocked or notice, closed what is above; released phones are nobody."""


def _level(name: object) -> Level:
    if not isinstance(name, str) or name not in _LEVELS:
        raise ValueError(f"a level is one of {', '.join(_LEVELS)}")
    return _LEVELS[name]


LevelName = Annotated[Level, BeforeValidator(_level)]
Rate = Annotated[float, Field(gt=0, le=1_000_000)]
Share = Annotated[float, Field(gt=0, le=1)]
Pace = Annotated[float, Field(gt=0, le=1000)] | Literal["at-once"]
Jitter = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """A table of the file: no key that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Choice(Table):
    """One decision that a step may report, and what it has to lead to."""

    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    """How often it is chosen, beside the step's others."""
    type: Literal[
        "payment_overdue",
        "payment_received",
        "loan_settled",
        "dispute_opened",
        "dispute_closed",
        "lost_or_stolen",
        "recovered",
    ]
    expect: LevelName
    """What the phone has to be after it: the audit's measure, whatever the bridge says."""
    days_overdue: Annotated[int, Field(ge=0, le=36_500)] | None = None
    cures: bool | None = None
    amount_due: Annotated[int, Field(ge=0)] | None = None
    amount: Annotated[int, Field(ge=0)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None

    _needs: ClassVar[Mapping[str, str]] = {"payment_overdue": "days_overdue", "payment_received": "cures"}

    @model_validator(mode="after")
    def _complete(self) -> "Choice":
        needed = self._needs.get(self.type)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"{self.type} needs {needed}")
        return self

    def fields(self) -> Mapping[str, Any]:
        """Return what the bridge is told beside the phone, the time and the id."""
        return self.model_dump(exclude={"weight", "expect"}, exclude_none=True)


class _Step(Table):
    say: str = ""
    """What is shown while it is done; otherwise what it does."""
    with_next: bool = False
    """Whether the next step begins together with this one."""


class _Arriving(_Step):
    who: Who = "all"
    share: Share = 1.0
    """Of those, chosen at random."""
    pace: Pace = 1.0
    """How many times the run's rate; `at-once` for no rate at all."""
    repeat: bool = False
    """Whether it goes on for the run's duration, each time with another phone; else each has its turn once."""

    @model_validator(mode="after")
    def _at_a_rate(self) -> Self:
        if self.repeat and self.pace == AT_ONCE:
            raise ValueError("what repeats needs a pace: at once it would never end")
        return self


class Decide(_Arriving):
    """Report decisions to the bridge."""

    do: Literal["decide"]
    by: Literal["one", "list", "import"] = "one"
    """A request for each, requests of `list_of`, or one file for all."""
    list_of: Annotated[int, Field(ge=2, le=1000)] = 100
    decisions: Annotated[tuple[Choice, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _possible(self) -> "Decide":
        if self.by == "import" and self.repeat:
            raise ValueError("an import is one file: it cannot repeat")
        return self


class Replay(_Step):
    """Report months of the real repayment histories, and wait for every phone after each."""

    do: Literal["replay"]
    months: Annotated[int, Field(ge=1, le=6)] = 6
    by: Literal["one", "list"] = "list"
    list_of: Annotated[int, Field(ge=2, le=1000)] = 100
    pace: Pace = 1.0
    within: Duration = 120.0


class Offline(_Arriving):
    """Take phones off the network, each for a time of its own."""

    do: Literal["offline"]
    away: Times


class Reset(_Arriving):
    """Factory-reset phones: they forget everything, and have to be right again."""

    do: Literal["reset"]


class PowerCycle(_Arriving):
    """Take the power from phones and give it back."""

    do: Literal["power_cycle"]


class Check(_Arriving):
    """Press "check payment status"."""

    do: Literal["check"]


class KillBroker(_Step):
    """End the broker by SIGKILL; it comes back after a while, with whatever it had saved, or with nothing."""

    do: Literal["kill_broker"]
    down: Duration = 2.0
    keep: bool = True
    """Whether it finds what it had saved."""
    within: Duration = 300.0
    """How long everything may take to be right again; an operator as long to kill the broker, and to start it."""


class Settle(_Step):
    """Wait until every phone is connected, as it should be, and confirmed."""

    do: Literal["settle"]
    within: Duration = 60.0


class Pause(_Step):
    """Let time pass."""

    do: Literal["pause"]
    time: Duration


Step = Annotated[
    Decide | Replay | Offline | Reset | PowerCycle | Check | KillBroker | Settle | Pause, Field(discriminator="do")
]


class Network(Table):
    """How the phones connect."""

    connects_per_s: Rate = 1000.0
    """Attempts a second, over all phones."""
    backoff_cap: Duration = 2.0
    """The longest wait between one phone's attempts."""


_ALL_TAKEN = Threshold("decisions_failed", "==", 0)
"""Of every scenario that does not say another limit: where nothing was decided, every phone is right."""


def _thresholds(limits: Any) -> tuple[Threshold, ...]:
    if not isinstance(limits, Mapping) or not all(isinstance(limit, str) for limit in limits.values()):
        raise ValueError('expected lines like "unlock_ms.p99" = "< 250"')
    own = tuple(threshold_of(f"{metric}{limit}") for metric, limit in limits.items())
    return own if _ALL_TAKEN.metric in {one.metric for one in own} else (*own, _ALL_TAKEN)


def _finishing(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    if steps[-1].with_next:
        raise ValueError("the last step has no next one to begin together with")
    return steps


class Numbers(Table):
    """What flags can replace. Steps use all of it."""

    phones: Annotated[int, Field(ge=1, le=MOST_PHONES)] = 500
    rate: Rate = 100.0
    """Arrivals a second."""
    ramp: Duration = 0.0
    """How long each step's rate takes to rise from 0."""
    jitter: Jitter = 0.5
    duration: Duration = 30.0
    """Of the steps that repeat."""
    seed: int = 0


class Scenario(Numbers):
    """A whole scenario. Its tables are described in `docs/fleet.md`."""

    about: str
    """What it shows, in a sentence."""
    audit_within: Duration = 60.0
    """How long phones may take, after the last step, to be right: what is not by then is lost."""
    network: Network = Network()
    thresholds: Annotated[tuple[Threshold, ...], BeforeValidator(_thresholds)] = (_ALL_TAKEN,)
    step: Annotated[tuple[Step, ...], Field(min_length=1, strict=False), AfterValidator(_finishing)]

    def groups(self) -> Sequence[Sequence[Step]]:
        """Return the steps, those together that are done at the same time."""
        groups: list[list[Step]] = [[]]
        for step in self.step:
            groups[-1].append(step)
            if not step.with_next:
                groups.append([])
        return groups[:-1]
