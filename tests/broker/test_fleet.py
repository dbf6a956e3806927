"""Fifty simulated phones as a process of their own, on a real broker, directed over the control socket."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level, Signals
from tests.broker.fleet_rig import StandIn, running_fleet, stand_in
from tests.conftest import PATIENCE_S, RealBroker
from tests.loopback.lender import Lender

PHONES = 50


def some_imeis() -> list[Imei]:
    return [simulated_imei(number) for number in range(PHONES)]


@dataclass
class Rig:
    broker: RealBroker
    bridge: StandIn
    fleet: FleetControl
    imeis: list[Imei]

    async def shows(self, level: Level, imeis: list[Imei] | None = None) -> None:
        wanted = dict.fromkeys(imeis or self.imeis, level)
        assert await self.fleet.await_levels(wanted, PATIENCE_S) == []

    async def settles(self) -> None:
        assert await self.fleet.await_settled(PATIENCE_S) == []


@pytest.fixture
async def rig(own_broker: RealBroker, tmp_path: Path) -> AsyncIterator[Rig]:
    """Fifty phones, all locked and settled."""
    imeis, lender = some_imeis(), Lender()
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(stand_in(own_broker, lender))
        await bridge.order(imeis, Level.LOCKED)
        fleet = await stack.enter_async_context(running_fleet(own_broker, lender, imeis, tmp_path))
        rig = Rig(own_broker, bridge, fleet, imeis)
        await rig.shows(Level.LOCKED)
        await rig.settles()
        yield rig


async def test_phones_open_when_paid(rig: Rig) -> None:
    await rig.bridge.order(rig.imeis, Level.UNLOCKED)
    await rig.shows(Level.UNLOCKED)
    dump = await rig.fleet.dump()
    assert {(phone.version, phone.condition, phone.connected) for phone in dump} == {(2, Condition.APPLIED, True)}
    counters = await rig.fleet.counters()
    assert (counters.locks, counters.unlocks, counters.refusals) == (PHONES, PHONES, {})


async def test_a_reset_phone_locks_again(rig: Rig) -> None:
    reset = rig.imeis[:10]
    await rig.fleet.factory_reset(reset)
    await rig.settles()
    await rig.shows(Level.LOCKED)
    levels = [[one.level for one in changes] for changes in (await rig.fleet.transitions(reset)).values()]
    assert levels == [[Level.RESTRICTED, Level.LOCKED] * 2] * 10


async def test_a_phone_that_was_offline_opens_when_it_is_back(rig: Rig) -> None:
    away = rig.imeis[:5]
    await rig.fleet.cut(away)
    await rig.bridge.order(rig.imeis, Level.UNLOCKED)
    await rig.shows(Level.UNLOCKED, rig.imeis[5:])
    for phone in await rig.fleet.dump(away):
        assert (phone.connected, phone.wanted, phone.level) == (False, False, Level.LOCKED)
    began = time.monotonic_ns()
    await rig.fleet.reconnect(away)
    await rig.shows(Level.UNLOCKED, away)
    for changes in (await rig.fleet.transitions(away)).values():
        assert (changes[-1].level, changes[-1].version) == (Level.UNLOCKED, 2)
        assert began < changes[-1].at_ns < time.monotonic_ns()


async def test_root_access_shows_another_level_than_the_agent_reports(rig: Rig) -> None:
    rooted = rig.imeis[0]
    await rig.fleet.tamper(rooted, Level.UNLOCKED)
    mismatches = await rig.fleet.await_levels({rooted: Level.LOCKED}, 0)
    assert [(one.imei, one.wanted, one.level) for one in mismatches] == [(rooted, Level.LOCKED, Level.UNLOCKED)]
    (phone,) = await rig.fleet.dump([rooted])
    assert (phone.level, phone.applied) == (Level.UNLOCKED, Level.LOCKED)
    assert rig.bridge.reports[rooted].effective_level is Level.LOCKED
    await rig.fleet.tamper(rooted, None)
    await rig.shows(Level.LOCKED)


async def test_a_power_cycle_and_a_turned_clock_change_no_level(rig: Rig) -> None:
    await rig.fleet.clock(rig.imeis, 10 * 365 * 86_400)
    await rig.fleet.signal(rig.imeis[:1], Signals.SIM)
    await rig.fleet.power_cycle(rig.imeis)
    await rig.settles()
    await rig.fleet.check(rig.imeis)
    await rig.settles()
    assert {len(changes) for changes in (await rig.fleet.transitions()).values()} == {2}
    await rig.bridge.order(rig.imeis, Level.REMINDER)
    await rig.shows(Level.REMINDER)


async def test_noise_is_counted_by_name_and_phone(rig: Rig) -> None:
    victim = rig.imeis[3]
    for payload in (b"noise", b"x" * 5000):
        await rig.bridge.publish(victim, payload)
    assert await rig.fleet.await_refusals(2, PATIENCE_S) == 2
    (phone,) = await rig.fleet.dump([victim])
    assert phone.refusals == {"Malformed": 1, "TooLarge": 1}
    assert (await rig.fleet.counters()).refusals == phone.refusals
    assert phone.level is Level.LOCKED


async def test_a_fleet_outlives_its_broker(own_broker: RealBroker, tmp_path: Path) -> None:
    imeis, lender = some_imeis(), Lender()
    async with stand_in(own_broker, lender) as bridge:
        await bridge.order(imeis, Level.LOCKED)
    async with running_fleet(own_broker, lender, imeis, tmp_path) as fleet:
        async with stand_in(own_broker, lender):
            assert await fleet.await_settled(PATIENCE_S) == []
        own_broker.process.kill()
        own_broker.process.start()
        async with stand_in(own_broker, lender) as bridge:
            await bridge.order(imeis, Level.UNLOCKED)
            assert await fleet.await_levels(dict.fromkeys(imeis, Level.UNLOCKED), PATIENCE_S) == []
            assert await fleet.await_settled(PATIENCE_S) == []


async def test_memories_in_files_outlive_the_process(own_broker: RealBroker, tmp_path: Path) -> None:
    imeis, lender, more = some_imeis(), Lender(), ("--storage", str(tmp_path / "memories"))
    async with stand_in(own_broker, lender) as bridge:
        await bridge.order(imeis, Level.LOCKED)
        async with running_fleet(own_broker, lender, imeis, tmp_path, *more) as fleet:
            assert await fleet.await_settled(PATIENCE_S) == []
            await fleet.stop()
        async with running_fleet(own_broker, lender, imeis, tmp_path, *more) as fleet:
            assert await fleet.await_levels(dict.fromkeys(imeis, Level.LOCKED), PATIENCE_S) == []
            assert await fleet.await_settled(PATIENCE_S) == []
            assert (await fleet.counters()).happenings["duplicate"] == PHONES
