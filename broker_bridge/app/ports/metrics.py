"""What the bridge is measured by: what its parts tell as it happens, and what is read off them when somebody asks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from broker_bridge.app.records import Command, Outgoing
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.lanes import Lane

Way = Literal["http", "import", "mqtt"]
"""By which way a decision came."""

REFUSED: Final = "refused"
REPEATED: Final = "repeated"


class Meters(Protocol):
    """What has to be told as it happens."""

    def decided(self, way: Way, decision: Decision, effect: str) -> None:
        """Count a decision by what it did: its effect, or `REPEATED`, or `REFUSED`."""

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request that has been answered, and time it."""


class Metrics(Protocol):
    """All that is measured."""

    @property
    def meters(self) -> Meters:
        """Whom to tell."""

    @property
    def content_type(self) -> str:
        """The media type of the page."""

    async def page(self, names: Collection[str] = ()) -> bytes:
        """Return everything, or what has these names. It never fails: what the database does not say is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What came of jobs that were committed together."""

    jobs: int
    duration_s: float
    failed: bool = False
    """Whether the database did not take them. A job that raised on its own account is no failure."""
    in_doubt: bool = False
    """Whether it may have taken them all the same."""
    to_publish: Sequence[Outgoing] = ()
    to_tell: Sequence[Command] = ()
    moved: Collection[Command] = ()
    """Commands that are new or in another status now."""


@dataclass(frozen=True, slots=True)
class Oldest:
    """How long the commands of a lane have waited. Seconds UTC; None where there is none."""

    pending_since: int | None
    """When the oldest command that is still pending was made."""
    due_since: int | None
    """When the command that is due for longest was to be published."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far the bridge is behind."""

    commands: Mapping[Lane, Oldest]
    to_judge_since: int | None
    """When the phone that waits for longest was to be judged again, seconds UTC; it may lie ahead."""
