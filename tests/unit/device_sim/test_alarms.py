"""One timer for all phones."""

import asyncio
import time

from device_sim.fleet.alarms import Alarms
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei
from tests.conftest import PATIENCE_S

FIRST, SECOND = simulated_imei(1), simulated_imei(2)


class Bell:
    """Runs alarms until so many have rung."""

    def __init__(self) -> None:
        self.rung: list[Imei] = []
        self.alarms = Alarms(self._ring)
        self._changed = asyncio.Event()

    async def hear(self, count: int) -> list[Imei]:
        running = asyncio.ensure_future(self.alarms.run())
        async with asyncio.timeout(PATIENCE_S):
            while len(self.rung) < count:
                self._changed.clear()
                await self._changed.wait()
        running.cancel()
        return self.rung

    def _ring(self, imei: Imei) -> None:
        self.rung.append(imei)
        self._changed.set()


async def test_alarms_ring_in_the_order_of_their_times() -> None:
    bell, now = Bell(), time.monotonic()
    bell.alarms.set(FIRST, now + 0.02)
    bell.alarms.set(SECOND, now + 0.01)
    assert await bell.hear(2) == [SECOND, FIRST]


async def test_an_alarm_set_again_replaces_the_one_before() -> None:
    bell, now = Bell(), time.monotonic()
    bell.alarms.set(FIRST, now)
    bell.alarms.set(FIRST, now + 0.02)
    bell.alarms.set(SECOND, now + 0.01)
    assert await bell.hear(2) == [SECOND, FIRST]


async def test_an_earlier_alarm_set_while_waiting_rings_first() -> None:
    bell = Bell()
    bell.alarms.set(FIRST, time.monotonic() + 3600)
    hearing = asyncio.ensure_future(bell.hear(1))
    # One turn of the loop: the alarms now wait for an hour.
    await asyncio.sleep(0)
    bell.alarms.set(SECOND, time.monotonic())
    assert await hearing == [SECOND]


async def test_replaced_alarms_do_not_pile_up() -> None:
    bell, now = Bell(), time.monotonic()
    for later in range(10_000):
        bell.alarms.set(FIRST, now + 3600 + later)
    assert len(bell.alarms._heap) < 100
