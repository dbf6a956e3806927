"""Payers never wait: not behind other lanes, not for a clock, not for what another bridge has done meanwhile."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from broker_bridge.adapters.store.store import SqlStore
from broker_bridge.adapters.store.transaction import SharedTransaction
from broker_bridge.app.confirm import Judge
from broker_bridge.app.deliver import Deliverer
from broker_bridge.app.outbox import Outbox
from broker_bridge.app.phones_log import PhonesLog
from broker_bridge.app.ports.broker import OnPublished
from broker_bridge.app.ports.store import StoreUnavailableError, Transaction
from broker_bridge.app.sent import RESEND_AFTER_S, Ack, MarkSent
from broker_bridge.app.sign import ClockSuspectError
from broker_bridge.domain.commands import Event
from broker_bridge.domain.decisions import Decision, DecisionId, DecisionType
from broker_bridge.domain.lanes import Lane
from broker_bridge.domain.phones import Phone, PhoneStatus, Said
from broker_bridge.domain.policy import LeaseRules
from device_sim.identities import simulated_imei
from lock_protocol.codec import decode_own
from lock_protocol.envelope import read_envelope
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level, Signals
from lock_protocol.messages import DesiredState
from lock_protocol.topics import Topics
from tests.bridge_rig import ACME, REPLAY, KeptLog, Office, Work
from tests.conftest import PATIENCE_S
from tests.unit.broker_bridge.facts import overdue, payment, settled

IMEI, SECOND, THIRD = (simulated_imei(number) for number in range(3))
WEEK_S = 7 * 86_400


def resend(office: Office) -> Decision:
    return Decision(
        lender=ACME,
        decision_id=DecisionId("again"),
        imei=IMEI,
        type=DecisionType.RESEND,
        occurred_at=office.clock.wall * 1000,
    )


async def proven(store: SqlStore, office: Office) -> None:
    """The phone says under its signature that it is as its newest state requires."""

    def hear(tx: Transaction) -> None:
        phone = tx.phone(IMEI)
        assert phone is not None
        epoch, version = phone.desired.order
        said = Said(
            epoch=epoch,
            version=version,
            state_hash=phone.desired.state_hash,
            level=phone.desired.level,
            condition=Condition.APPLIED,
            signals=Signals(0),
            boot_count=1,
            at=office.clock.now(),
        )
        judge = Judge(office.queue, office.clock, PhonesLog(KeptLog(), office.clock))
        judge.settle(tx, judge.take_word(tx, phone, said, phone.sequence + 1, proven=True), Event.APPLIED)

    await store.commits.commit(Work(hear, [IMEI]))


async def lane_of_newest(store: SqlStore) -> Lane:
    phone = await store.phones.one(ACME, IMEI)
    assert phone is not None
    command = await store.commands.one(ACME, phone.command_id)
    assert command is not None
    return command.lane


async def row(store: SqlStore, imei: Imei = IMEI) -> Phone:
    phone = await store.phones.one(ACME, imei)
    assert phone is not None
    return phone


# --- lanes ---


async def test_what_follows_an_opening_that_no_phone_has_proven_is_one_itself(store: SqlStore, office: Office) -> None:
    """The phone said that it is open, and may have been locked since: whoever has paid waits for what is newest."""
    await store.commits.commit(office.enrol(IMEI))
    await proven(store, office)
    at = office.clock.wall * 1000
    for decision, lane in (
        (overdue(90, at=at - 9_000, imei=IMEI), Lane.CLOSING),
        (payment(at=at - 5_000, imei=IMEI), Lane.OPENING),
        (resend(office), Lane.OPENING),
        (overdue(5, at=at - 1_000, imei=IMEI), Lane.OPENING),
    ):
        await store.commits.commit(office.decide(decision))
        assert await lane_of_newest(store) is lane
    await proven(store, office)
    await store.commits.commit(office.decide(overdue(6, at=at, imei=IMEI)))
    assert await lane_of_newest(store) is Lane.KEEPING


async def test_a_bridge_that_takes_over_publishes_an_opening_as_one_until_the_phone_has_proven_it(
    store: SqlStore, office: Office
) -> None:
    """By its level alone it would be kept as it is: the phone has not said that it was locked in between."""
    await store.commits.commit(office.enrol(IMEI))
    await proven(store, office)
    await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
    await store.commits.commit(office.decide(payment(at=2, imei=IMEI)))
    (unproven,) = await store.outgoing.newest([IMEI])
    assert (unproven.lane, unproven.order) == (Lane.OPENING, (1, 3))
    await proven(store, office)
    (kept,) = await store.outgoing.newest([IMEI])
    assert (kept.lane, kept.order) == (Lane.KEEPING, (1, 3))


async def test_a_phone_that_has_proven_its_release_stays_released(store: SqlStore, office: Office) -> None:
    await store.commits.commit(office.enrol(IMEI))
    await proven(store, office)
    await store.commits.commit(office.decide(settled(at=office.clock.wall * 1000, imei=IMEI)))
    assert ((await row(store)).status, await lane_of_newest(store)) == (PhoneStatus.RELEASING, Lane.OPENING)
    await proven(store, office)
    await store.commits.commit(office.decide(resend(office)))
    phone = await row(store)
    assert (phone.status, phone.desired.level, phone.desired.order[1]) == (PhoneStatus.RELEASED, Level.RELEASED, 3)
    assert await lane_of_newest(store) is Lane.KEEPING  # no agent is there any more that could prove it


# --- clocks ---


@pytest.mark.parametrize("behind_s", [7_200, 86_400])
async def test_an_opening_is_due_although_the_clock_was_set_back(
    store: SqlStore, office: Office, behind_s: int
) -> None:
    await store.commits.commit(office.enrol(IMEI))
    await proven(store, office)
    for decision in (overdue(90, at=1, imei=IMEI), payment(at=2, imei=IMEI)):
        await store.commits.commit(office.decide(decision))
    now = office.clock.now() - behind_s
    (due,) = await store.outgoing.claim(Lane.OPENING, now, 10)
    await store.commits.commit(
        MarkSent([Ack(IMEI, due.order, 9)], office.clock)
    )  # and now it is put off, to be repeated
    assert [one.order for one in await store.outgoing.claim(Lane.OPENING, now, 10, put_off=True)] == [due.order]
    later = office.clock.now() + RESEND_AFTER_S[0]
    assert await store.outgoing.claim(Lane.OPENING, later - 1, 10) == []
    assert len(await store.outgoing.claim(Lane.OPENING, later, 10)) == 1


async def test_a_clock_that_jumps_is_noticed_whoever_has_signed_last(store: SqlStore) -> None:
    first, second = Office(), Office()
    for imei in (IMEI, SECOND, THIRD):
        await store.commits.commit(first.enrol(imei))
    for office, imei in ((first, IMEI), (second, SECOND)):
        first.clock.advance(5)
        second.clock.advance(5)
        await store.commits.commit(office.decide(overdue(90, at=1, imei=imei)))
    first.clock.wall += WEEK_S
    with pytest.raises(ClockSuspectError, match="jumped"):
        await store.commits.commit(first.decide(overdue(90, at=2, imei=THIRD)))
    second.clock.advance(5)
    assert (await store.commits.commit(second.decide(overdue(90, at=2, imei=THIRD)))).level is Level.LOCKED


async def test_who_has_paid_does_not_wait_for_a_bridge_that_starts_with_a_clock_past_all_times(store: SqlStore) -> None:
    office, anew = Office(), Office()
    for imei in (IMEI, THIRD):
        await store.commits.commit(office.enrol(imei))
    await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
    anew.clock.wall = 2**33
    assert (await store.commits.commit(anew.decide(payment(at=2, imei=IMEI)))).level is Level.UNLOCKED
    assert (await row(store)).desired.state.issued_at == office.clock.now()
    with pytest.raises(ClockSuspectError, match="where times end"):
        await store.commits.commit(anew.decide(overdue(90, at=2, imei=THIRD)))


async def test_a_lease_of_a_phone_that_is_enrolled_while_the_clock_is_ahead_is_renewed_in_time(store: SqlStore) -> None:
    """Looked at by a clock that is wrong it would never be, and an open phone would lock by itself."""
    office = Office(policy=replace(REPLAY, leases=LeaseRules(offline_lock_s=2 * WEEK_S)))
    await store.commits.commit(office.enrol(IMEI))
    begun = office.clock.now()
    office.clock.wall += 52 * WEEK_S
    await store.commits.commit(office.enrol(SECOND))
    phone = await row(store, SECOND)
    assert (phone.desired.state.lease_until, phone.look_at) == (begun + 2 * WEEK_S, begun + WEEK_S)
    await store.commits.commit(office.enrol(IMEI))
    assert (await row(store)).look_at == begun  # at once, also when the clock has been set right


async def test_a_clock_that_jumps_is_noticed_after_a_commit_that_failed(
    store: SqlStore, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for imei in (IMEI, SECOND):
        await store.commits.commit(office.enrol(imei))

    def fail(_: SharedTransaction) -> None:
        raise StoreUnavailableError("the disk is full")

    office.clock.advance(5)
    with monkeypatch.context() as broken:
        broken.setattr(SharedTransaction, "flush", fail)
        with pytest.raises(StoreUnavailableError):
            await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
    office.clock.wall += WEEK_S
    with pytest.raises(ClockSuspectError, match="jumped"):
        await store.commits.commit(office.decide(overdue(90, at=1, imei=SECOND)))


# --- two bridges ---


@dataclass
class Retained:
    """A broker that takes everything, and keeps it in the order in which it was published."""

    window: int = 1000
    states: list[DesiredState] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        del topic, payload, retain

    def send(self, topic: str, payload: bytes, *, retain: bool, on_published: OnPublished) -> None:
        del topic, retain
        self.states.append(decode_own(DesiredState, read_envelope(payload).payload))
        self._came.set()
        on_published(None)

    async def has(self, version: int, imei: Imei = IMEI) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (imei, version) not in {(state.imei, state.version) for state in self.states}:
                self._came.clear()
                await self._came.wait()


def deliverer(store: SqlStore, office: Office, log: KeptLog) -> Deliverer:
    made = Deliverer(
        store=store.commits,
        states=store.outgoing,
        canaries=store.canaries,
        outbox=Outbox(window=10, lane_limit=100),
        topics=Topics(),
        judge=Judge(office.queue, office.clock, PhonesLog(log, office.clock)),
        clock=office.clock,
        log=log,
        new_token=lambda: secrets.token_hex(16),
    )
    store.commits.on_committed(made.publish)
    return made


@asynccontextmanager
async def connected(delivering: Deliverer, broker: Retained, known: int | None) -> AsyncIterator[None]:
    session = asyncio.create_task(delivering.session(broker, known))
    yield
    session.cancel()
    await asyncio.wait([session])


@pytest.mark.parametrize("canary_is_known", [True, False])
async def test_a_bridge_that_takes_over_publishes_no_lock_that_another_has_opened_since(
    database: str, office: Office, *, canary_is_known: bool
) -> None:
    async with SqlStore(database) as first, SqlStore(database) as second:
        await first.lenders.add(ACME, b"k" * 32, at=1)
        broker, log = Retained(), KeptLog()
        one, other = deliverer(first, office, KeptLog()), deliverer(second, office, log)
        async with connected(one, broker, None):
            await first.commits.commit(office.enrol(IMEI))
            await broker.has(1)
            office.clock.advance(10)
            at = office.clock.wall * 1000
            await second.commits.commit(
                office.decide(overdue(90, at=at - 5_000, imei=IMEI))
            )  # waits, without a connection
            await first.commits.commit(office.decide(payment(at=at, imei=IMEI)))
            await broker.has(3)
            await proven(first, office)
        known = await first.canaries.newest_publish_number() if canary_is_known else None
        broker.states.clear()
        async with connected(other, broker, known):
            await broker.has(3)
            if not canary_is_known:
                await log.repeated("reconciled", 1)
            # The barrier: locks of one lender go out in the order in which they came, and this one comes last.
            await second.commits.commit(office.enrol(SECOND))
            await second.commits.commit(office.decide(overdue(90, at=at, imei=SECOND)))
            await broker.has(2, SECOND)
        assert {state.level for state in broker.states if state.imei == IMEI} == {Level.UNLOCKED}


async def test_what_is_published_after_another_bridges_canary_is_lost_with_whatever_comes_after_it(
    database: str, office: Office
) -> None:
    async with SqlStore(database) as store:
        await store.lenders.add(ACME, b"k" * 32, at=1)
        broker, log = Retained(), KeptLog()
        delivering = deliverer(store, office, log)
        async with connected(delivering, broker, None):
            await log.repeated("reconciled", 1)  # which may publish a phone that is new meanwhile for a second time
            await store.commits.commit(office.enrol(IMEI))
            await store.commits.commit(office.enrol(SECOND))
            await broker.has(1)
            await broker.has(1, SECOND)
        await store.canaries.put("of another", 40)
        async with connected(delivering, broker, 40):
            await store.commits.commit(office.decide(overdue(90, at=1, imei=IMEI)))
            await broker.has(2)
        broker.states.clear()
        async with connected(delivering, broker, 40):
            await broker.has(2)
        assert {state.imei for state in broker.states} == {IMEI}


async def test_a_row_that_another_bridge_inserts_meanwhile_is_found_the_second_time(
    database: str, office: Office
) -> None:
    """The batch cannot be committed as a whole, so that each job runs alone, and finds no row, and is overtaken."""
    imeis = [simulated_imei(number) for number in range(60)]

    def unstorable(tx: Transaction) -> None:
        tx.put_last_signed_at(1)
        tx.put_heard(ACME, 2**80)

    async with SqlStore(database) as first, SqlStore(database) as second:
        await first.lenders.add(ACME, b"k" * 32, at=1)
        answers = await asyncio.gather(
            *(store.commits.commit(Work(unstorable)) for store in (first, second)),
            *(store.commits.commit(office.enrol(imei)) for imei in imeis for store in (first, second)),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers[2:]] == [Phone] * 2 * len(imeis)
