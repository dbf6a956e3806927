"""A phone as the bridge knows it: whose it is, what it should be, what it says it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from lock_protocol.acceptance import lease_level
from lock_protocol.codec import decode_own
from lock_protocol.compiling import compile_replace, quick
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey
from lock_protocol.levels import Condition, Level, Reason, Signals
from lock_protocol.messages import NO_HASH, DesiredState, Hello, LenderId, Reported, StateHash

from broker_bridge.domain.decisions import DecisionId
from broker_bridge.domain.episode import Episode
from broker_bridge.domain.lanes import Lane, lane_of
from broker_bridge.domain.loans import Loan

CommandId = NewType("CommandId", str)

NO_MESSAGE = -1
"""The sequence of a phone that has said nothing yet: its first word may have the number 0."""

CONTRACT = "contract"
"""The kind of evidence that every enrolled phone has: the lender's reference to the borrower's agreement."""


class PhoneStatus(StrEnum):
    """The life of an enrolment. A released phone stays for ever, so that a reset cannot relock it."""

    PENDING = "pending"
    ACTIVE = "active"
    RELEASING = "releasing"
    RELEASED = "released"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The newest signed state: the very bytes that are published, and what is asked of them most."""

    order: tuple[int, int]
    """(epoch, version): what grows with each state."""
    delegation_version: int
    level: Level
    state_hash: StateHash
    envelope: bytes
    _state: DesiredState | None = field(default=None, repr=False, compare=False)

    @classmethod
    def signed(cls, state: DesiredState, state_hash: StateHash, envelope: bytes) -> "Desired":
        """Return a state that has just been signed."""
        return cls(
            order=(state.epoch, state.version),
            delegation_version=state.delegation_version,
            level=state.level,
            state_hash=state_hash,
            envelope=envelope,
            _state=state,
        )

    @property
    def state(self) -> DesiredState:
        """The state in the signed bytes, read when it is first asked for: most of what happens to a phone never does.

        They are not checked anew: the bridge has made them of a state that it checked, and signs no other.
        """
        state = self._state
        if state is None:
            state = decode_own(DesiredState, read_envelope(self.envelope).payload)
            object.__setattr__(self, "_state", state)
        return state


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A phone's newest verified word about itself."""

    epoch: int
    version: int
    state_hash: StateHash
    level: Level
    condition: Condition
    signals: Signals
    boot_count: int
    at: int
    """Bridge's clock when it was accepted, seconds UTC."""

    def holds(self, desired: Desired) -> bool:
        """Return whether the phone says it holds exactly this state."""
        return (self.epoch, self.version, self.state_hash) == (*desired.order, desired.state_hash)

    def forks(self, desired: Desired) -> bool:
        """Return whether the phone says it holds another state of the same order, and so takes this one never.

        After an offline code it holds none of that order yet.
        """
        same = (self.epoch, self.version) == desired.order
        return same and self.state_hash not in (desired.state_hash, NO_HASH)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One enrolled phone: the aggregate that is locked, changed and committed as a whole."""

    lender: LenderId
    imei: Imei
    loan_id: str
    device_key: PublicKey
    consent: str
    """Evidence that the borrower agreed: the lender's reference to it."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """More of it: kind to reference."""
    time_zone: str = ""
    """The borrower's, an IANA name; empty for not known."""
    credential: str
    """The broker's password hash for this phone."""
    status: PhoneStatus
    loan: Loan
    episode: Episode = field(default_factory=Episode)
    wanted: Level = Level.UNLOCKED
    """The level that the arrears ask for, whether or not it is permitted yet."""
    held_decision: DecisionId | None = None
    """The decision whose level is held back, if one is: what follows by itself later follows from it."""
    look_at: int = 0
    """When to judge it again, seconds UTC; 0 for when something happens."""
    desired: Desired
    command_id: CommandId
    said: Said | None = None
    sequence: int = NO_MESSAGE
    """The last sequence accepted from this phone."""
    seen_version: int = 0
    """The highest version that nobody had queued and the phone has claimed in this epoch; the next one is above it."""
    refused_openings: int = 0
    """How often in a row this phone has refused an opening: the back-off before the next is signed."""
    publish_number: int = 0
    """The number of the publish that the broker acknowledged last for this phone."""

    @property
    def evidence_kinds(self) -> frozenset[str]:
        """The kinds of evidence that are on file."""
        return frozenset({CONTRACT, *self.evidence})

    @property
    def signals(self) -> Signals:
        """What the phone has noticed about itself."""
        return Signals(0) if self.said is None else self.said.signals

    @property
    def is_held(self) -> bool:
        """Whether the arrears ask for a level that is not permitted yet."""
        return self.wanted > self.desired.level

    @property
    def reported_level(self) -> Level | None:
        """The level that the phone has said it applied."""
        return None if self.said is None else self.said.level

    @property
    def may_be_at(self) -> Level | None:
        """The highest level that the phone may be at: it may have applied a newer state than the one it spoke of."""
        if self.said is None or self.said.holds(self.desired):
            return self.reported_level
        return max(self.said.level, self.desired.level)

    @property
    def lane(self) -> Lane:
        """The lane of the newest state."""
        return lane_of(self.desired.level, self.reported_level)

    @property
    def next_version(self) -> int:
        """The version that the next state gets."""
        return max(self.desired.order[1], self.seen_version) + 1

    @property
    def has_climbed(self) -> bool:
        """Whether its newest version was made to go above what the phone claimed, or its next one is going to be."""
        return self.seen_version > 0 and self.desired.order[1] <= self.seen_version + 1

    def heard(self, said: Said, sequence: int, now: int, *, proven: bool) -> "Phone":
        """Return the phone after its own word: when that changes what it should be, it is to be judged again at once.

        Args:
            said: the word.
            sequence: its number among the phone's words.
            now: the bridge's clock, seconds UTC.
            proven: whether the word shows that the phone applied its newest state.
        """
        episode = self.episode
        if proven and self.desired.state.reason is Reason.OVERDUE:
            # A phone whose lease has locked it has not shown its user more than it was sent.
            episode = episode.reached(min(said.level, self.desired.level), now)
        changes = (episode is not self.episode and self.is_held) or said.signals != self.signals or self._shut(said)
        return changed_phone(
            self,
            said=said,
            episode=episode,
            look_at=now if changes else self.look_at,
            sequence=max(sequence, self.sequence),
            status=PhoneStatus.ACTIVE if self.status is PhoneStatus.PENDING else self.status,
        )

    def _shut(self, said: Said) -> bool:
        """Return whether a phone says that its lease is over, which has closed it.

        Its time may be ahead of the bridge's, by which the lease would last.
        """
        return said.condition is Condition.LEASE_FIRED and said.level > self.desired.level and said.holds(self.desired)

    def proves(self, said: Said, trusted_now: int) -> bool:
        """Return whether a phone's word about itself shows that it applied the newest state.

        The level counts too: a phone that holds the state but could not apply it has proven nothing.
        """
        applied = said.condition in (Condition.APPLIED, Condition.LEASE_FIRED)
        return applied and said.holds(self.desired) and said.level == lease_level(self.desired.state, trusted_now)


changed_phone = compile_replace(Phone)
"""`replace` for a phone, which changes several times with each job."""


def said_in(word: Hello | Reported, at: int) -> Said:
    """Return what a verified hello or report says about its phone."""
    return Said(
        epoch=word.epoch,
        version=word.version,
        state_hash=word.state_hash,
        level=word.effective_level,
        condition=word.condition,
        signals=word.signals,
        boot_count=word.boot_count,
        at=at,
    )


def is_about(report: Reported, desired: Desired) -> bool:
    """Return whether a report speaks of exactly this state."""
    return (report.about_epoch, report.about_version, report.about_hash) == (*desired.order, desired.state_hash)
