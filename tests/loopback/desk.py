"""A lender's desk: the bridge's jobs on a real store, one real phone core, and days that pass in a moment.

No broker and no outbox are in between: what is queued reaches the phone at once, unless the phone is offline.
"""

from pathlib import Path
from typing import Any

from broker_bridge.adapters.policies.reading import read_policy
from broker_bridge.app.confirm import HearHello, HearReport, Judge
from broker_bridge.app.decide import Decided
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.reconsider import case_of
from broker_bridge.app.schedule import Scheduler
from broker_bridge.app.timekeeping import KeepTime
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.gates import GateCondition
from broker_bridge.domain.judgement import Judgement, judge
from broker_bridge.domain.phones import Phone
from lock_protocol.levels import Level, Signals
from lock_protocol.refusals import Refusal
from lock_protocol.topics import PhoneTopic
from tests.bridge_rig import ACME, KeptLog, Office
from tests.conftest import new_sqlite
from tests.loopback.handset import IMEI
from tests.loopback.lender import Lender
from tests.loopback.virtual_time import VirtualTimeLoop
from tests.loopback.world import InlineStore, LinkedHandset

HOUR, DAY = 3600, 86_400
LADDER = """
[[ladder]]
days_overdue = 3
level = "notice"
[[ladder]]
days_overdue = 15
level = "reminder"
[[ladder]]
days_overdue = 60
level = "restricted"
[[ladder]]
days_overdue = 90
level = "locked"
"""


def policy_text(*tables: str, name: str = "tried") -> str:
    """A policy with the usual ladder and these lines; without a notice gate unless they have one."""
    return "\n".join((f'name = "{name}"\ndevelopment_only = true', *tables[:1], LADDER, *tables[1:]))


class Desk:
    """One lender with one phone."""

    def __init__(self, database: Path, document: str, **authority: Any) -> None:
        """Open it, under a policy; `authority` replaces what the lender's delegation says."""
        self.loop = VirtualTimeLoop()
        self.office = Office(lender=Lender(**authority), policy=read_policy(document))
        self.clock = self.office.clock
        self.log = KeptLog()
        self.store = InlineStore(new_sqlite(database))
        self.loop.run(self.store.lenders.add(ACME, b"k" * 32, at=1))
        self.judge = self._judge()
        self.online = True
        self.phone = LinkedHandset(self.office.lender.authority, imei=IMEI)
        self._told = 0

    def close(self) -> None:
        self.store.close()
        self.loop.close()

    def restart(self) -> None:
        """Start over with nothing but the database."""
        self.office.__post_init__()
        self.judge = self._judge()

    def _judge(self) -> Judge:
        return Judge(self.office.queue, self.clock, PhonesLog(self.log, self.clock))

    def enrol(self, **fields: Any) -> None:
        """Enrol the phone (again), and switch it on."""
        self.loop.run(self.store.commits.commit(self.office.enrol(IMEI, **fields)))
        if not self.phone.applied:
            self.phone.boot()
            self.phone.connect()
        self.exchange()

    def tell(self, kind: DecisionType, **figures: Any) -> Decided:
        """Report that something has happened just now."""
        self._told += 1
        decision = Decision(
            lender=ACME,
            decision_id=DecisionId(f"d{self._told}"),
            imei=IMEI,
            type=kind,
            occurred_at=figures.pop("occurred_at", self.clock.wall * 1000 + self._told),
            **figures,
        )
        decided = self.loop.run(self.store.commits.commit(self.office.decide(decision)))
        self.exchange()
        return decided

    def pass_time(self, seconds: int) -> None:
        """Let time pass for the bridge and for the phone, from one moment at which something is due to the next."""
        end = self.clock.wall + seconds
        while self.clock.wall < end:
            due = self.row.look_at
            part = min(max(due - self.clock.wall, 1), end - self.clock.wall) if due else end - self.clock.wall
            self.clock.advance(part)
            self.loop.run(self.store.commits.commit(KeepTime(self.office.queue.signing_clock)))
            # Switched off meanwhile: each minute of a day would be a step of its core, and thousands of hellos.
            self.phone.cut_power()
            self.phone.monotonic += part
            self.phone.boot()
            self.look()
            if self.online:
                self.reconnect()

    def stay_on(self, seconds: int) -> None:
        """Let time pass for both while the phone is switched on and offline: it counts the time by itself."""
        if self.online:
            self.cut()
        self.clock.advance(seconds)
        self.phone.wait(seconds)
        self.look()

    def look(self) -> None:
        """Let the scheduler look until it finds nothing more."""
        scheduler = Scheduler(self.store.commits, self.store.schedule, self.office.reconsider, self.log)
        while self.loop.run(scheduler.look()):
            pass

    def exchange(self) -> None:
        """Give the phone its newest state and hear its words, until neither has anything to say."""
        if not self.online:
            self.phone.words.clear()
            return
        held = b""
        while self.phone.words or held != self.row.desired.envelope:
            held = self.row.desired.envelope
            self.phone.receive(held)
            words, self.phone.words = self.phone.words, []
            for topic, payload in words:
                self._hear(topic, payload)
            self.look()

    def _hear(self, topic: PhoneTopic, payload: bytes) -> None:
        job = HearHello if topic is PhoneTopic.HELLO else HearReport
        try:
            self.loop.run(self.store.commits.commit(job(IMEI, payload, self.judge)))
        except Refusal as refusal:
            self.log.info("refused", error=refusal.name)
            return
        if topic is PhoneTopic.HELLO:
            lender, row = self.office.lender, self.row
            lender.newest[IMEI] = row.desired.state
            lender.now = self.clock.now()
            self.phone.receive_fresh(lender.answer(payload, sequence=max(row.sequence, 0)))

    def cut(self) -> None:
        """Take the phone offline."""
        self.online = False
        self.phone.disconnect()

    def reconnect(self) -> None:
        self.online = True
        self.phone.connect()
        self.exchange()

    def raise_signals(self, signals: Signals) -> None:
        self.phone.raise_signals(signals)
        self.exchange()

    @property
    def row(self) -> Phone:
        found = self.loop.run(self.store.phones.one(ACME, IMEI))
        assert found is not None
        return found

    @property
    def level(self) -> Level:
        """What the phone shows."""
        return self.phone.level

    @property
    def judgement(self) -> Judgement:
        """What would be judged now."""
        record = self.loop.run(self.store.lenders.one(ACME))
        return judge(self.office.policy, case_of(self.row, record), self.clock.now())

    @property
    def missing(self) -> set[GateCondition]:
        """What the wanted level waits for."""
        return {one.condition for one in self.judgement.missing}

    # --- the decisions that most tests need ---

    def overdue(self, days: int) -> Decided:
        return self.tell(DecisionType.PAYMENT_OVERDUE, days_overdue=days)

    def pay(self) -> Decided:
        return self.tell(DecisionType.PAYMENT_RECEIVED, payment=Payment.CURING)
