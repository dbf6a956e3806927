"""How hard a fleet knocks at its broker."""

import asyncio

from device_sim.adapters.storage import MemoryStorage
from device_sim.fleet.alarms import Alarms
from device_sim.fleet.connections import MOST_DIALLING, Connections, Pace
from device_sim.fleet.counters import Counters
from device_sim.fleet.link import LinkError, Session
from device_sim.fleet.simulated_phone import SimulatedPhone, Surroundings
from device_sim.fleet.watches import Watches
from device_sim.identities import FleetPhone, simulated_imei
from device_sim.phone.identity import Identity
from tests.loopback.lender import RootAuthority
from tests.loopback.virtual_time import VirtualTimeLoop

PHONES = 3 * MOST_DIALLING


class SlowNetwork:
    """A dialler that takes a second for each attempt, of which the first of each phone fails."""

    def __init__(self) -> None:
        self.dialling = self.most_dialling = 0
        self.tried: set[str] = set()
        self.connected: set[str] = set()

    async def dial(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        del root_version, session
        self.dialling += 1
        self.most_dialling = max(self.most_dialling, self.dialling)
        await asyncio.sleep(1)
        self.dialling -= 1
        if phone.imei not in self.tried:
            self.tried.add(phone.imei)
            raise LinkError("not the first time")
        self.connected.add(phone.imei)


def test_only_so_many_phones_dial_at_a_time_and_all_of_them_come_through(authority: RootAuthority) -> None:
    network = SlowNetwork()
    around = Surroundings(
        storage=MemoryStorage(), alarms=Alarms(lambda _: None), counters=Counters(), watches=Watches()
    )
    identity = Identity.from_factory(imei=simulated_imei(0), seed=bytes(32), root=authority.envelope)
    phones = [
        SimulatedPhone(
            FleetPhone(
                identity=Identity(imei=simulated_imei(n), key=identity.key, root=identity.root, hardware_floor=False),
                password="unused",
            ),
            around,
        )
        for n in range(PHONES)
    ]

    async def connect() -> None:
        async with asyncio.TaskGroup() as tasks:
            Connections(network, Pace(connects_per_s=1e6, backoff_cap_s=0.1), tasks).start(phones)

    loop = VirtualTimeLoop()
    loop.run(connect())
    loop.close()
    assert len(network.connected) == PHONES
    assert network.most_dialling == MOST_DIALLING
