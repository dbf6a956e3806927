"""What each stage of a decision's way costs, in microseconds of processor time: the real code, in one process.

Lender's file → read and parsed → decided and signed → committed → published → verified, applied and reported by the
phone → the report verified and committed, with the broker's acknowledgement. A stage is done for all of the file, or
for a hundred phones, before the next begins, so that the processor time of the whole process is that stage's. The
broker is real and its own time is not counted, nor is the reading of reports from the broker: a running bridge's
processor time (`cpu_us`) has that.
"""

import asyncio
import secrets
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

from broker_bridge.adapters.mqtt.client import BrokerAddress
from broker_bridge.adapters.mqtt.link import Link
from broker_bridge.adapters.signing.keys import FileSigner
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.confirm import Judge
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.hear import Listener
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.broker import (
    BrokerUnavailableError,
    OnPublished,
    PhonesLine,
    PublishRefusedError,
    Received,
)
from broker_bridge.app.ports.metrics import Commit
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.records import Outgoing
from broker_bridge.app.standby import Standby
from broker_bridge.domain.commands import Status
from broker_bridge.main import LANE_LIMIT, SystemClock, new_token
from device_sim.adapters.storage import MemoryStorage
from device_sim.fleet.alarms import Alarms
from device_sim.fleet.counters import Counters
from device_sim.fleet.link import Arrived
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from device_sim.fleet.watches import Watches
from device_sim.identities import read_fleet, write_fleet
from lock_protocol.imei import Imei
from lock_protocol.messages import LenderId
from lock_protocol.topics import DEFAULT_PREFIX, PhoneTopic, Topics
from paylatch.bench.plan import Book, Planned, as_csv
from paylatch.bench.stopwatch import DECIDE, PARSE, READ, Stopwatch, beside, import_timed
from paylatch.local.enrolment import enrol_together, replaying
from paylatch.local.files import Files
from paylatch.local.ports import LOOPBACK
from paylatch.local.quiet_log import quiet_log
from paylatch.local.site import Ports

PUBLISH, PHONE, HEAR = "publish", "phone", "hear_and_commit"
WINDOW = 200
TOGETHER = 100
"""How many states are on their way together: a running bridge has about as many, and commits as much at a time."""
_ALL = 2**53
"""A publish number that tells the bridge that the broker has lost nothing."""
_BEFORE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Stages:
    """What was found."""

    us: dict[str, float]
    """Microseconds of processor time a decision, by stage."""
    state_bytes: int
    """How large a state is on the wire, on average."""


@dataclass(slots=True)
class _Seen:
    """Counts what has come about, for whoever waits for it."""

    counts: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def commit(self, commit: Commit) -> None:
        self.counts.update(command.status.value for command in commit.moved)
        self.changed.set()

    def note(self, what: str) -> None:
        self.counts[what] += 1
        self.changed.set()

    async def until(self, what: str, count: int) -> None:
        while self.counts[what] < count:
            self.changed.clear()
            await self.changed.wait()


@dataclass(slots=True)
class _Tap:
    """A connection to the broker that remembers what each phone was sent last."""

    broker: PhonesLine
    seen: _Seen
    sent: dict[str, bytes] = field(default_factory=dict)

    @property
    def window(self) -> int:
        return self.broker.window

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        await self.broker.publish(topic, payload, retain=retain)
        self._note(topic, payload)

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        def published(error: PublishRefusedError | BrokerUnavailableError | None) -> None:
            if error is None:
                self._note(topic, payload)
            on_published(error)

        self.broker.send(topic, payload, retain=retain, on_published=published)

    def _note(self, topic: str, payload: bytes) -> None:
        self.sent[topic] = payload
        self.seen.note(topic.rpartition("/")[2])


@dataclass(slots=True)
class _Wire:
    """A phone's connection: what it says is kept."""

    imei: Imei
    topics: Topics
    said: list[Received]

    def publish(self, topic: PhoneTopic, envelope: bytes) -> None:
        self.said.append(Received(self.topics.phone(self.imei, topic), envelope, retained=False))

    def subscribe_root(self, root_version: int) -> None:
        """No other root comes."""


