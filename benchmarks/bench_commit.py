"""The store: what a job costs on its way into a durable commit on SQLite, and how sharing a commit makes it cheaper."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from pytest_benchmark.fixture import BenchmarkFixture

from broker_bridge.adapters.signing.keys import FileSigner, init_development_keys
from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.app.confirm import HearReport, Judge
from broker_bridge.app.decide import Decide
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.store import Job
from broker_bridge.app.reconsider import Reconsider
from broker_bridge.app.sent import Ack, MarkSent
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType, Payment
from broker_bridge.domain.phones import Phone
from device_sim.identities import simulated_imei
from lock_protocol.envelope import REPORTED, seal
from lock_protocol.imei import Imei
from lock_protocol.keys import SigningKey
from lock_protocol.levels import Condition, Result, Signals
from lock_protocol.messages import LenderId, Reported
from paylatch.local.enrolment import enrol_together, replaying

LENDER = LenderId("bench")
PHONES, ROUNDS = 500, 10
IMEIS = [simulated_imei(number) for number in range(PHONES)]


@dataclass
class Office:
    """A store with phones in it, and jobs about them."""

    loop: asyncio.Runner
    store: SqlStore
    reconsider: Reconsider
    keys: dict[Imei, SigningKey]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, jobs: Sequence[Job[Any]]) -> None:
        """Commit jobs that were submitted together."""
        results = self.loop.run(self.store.commits.commit_each(jobs))
        assert not [one for one in results if isinstance(one, Exception)]

    def turns(self, imeis: Sequence[Imei]) -> list[Decide]:
        """Return a decision about each of these phones that turns it: locks it, or opens it."""
        number = next(self.numbers)
        return [Decide(self._turn(imei, number), self.reconsider) for imei in imeis]

    def _turn(self, imei: Imei, number: int) -> Decision:
        locks = number % 2
        return Decision(
            lender=LENDER,
            decision_id=DecisionId(f"{number}-{imei}"),
            imei=imei,
            type=DecisionType.PAYMENT_OVERDUE if locks else DecisionType.PAYMENT_RECEIVED,
            occurred_at=number,
            days_overdue=90 if locks else None,
            payment=None if locks else Payment.CURING,
        )

    def phones(self) -> list[Phone]:
        """Return all phones as they are stored."""
        return list(self.loop.run(self.store.phones.all_of(LENDER, "", PHONES)).items)

    def report(self, phone: Phone) -> bytes:
        """Return the phone's word that it has applied its newest state."""
        (epoch, version), state = phone.desired.order, phone.desired
        word = Reported(
            lender=LENDER,
            imei=phone.imei,
            epoch=epoch,
            version=version,
            state_hash=state.state_hash,
            effective_level=state.level,
            condition=Condition.APPLIED,
            result=Result.APPLIED,
            about_epoch=epoch,
            about_version=version,
            about_hash=state.state_hash,
            detail="",
            applied_at=int(time.time()),
            boot_count=1,
            sequence=next(self.numbers),
            signals=Signals(0),
        )
        return seal(REPORTED, word, [self.keys[phone.imei]])


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The phones are enrolled, and no bridge runs."""
    directory = tmp_path_factory.mktemp("commit")
    init_development_keys(directory / "keys", LENDER, now=int(time.time()), hosts=["pay.example"])
    with asyncio.Runner() as loop:
        store = SqlStore(f"sqlite:///{directory / 'paylatch.db'}")
        loop.run(store.__aenter__())
        try:
            yield loop.run(_opened(loop, store, directory))
        finally:
            loop.run(store.__aexit__())


async def _opened(loop: asyncio.Runner, store: SqlStore, directory: Path) -> Office:
    signer = FileSigner(directory / "keys", development=True)
    reconsider = replaying(signer)
    await store.lenders.add(LENDER, b"k" * 32, at=1)
    lines = await enrol_together(store, reconsider, signer, LENDER, IMEIS)
    keys = {line.imei: SigningKey.from_seed(line.device_seed) for line in lines}
    return Office(loop, store, reconsider, keys)


def measure(benchmark: BenchmarkFixture, jobs: Callable[[], Sequence[Job[Any]]], run: Callable[..., None]) -> None:
    """Time commits of jobs that are new each time."""
    benchmark.pedantic(run, setup=lambda: ((jobs(),), {}), rounds=ROUNDS)


@pytest.mark.parametrize("together", [1, 10, 50, 200])
def test_decide(benchmark: BenchmarkFixture, office: Office, together: int) -> None:
    """Judge, sign, record and commit so many decisions in one commit; divide by their number."""
    measure(benchmark, lambda: office.turns(IMEIS[:together]), office.run)


def test_mark_200_as_sent(benchmark: BenchmarkFixture, office: Office) -> None:
    def acknowledged() -> list[MarkSent]:
        office.run(office.turns(IMEIS[:200]))
        acks = [Ack(phone.imei, phone.desired.order, next(office.numbers)) for phone in office.phones()[:200]]
        return [MarkSent(acks, office.reconsider.clock)]

    measure(benchmark, acknowledged, office.run)


def test_hear_200_reports(benchmark: BenchmarkFixture, office: Office) -> None:
    """Verify so many reports, and commit that their commands have succeeded."""
    clock = office.reconsider.clock
    judge = Judge(office.reconsider.queue, clock, PhonesLog(structlog.get_logger(), clock))

    def reported() -> list[HearReport]:
        office.run(office.turns(IMEIS[:200]))
        return [HearReport(phone.imei, office.report(phone), judge) for phone in office.phones()[:200]]

    measure(benchmark, reported, office.run)
