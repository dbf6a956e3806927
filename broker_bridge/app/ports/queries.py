"""What is asked of the database outside jobs, and the small writes that are no jobs: a port for each use of it.

All methods raise `StoreUnavailableError` when the database does not answer.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from broker_bridge.app.records import (
    AuditEntry,
    Command,
    LenderRecord,
    Outgoing,
    Page,
    PolicyVersion,
    RecordedDecision,
    Sweep,
)
from broker_bridge.domain.access import ApiKey, KeyId
from broker_bridge.domain.commands import Status
from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import CommandId, Phone
from lock_protocol.imei import Imei
from lock_protocol.messages import Delegation, LenderId


class Phones(Protocol):
    """Phones, as their lenders look them up."""

    async def one(self, lender: LenderId, imei: Imei) -> Phone | None:
        """Return a lender's phone."""

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[Phone]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""

    async def history(self, lender: LenderId, imei: Imei, after: str, limit: int) -> Page[AuditEntry]:
        """Return what has happened to a lender's phone, the newest first, from the entry behind `after` on."""


class Commands(Protocol):
    """Commands, as their lenders look them up."""

    async def one(self, lender: LenderId, command_id: CommandId) -> Command | None:
        """Return a lender's command."""

    async def newest_of(self, lender: LenderId, imei: Imei, decision_id: DecisionId) -> Command | None:
        """Return the newest command that stands for a decision: it may have been held, or signed again."""


class Decisions(Protocol):
    """Decisions, as their lenders look them up."""

    async def one(self, lender: LenderId, decision_id: DecisionId) -> RecordedDecision | None:
        """Return the record of a lender's decision."""


class Lenders(Protocol):
    """Lenders, and which policy each has."""

    async def one(self, lender: LenderId) -> LenderRecord:
        """Return a lender's record.

        Raises:
            UnknownLenderError: there is no such lender.
        """

    async def with_phones(self) -> Sequence[LenderId]:
        """Return the lenders that have enrolled a phone."""


class PolicyVersions(Protocol):
    """The versions of lenders' own policies."""

    async def all_of(self, lender: LenderId, before: str, limit: int) -> Page[PolicyVersion]:
        """Return versions of a lender's own policy, the newest first, from the one behind `before` on.

        They come without their documents.
        """

    async def one(self, lender: LenderId, version: int | None = None) -> PolicyVersion | None:
        """Return one version of a lender's own policy; without a number, the newest."""


class ApiKeys(Protocol):
    """API keys, as their lenders administer them."""

    async def all_of(self, lender: LenderId, after: str, limit: int) -> Page[ApiKey]:
        """Return a lender's API keys by id, from the one behind `after` on; revoked ones too."""

    async def add(self, key: ApiKey) -> None:
        """Add an API key.

        Raises:
            UnknownLenderError: nobody has added its lender.
        """

    async def revoke(self, lender: LenderId, key_id: KeyId, at: int, *, even_last_admin: bool = False) -> ApiKey | None:
        """Revoke an API key and return it as it is now; one that is revoked stays as it was. None: there is none such.

        Raises:
            LastAdminKeyError: nobody of this lender could make or revoke keys any more.
        """


class OutgoingStates(Protocol):
    """What is to be published."""

    async def claim(self, lane: Lane, now: int, limit: int, *, put_off: bool = False) -> Sequence[Outgoing]:
        """Return states of this lane whose newest command is due, the longest waiting first.

        With `put_off`, only those that fell due later than they were made: to be published again, or after a refusal.
        """

    async def newest(self, imeis: Collection[Imei]) -> Sequence[Outgoing]:
        """Return the newest states of phones, each in its command's lane while that is pending."""

    async def sent_before(self, at: int, limit: int) -> Sequence[Imei]:
        """Return phones whose newest command was sent before `at` and is still `sent`."""

    async def put_timed_out(self, imei: Imei, sent_before: int) -> None:
        """Have what was sent before `sent_before` to a phone whose row cannot be read not hold up the others."""

    async def published_after(
        self, number: int, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Outgoing]:
        """Return states published with a number above `number` or with none, by IMEI, of open or of closed levels."""


class Canaries(Protocol):
    """Which publishes a broker has had, as it and the database both remember."""

    async def put(self, token: str, number: int) -> None:
        """Remember a canary before it is published."""

    async def number_of(self, token: str) -> int | None:
        """Return the publish number of a canary that this database has stored."""

    async def newest_publish_number(self) -> int:
        """Return the highest number that any publish was acknowledged with, or that a canary was made for."""


class Heartbeat(NamedTuple):
    """A sign of life of the bridge that has the broker."""

    bridge: str
    """Its name for as long as it has it."""
    number: int


class Heartbeats(Protocol):
    """Which of all bridges on one database has the broker, and whether it lives."""

    async def claim(self, first: Heartbeat) -> None:
        """Have the broker belong to a bridge, whosever it was."""

    async def beat(self, one: Heartbeat) -> bool:
        """Replace a bridge's heartbeat by its next one; False when the broker is not that bridge's any more."""

    async def latest(self) -> Heartbeat | None:
        """Return the latest heartbeat; None when whoever had the broker has retired."""

    async def remove(self, bridge: str) -> None:
        """Have the broker be nobody's, if it is this bridge's."""


class SignedStates(Protocol):
    """Under which delegations states were signed."""

    async def under_older(
        self, delegation: Delegation, *, opening: bool, after: Imei | None, limit: int
    ) -> Sequence[Imei]:
        """Return, by IMEI, phones of open or of closed levels whose state an older delegation covers."""

    async def newest_delegation(self, lender: LenderId) -> tuple[int, int]:
        """Return the highest epoch and the highest delegation version that a state of this lender was signed under."""


class Schedule(Protocol):
    """Which phones are to be judged again."""

    async def due(self, now: int, limit: int) -> Sequence[Imei]:
        """Return phones that are to be judged again at `now` (seconds UTC), the longest waiting first."""

    async def put_off(self, imei: Imei, at: int) -> None:
        """Have a phone whose row cannot be read judged again later, so that it does not hold up the others."""

    async def sweeps(self, now: int) -> Sequence[Sweep]:
        """Return the sweeps that are under way at `now` (seconds UTC)."""

    async def imeis_after(self, lender: LenderId, after: str, limit: int) -> Sequence[Imei]:
        """Return a lender's phones by IMEI, from the one behind `after` on."""

    async def swept(self, sweep: Sweep, upto: Imei | None) -> None:
        """Note how far a sweep is (None: it is over), unless a new one has begun meanwhile."""


class FinishedCommands(Protocol):
    """Commands that are over, and can be forgotten."""

    async def between(
        self, statuses: Collection[Status], *, since: int, before: int, limit: int
    ) -> Sequence[tuple[int, CommandId]]:
        """Return when they ended, and the ids, of commands that have one of these statuses and are no phone's newest.

        The oldest first, from those that ended at `since` (above 0) on, up to `before` and without it.
        """

    async def forget(self, those: Collection[CommandId]) -> int:
        """Delete those of these commands that are no phone's newest; return how many they were."""


class Credentials(Protocol):
    """What phones prove themselves with to the broker."""

    async def page(self, after: str, limit: int) -> Sequence[tuple[Imei, str]]:
        """Return phones with their password hashes by IMEI, from the one behind `after` on."""
