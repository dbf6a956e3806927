"""Bridge core and phone cores around one broker in memory, with a clock that moves when told and faults on demand.

Real: deliverer, listener, outbox, jobs, the SQL store on a file, and the phones' step functions. In memory: the broker,
which retains and delivers as its port says, and the connections to it. A message waits in `down` or `up` until it is
delivered, so that a test can drop, repeat and reorder whatever is on its way.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, Executable

from broker_bridge.adapters.store.group_commit import GroupCommit, Submission, Submitted
from broker_bridge.adapters.store.short import in_transaction
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.canary import decode_canary
from broker_bridge.app.confirm import Judge
from broker_bridge.app.decide import Decided
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import Listener
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.broker import BrokerUnavailableError, OnPublished, PublishRefusedError, Received
from broker_bridge.app.ports.store import StoreUnavailableError
from broker_bridge.app.records import Command
from broker_bridge.app.session import PhonesSession
from broker_bridge.app.sign import Queue, SigningClock
from broker_bridge.domain.decisions import Decision
from broker_bridge.domain.phones import Phone as PhoneRow
from device_sim.phone.effects import Effect, Publish
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level
from lock_protocol.topics import PhoneTopic, Topics
from tests.bridge_rig import ACME, KeptLog, Office, SetClock
from tests.conftest import new_sqlite
from tests.loopback.handset import Handset
from tests.loopback.lender import Lender
from tests.loopback.virtual_time import VirtualTimeLoop

T = TypeVar("T")
TOPICS = Topics()
WINDOW = 4
LANE_LIMIT = 8
SLICE_S = 0.05
"""All that happens at once on both sides has happened when so much time has passed."""


class InlineCommits(GroupCommit):
    """Commits without a thread: one is done when the submitter's turn is over.

    `at_commit` is called before and after each.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.available = True
        self.at_commit: Callable[[], object] = lambda: None

    async def _submit(self, jobs: Sequence[Submitted], *, overtakes: int = 0) -> None:
        del overtakes  # nothing waits
        if not self.available:
            for submitted in jobs:
                submitted.error = StoreUnavailableError("the disk is full")
            return
        self.at_commit()
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commit_batch([Submission(jobs, over)])
        self.at_commit()
        await over


class InlineStore(SqlStore):
    """The SQL store without its threads."""

    commits: InlineCommits

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.commits = InlineCommits(self._writing)

    async def execute(self, statement: Executable) -> None:
        """Change what is stored behind the bridge's back."""
        await self._write(lambda connection: connection.execute(statement))

    async def _read(self, query: Callable[..., T]) -> T:
        return in_transaction(self._engine, query)

    async def _write(self, query: Callable[..., T]) -> T:
        return in_transaction(self._writing, query)

    def close(self) -> None:
        self._dispose()


class LoopClock(SetClock):
    """The loop's time; `skew` is how far the wall clock is wrong."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop
        self.skew = 0

    def now(self) -> int:
        return self.wall + int(self._loop.time()) + self.skew

    def monotonic(self) -> float:
        return self._loop.time()


class LinkedHandset(Handset):
    """A handset whose words can be sent on."""

    def __init__(self, authority: Any, *, imei: Imei) -> None:
        self.words: list[tuple[PhoneTopic, bytes]] = []
        super().__init__(authority, imei=imei)

    @property
    def shown(self) -> tuple[Level, Condition]:
        """What its user sees, and how it came to that."""
        return self.level, self.condition

    def _perform(self, effects: Iterable[Effect]) -> None:
        effects = tuple(effects)
        self.words += [(one.topic, one.envelope) for one in effects if isinstance(one, Publish)]
        super()._perform(effects)


@dataclass
class Connection:
    """The bridge's connection: the `PhonesLine` of its ports, until it is cut."""

    world: "World"
    window: int = 1000
    incoming: "asyncio.Queue[Received]" = field(default_factory=asyncio.Queue)
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    sending: set["asyncio.Task[None]"] = field(default_factory=set)

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        world = self.world
        world.at_crossing()
        if self.cut.is_set() or world.losing == "publish":
            raise self._ended()
        if topic in world.denied:
            raise PublishRefusedError("not authorized")
        world.put(topic, payload, retain=retain, by_bridge=True)
        if world.losing == "puback":
            raise self._ended()
        await world.pubacks.wait()
        world.at_crossing()

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        publishing = self.world.loop.create_task(self.publish(topic, payload, retain=retain))
        self.sending.add(publishing)
        publishing.add_done_callback(self.sending.discard)
        publishing.add_done_callback(lambda publish: on_published(_outcome(publish)))

    def end(self) -> None:
        """Tell of everything that is still on its way."""
        for publishing in self.sending:
            publishing.cancel()

    def _ended(self) -> BrokerUnavailableError:
        self.cut.set()
        return BrokerUnavailableError("the connection ended")