@dataclass(slots=True, kw_only=True)
class _Rig:
    """A bridge and its phones in one process, stage by stage."""

    store: SqlStore
    reconsider: Reconsider
    deliverer: Deliverer
    listener: Listener
    tap: _Tap
    seen: _Seen
    lender: LenderId
    directory: Path
    phones: Mapping[Imei, SimulatedPhone]
    said: list[Received]
    committed: list[Outgoing]
    watch: Stopwatch = field(default_factory=Stopwatch)
    incoming: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def bring_up(self) -> None:
        """Let every phone take its first state and prove it."""
        phones = self.phones.values()
        for phone in phones:
            phone.power_on()
            phone.opened(_Wire(phone.imei, self.deliverer.topics, self.said))
            # Its first hello would wait for a state, which is not retained yet, or an alarm, which nobody sets here.
            phone.press_check()
        async with (
            beside(self.deliverer.session(self.tap, _ALL)),
            beside(self.listener.session(self.tap, self.incoming)),
        ):
            self._say()
            await self.seen.until(PhoneTopic.FRESH, len(phones))
            self._arrive(PhoneTopic.DESIRED, phones)
            self._arrive(PhoneTopic.FRESH, phones)
            self._say()
            await self.seen.until(Status.SUCCEEDED, len(phones))

    async def take(self, decisions: Sequence[Planned]) -> None:
        """Take one decision about each phone through all stages."""
        self.committed.clear()
        await import_timed(
            self.store, self.reconsider, self.lender, self.directory / "imports", as_csv(decisions), self.watch
        )
        states = iter(self.committed)
        async with (
            beside(self.deliverer.session(self.tap, _ALL)),
            beside(self.listener.session(self.tap, self.incoming)),
        ):
            while some := list(islice(states, TOGETHER)):
                await self._bring(some)

    async def _bring(self, states: Sequence[Outgoing]) -> None:
        """Bring states to their phones, and what these say back, which is committed with the broker's PUBACKs."""
        published, proven = (self.seen.counts[what] + len(states) for what in (PhoneTopic.DESIRED, Status.SUCCEEDED))
        with self.watch.process(PUBLISH):
            self.deliverer.publish(states)
            await self.seen.until(PhoneTopic.DESIRED, published)
        with self.watch.process(PHONE):
            self._arrive(PhoneTopic.DESIRED, [self.phones[state.imei] for state in states])
        with self.watch.process(HEAR):
            self._say()
            await self.seen.until(Status.SUCCEEDED, proven)

    def _arrive(self, topic: PhoneTopic, phones: Iterable[SimulatedPhone]) -> None:
        """Hand phones what they were sent last."""
        for phone in phones:
            phone.arrived(Arrived(topic, self.tap.sent[self.deliverer.topics.phone(phone.imei, topic)]))

    def _say(self) -> None:
        """Have the bridge receive what phones have said."""
        for one in self.said:
            self.incoming.put_nowait(one)
        self.said.clear()


async def measure_stages(database: str, files: Files, ports: Ports, lender: LenderId, imeis: Sequence[Imei]) -> Stages:
    """Enrol phones and take two decisions about each through all stages, one that locks and one that opens.

    Args:
        database: where; it may hold other phones.
        files: the broker's secret and the keys are among them.
        ports: the broker runs there, and no bridge does.
        lender: whose phones.
        imeis: of the phones, which are new.
    """
    directory = files.directory / "stages"
    directory.mkdir()
    async with SqlStore(database) as store:
        signer, clock = FileSigner(files.keys, development=True), SystemClock()
        reconsider, log = replaying(signer), quiet_log()
        topics = Topics(DEFAULT_PREFIX)
        write_fleet(directory / "fleet.jsonl", await enrol_together(store, reconsider, signer, lender, imeis))
        judge = Judge(reconsider.queue, clock, PhonesLog(log, clock))
        deliverer = Deliverer(
            store=store.commits,
            states=store.outgoing,
            canaries=store.canaries,
            outbox=Outbox(window=WINDOW, lane_limit=LANE_LIMIT),
            topics=topics,
            judge=judge,
            clock=clock,
            log=log,
            new_token=new_token,
        )
        seen, said, committed = _Seen(), list[Received](), list[Outgoing]()
        store.commits.on_commit(seen.commit)
        store.commits.on_committed(committed.extend)
        around = Surroundings(
            storage=MemoryStorage(), alarms=Alarms(lambda _: None), counters=Counters(), watches=Watches()
        )
        logins = read_fleet(directory / "fleet.jsonl")
        phones = {login.imei: SimulatedPhone(login, around) for login in logins}
        address = BrokerAddress(
            host=LOOPBACK,
            port=ports.services,
            username="bridge",
            password=files.bridge_secret.read_text(encoding="utf-8"),
            client_id=secrets.token_hex(8),
        )
        result: asyncio.Future[Stages] = asyncio.get_running_loop().create_future()

        async def session(broker: PhonesLine, *_: object) -> None:
            rig = _Rig(
                store=store,
                reconsider=reconsider,
                deliverer=deliverer,
                listener=Listener(store.commits, deliverer, judge),
                tap=_Tap(broker, seen),
                seen=seen,
                lender=lender,
                directory=directory,
                phones=phones,
                said=said,
                committed=committed,
            )
            await rig.bring_up()
            book = Book("stages", imeis, datetime.now(UTC) - _BEFORE)
            sizes = []
            for decide in (book.locked, book.paid):
                await rig.take([decide(imei) for imei in imeis])
                sizes += [len(state.envelope) for state in committed]
            result.set_result(_found(rig.watch, sizes))

        link = Link(address, topics, random=Random(), log=log)  # noqa: S311 - jitter
        standby = Standby(
            heartbeats=store.heartbeats, clock=clock, log=log, new_token=new_token, on_taking_over=lambda: None
        )
        async with beside(standby.run(partial(link.run, standby.require_broker, session))):
            return await result


def _found(watch: Stopwatch, sizes: Sequence[int]) -> Stages:
    seconds = {
        "read_and_parse": watch.seconds[READ] + watch.seconds[PARSE],
        "decide_and_sign": watch.seconds[DECIDE],
        "commit": watch.commit_s,
        **{stage: watch.seconds[stage] for stage in (PUBLISH, PHONE, HEAR)},
    }
    us = {stage: one / len(sizes) * 1e6 for stage, one in seconds.items()}
    rounded = {stage: round(one, 1) for stage, one in us.items()}
    return Stages(us=rounded | {"total": round(sum(us.values()), 1)}, state_bytes=round(statistics.mean(sizes)))
