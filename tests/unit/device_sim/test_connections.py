"""How hard a fleet knocks at its broker."""

import asyncio
from collections import defaultdict
from itertools import pairwise

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


class DeadNetwork:
    """A dialler none of whose attempts comes through; it notes when each phone made its own."""

    def __init__(self) -> None:
        self.tried: defaultdict[str, list[float]] = defaultdict(list)

    async def dial(self, phone: FleetPhone, root_version: int, session: Session) -> None:
        del root_version, session
        self.tried[phone.imei].append(asyncio.get_running_loop().time())
        raise LinkError("nobody is there")


def phones_of(authority: RootAuthority) -> list[SimulatedPhone]:
    around = Surroundings(
        storage=MemoryStorage(), alarms=Alarms(lambda _: None), counters=Counters(), watches=Watches()
    )
    identity = Identity.from_factory(imei=simulated_imei(0), seed=bytes(32), root=authority.envelope)
    return [
        SimulatedPhone(
            FleetPhone(
                identity=Identity(imei=simulated_imei(n), key=identity.key, root=identity.root, hardware_floor=False),
                password="unused",
            ),
            around,
        )
        for n in range(PHONES)
    ]


def test_only_so_many_phones_dial_at_a_time_and_all_of_them_come_through(authority: RootAuthority) -> None:
    network, phones = SlowNetwork(), phones_of(authority)

    async def connect() -> None:
        async with asyncio.TaskGroup() as tasks:
            Connections(network, Pace(connects_per_s=1e6, backoff_cap_s=0.1), tasks).start(phones)

    loop = VirtualTimeLoop()
    loop.run(connect())
    loop.close()
    assert len(network.connected) == PHONES
    assert network.most_dialling == MOST_DIALLING


def test_phones_wait_as_the_protocol_says_a_second_at_first_then_twice_as_long_each_time(
    authority: RootAuthority,
) -> None:
    network, phones = DeadNetwork(), phones_of(authority)

    async def knock() -> None:
        async with asyncio.TaskGroup() as tasks:
            connections = Connections(network, Pace(connects_per_s=1e6, backoff_cap_s=8.0), tasks)
            connections.start(phones)
            await asyncio.sleep(60)
            await connections.drop(phones)

    loop = VirtualTimeLoop()
    loop.run(knock())
    loop.close()
    waits = [[later - sooner for sooner, later in pairwise(times)] for times in network.tried.values()]
    for number, longest in enumerate([1, 2, 4, 8, 8]):
        drawn = [of_phone[number] for of_phone in waits]
        assert longest * 0.9 < max(drawn) <= longest + 0.1
        assert min(drawn) < longest * 0.1, "they come back one by one"