def _outcome(publish: "asyncio.Task[None]") -> PublishRefusedError | BrokerUnavailableError | None:
    if publish.cancelled():
        return BrokerUnavailableError("the connection ended")
    error = publish.exception()
    assert error is None or isinstance(error, PublishRefusedError | BrokerUnavailableError)
    return error


class World:
    """One bridge, one broker, some phones."""

    def __init__(self, database: Path, lender: Lender | None = None) -> None:
        self.loop = VirtualTimeLoop()
        self.office = Office(lender or Lender())
        self.clock = LoopClock(self.loop)
        self.office.clock = self.clock
        self.log = KeptLog()
        self.database = database
        self.phones: dict[Imei, LinkedHandset] = {}
        self.connected: set[Imei] = set()
        self.retained: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []
        self.down: list[tuple[Imei, PhoneTopic, bytes]] = []
        self.up: list[tuple[Imei, PhoneTopic, bytes]] = []
        self.denied: set[str] = set()
        self.losing: str = ""
        """What is lost next: "publish" on its way to the broker, or "puback" on its way back."""
        self.pubacks = asyncio.Event()
        self.pubacks.set()
        self.dies_at = -1
        """The crossing at which the bridge is killed; -1 for never."""
        self.crossings = 0
        self.acknowledged: dict[Imei, Decided] = {}
        """Kept outside the system: the newest answer that the lender was given for each phone."""
        self._names = count()
        self.start_bridge()

    # --- the bridge's life ---

    def start_bridge(self) -> None:
        """Start a bridge with nothing but the database, and connect it."""
        if self.database.exists():
            self.store = InlineStore(f"sqlite:///{self.database}")
        else:
            self.store = InlineStore(new_sqlite(self.database))
            self.loop.run(self.store.lenders.add(ACME, b"k" * 32, at=1))
        self.store.commits.at_commit = self.at_crossing
        self.office.queue = Queue(self.office.signer, SigningClock(self.clock), self.clock)
        judge = Judge(self.office.queue, self.clock, PhonesLog(self.log, self.clock))
        self.deliverer = Deliverer(
            store=self.store.commits,
            states=self.store.outgoing,
            canaries=self.store.canaries,
            outbox=Outbox(window=WINDOW, lane_limit=LANE_LIMIT),
            topics=TOPICS,
            judge=judge,
            clock=self.clock,
            log=self.log,
            new_token=lambda: f"token-{next(self._names)}",
        )
        self.store.commits.on_committed(self.deliverer.publish)
        self.store.commits.on_doubt(self.deliverer.look_again)
        self.listener = Listener(self.store.commits, self.deliverer, judge)
        self.connect_bridge()

    def connect_bridge(self) -> None:
        """Connect, as the composition root does: read the canary, then deliver and listen."""
        self.losing = ""
        self.connection = Connection(self)
        self.session = self.loop.create_task(self._session(self.connection))
        self.run(SLICE_S)

    async def _session(self, connection: Connection) -> None:
        token = decode_canary(self.retained.get(TOPICS.canary, b""))
        phones = PhonesSession(self.store.canaries, self.deliverer, self.listener, roots=(), beat=asyncio.Event().wait)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(phones.run(connection, connection.incoming, token))
                tasks.create_task(self._watch(connection))
        finally:
            connection.end()

    async def _watch(self, connection: Connection) -> None:
        await connection.cut.wait()
        raise BrokerUnavailableError("the connection ended")

    def cut_bridge(self) -> None:
        """End the bridge's connection; it comes back with `connect_bridge`."""
        self.connection.cut.set()
        self.run(SLICE_S)

    @property
    def online(self) -> bool:
        """Whether the bridge is connected."""
        return not self.session.done()

    def kill_bridge(self) -> None:
        """End the bridge with all that it had in memory."""
        self.session.cancel()
        self.run(SLICE_S)
        self.store.close()

    def close(self) -> None:
        self.kill_bridge()
        self.loop.close()

    def at_crossing(self) -> None:
        """The bridge is about to cross a border, or just has: the moments at which a kill matters."""
        self.crossings += 1
        if self.crossings == self.dies_at:
            self.session.cancel()
            raise asyncio.CancelledError

    # --- the broker ---

    def put(self, topic: str, payload: bytes, *, retain: bool, by_bridge: bool = False) -> None:
        """Publish something: retain it and send it to whoever has subscribed."""
        if retain:
            self.retained[topic] = payload
        self.published.append((topic, payload))
        if "/phones/" not in topic:
            return
        imei, kind = TOPICS.parse_phone(topic)
        if kind in (PhoneTopic.DESIRED, PhoneTopic.FRESH) and imei in self.connected:
            self.down.append((imei, kind, payload))
        if self.online and not by_bridge and kind is not PhoneTopic.FRESH:
            self.connection.incoming.put_nowait(Received(topic, payload, retained=False))

    def restart_broker(self, retained: dict[str, bytes]) -> None:
        """Kill the broker and bring it back with what it had saved."""
        for imei in sorted(self.connected):
            self.disconnect(imei)
        self.cut_bridge()
        self.retained = dict(retained)
        self.connect_bridge()

    def desired_on_broker(self, imei: Imei) -> bytes:
        return self.retained[TOPICS.phone(imei, PhoneTopic.DESIRED)]

    def intrude(self, imei: Imei, payload: bytes) -> None:
        """Put something over a phone's retained state, as whoever holds the bridge's broker password can."""
        self.put(TOPICS.phone(imei, PhoneTopic.DESIRED), payload, retain=True)

    # --- phones ---

    def connect(self, imei: Imei) -> None:
        if imei in self.connected:
            return
        self.connected.add(imei)
        if (retained := self.retained.get(TOPICS.phone(imei, PhoneTopic.DESIRED))) is not None:
            self.down.append((imei, PhoneTopic.DESIRED, retained))
        self.phones[imei].connect()
        self.collect(imei)

    def disconnect(self, imei: Imei) -> None:
        """Cut a phone off; what was on its way to it is lost."""
        if imei not in self.connected:
            return
        self.connected.remove(imei)
        self.down = [one for one in self.down if one[0] != imei]
        self.phones[imei].disconnect()

    def factory_reset(self, imei: Imei) -> None:
        self.disconnect(imei)
        self.phones[imei].factory_reset()

    def reboot(self, imei: Imei) -> None:
        self.disconnect(imei)
        self.phones[imei].reboot()

    def collect(self, imei: Imei) -> None:
        """Put on its way what a phone has said; offline nobody hears it."""
        words, self.phones[imei].words = self.phones[imei].words, []
        if imei in self.connected:
            self.up += [(imei, topic, payload) for topic, payload in words]

    # --- delivery ---

    def deliver_down(self, message: tuple[Imei, PhoneTopic, bytes]) -> None:
        imei, topic, payload = message
        if imei not in self.connected:
            return
        phone = self.phones[imei]
        phone.receive(payload) if topic is PhoneTopic.DESIRED else phone.receive_fresh(payload)
        self.collect(imei)

    def deliver_up(self, message: tuple[Imei, PhoneTopic, bytes]) -> None:
        imei, topic, payload = message
        self.put(TOPICS.phone(imei, topic), payload, retain=False)

    def exchange(self) -> None:
        """Deliver everything that is on its way, and what that brings about, until there is nothing more."""
        self.run(SLICE_S)
        while self.up or self.down:
            up, self.up = self.up, []
            for message in up:
                self.deliver_up(message)
            self.run(SLICE_S)
            down, self.down = self.down, []
            for message in down:
                self.deliver_down(message)
            self.run(SLICE_S)

    def run(self, seconds: float) -> None:
        """Let the bridge work; a session may end by its connection, and by nothing else."""
        self.loop.pass_time(seconds)
        if self.session.done() and not self.session.cancelled():
            with contextlib.suppress(asyncio.CancelledError):
                _raise_unless_disconnected(self.session.exception())

    def pass_time(self, seconds: int) -> None:
        """Let time pass for everybody, second by second."""
        for _ in range(seconds):
            self.run(1 - SLICE_S)
            for imei, phone in self.phones.items():
                phone.wait(1)
                self.collect(imei)
            self.exchange()

    # --- lenders and what can be asked ---

    def enrol(self, imei: Imei) -> LinkedHandset:
        """Enrol a phone and switch it on."""
        self.loop.run(self.store.commits.commit(self.office.enrol(imei)))
        phone = self.phones[imei] = LinkedHandset(self.office.lender.authority, imei=imei)
        phone.boot()
        return phone

    def tell(self, decision: Decision) -> Decided:
        """Send a decision as its lender; the answer is kept outside."""
        decided = self.loop.run(self.store.commits.commit(self.office.decide(decision)))
        self.acknowledged[decision.imei] = decided
        return decided

    def row(self, imei: Imei) -> PhoneRow:
        phone = self.loop.run(self.store.phones.one(ACME, imei))
        assert phone is not None
        return phone

    def command(self, decided: Decided) -> Command:
        assert decided.command_id is not None
        command = self.loop.run(self.store.commands.one(ACME, decided.command_id))
        assert command is not None
        return command

    def newest_command(self, imei: Imei) -> Command:
        command = self.loop.run(self.store.commands.one(ACME, self.row(imei).command_id))
        assert command is not None
        return command

    def due_level(self, imei: Imei) -> Level:
        """The level that the newest acknowledged decision asks for."""
        return self.acknowledged[imei].level if imei in self.acknowledged else Level.UNLOCKED


def _raise_unless_disconnected(error: BaseException | None) -> None:
    match error:
        case None | BrokerUnavailableError() | asyncio.CancelledError():
            return
        case BaseExceptionGroup():
            for one in error.exceptions:
                _raise_unless_disconnected(one)
        case _:
            raise error
