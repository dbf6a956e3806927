"""Fifty simulated phones as a process of their own, on a real broker, directed over the control socket."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_sim.fleet.control_client import FleetControl
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from lock_protocol.levels import Condition, Level
from tests.broker.fleet_rig import StandIn, running_fleet, stand_in
from tests.conftest import RealBroker
from tests.loopback.lender import Lender

PHONES = 50
PATIENCE_S = 20.0


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
    imeis = [simulated_imei(1000 + number) for number in range(PHONES)]
    lender = Lender()
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
