"""The bridge's ports in a test's hands: a clock that is set, a log that is read, a signer, jobs made of functions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from broker_bridge.adapters.policies.profiles import profile
from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.app.decide import Decide
from broker_bridge.app.enrol import Enrol
from broker_bridge.app.key_conflicts import KeyConflicts
from broker_bridge.app.policies import Policies
from broker_bridge.app.ports.queries import Heartbeat
from broker_bridge.app.ports.signing import UnknownLenderError
from broker_bridge.app.ports.store import StoreUnavailableError, Transaction
from broker_bridge.app.ports.surroundings import Clock
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.app.standby import Standby
from broker_bridge.domain.decisions import Decision, DecisionId
from broker_bridge.domain.policy import Policy
from lock_protocol.envelope import FRESH, seal
from lock_protocol.imei import Imei
from lock_protocol.keys import PublicKey, SigningKey
from lock_protocol.messages import Delegation, DesiredState, Fresh, LenderId
from lock_protocol.trust import verify_delegation
from tests.loopback.handset import SEED
from tests.loopback.lender import DAY, EPOCH_BEGIN, Lender

T = TypeVar("T")

ACME = LenderId("acme-mobile")
REPLAY = profile("replay")
DEVICE = SigningKey.from_seed(SEED)
"""The device key of every `Handset`."""
NOTHING: Mapping[str, str] = MappingProxyType({})
CREDENTIAL = "$7$1$AAAAAAAAAAAAAAAA$" + "A" * 86 + "=="


@dataclass
class SetClock:
    """A clock that shows what it was set to."""

    wall: int = EPOCH_BEGIN + DAY
    ticks: float = 0.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.wall += seconds
        self.ticks += seconds


@dataclass
class KeptHeartbeat:
    """The heartbeat of the bridge that has the broker, in memory."""

    kept: Heartbeat | None = None
    away: bool = False
    """Whether the database does not answer."""
    _free: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def hung(self) -> AsyncIterator[None]:
        """Have whatever is asked meanwhile wait, and be answered in its order then."""
        async with self._free:
            yield

    async def claim(self, first: Heartbeat) -> None:
        await self._ask()
        self.kept = first

    async def beat(self, one: Heartbeat) -> bool:
        await self._ask()
        if self.kept is None or self.kept.bridge != one.bridge:
            return False
        self.kept = one
        return True

    async def latest(self) -> Heartbeat | None:
        await self._ask()
        return self.kept

    async def remove(self, bridge: str) -> None:
        await self._ask()
        if self.kept is not None and self.kept.bridge == bridge:
            self.kept = None

    async def _ask(self) -> None:
        async with self._free:
            pass
        if self.away:
            raise StoreUnavailableError("the database is away")


def lone_standby(clock: Clock, log: "KeptLog") -> Standby:
    """What a bridge has that is the only one."""
    return Standby(
        heartbeats=KeptHeartbeat(),
        clock=clock,
        log=log,
        new_token=lambda: "the only one",
        on_taking_over=lambda: None,
    )


@dataclass
class KeptLog:
    """A log that keeps what it is told."""

    entries: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def info(self, event: str, **fields: Any) -> None:
        self._keep("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._keep("warning", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        self._keep("critical", event, fields)

    def _keep(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.entries.append((level, event, fields))
        self._grown.set()

    async def repeated(self, event: str, times: int) -> None:
        """Return when an event has been logged so many times."""
        while sum(one == event for _, one, _ in self.entries) < times:
            self._grown.clear()
            await self._grown.wait()

    def events(self, level: str) -> list[str]:
        """What was logged at a level, in order."""
        return [event for at, event, _ in self.entries if at == level]


@dataclass
class LenderSigner:
    """The `Signer` of lenders whose keys the test has."""

    lenders: dict[LenderId, Lender]

    def delegation(self, lender: LenderId) -> Delegation:
        one = self._of(lender)
        return verify_delegation(one.authority.root, one.delegation)

    def delegations(self) -> Sequence[Delegation]:
        return [self.delegation(lender) for lender in self.lenders]

    def sign_state(self, state: DesiredState) -> bytes:
        return self._of(state.lender).sign(state)

    def sign_fresh(self, fresh: Fresh) -> bytes:
        lender = self._of(fresh.lender)
        return seal(FRESH, fresh, [lender.open_key], lender.delegation)

    def _of(self, lender: LenderId) -> Lender:
        try:
            return self.lenders[lender]
        except KeyError:
            raise UnknownLenderError(f"no keys of {lender}") from None


def signer_of(*lenders: Lender) -> LenderSigner:
    return LenderSigner({LenderId(lender.name): lender for lender in lenders})


@dataclass(frozen=True)
class Work(Generic[T]):
    """A job made of a function."""

    act: Callable[[Transaction], T]
    imeis: Collection[Imei] = ()
    decisions: Collection[tuple[LenderId, DecisionId]] = ()

    def run(self, tx: Transaction) -> T:
        return self.act(tx)


@dataclass
class Office:
    """What makes the jobs of lenders: keys, a clock and a policy."""

    lender: Lender = field(default_factory=Lender)
    clock: SetClock = field(default_factory=SetClock)
    policy: Policy = REPLAY
    log: KeptLog = field(default_factory=KeptLog)

    def __post_init__(self) -> None:
        self.signer = signer_of(self.lender)
        self.queue = Queue(self.signer, SigningClock(self.clock), self.clock)
        self.key_conflicts = KeyConflicts(self.log)

    @property
    def reconsider(self) -> Reconsider:
        """What judges phones by this office's policy."""
        return Reconsider(Policies(self.policy, read_policy), self.queue, self.clock)

    def enrol(
        self,
        imei: Imei,
        *,
        lender: LenderId = ACME,
        loan_id: str = "loan",
        device_key: PublicKey = DEVICE.public,
        credential: str = CREDENTIAL,
        time_zone: str = "",
        evidence: Mapping[str, str] = NOTHING,
    ) -> Enrol:
        return Enrol(
            lender=lender,
            imei=imei,
            loan_id=loan_id,
            device_key=device_key,
            consent="signed on paper",
            credential=credential,
            evidence=evidence,
            time_zone=time_zone,
            reconsider=self.reconsider,
            key_conflicts=self.key_conflicts,
        )

    def decide(self, decision: Decision) -> Decide:
        return Decide(decision, self.reconsider)
