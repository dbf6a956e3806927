"""Waiting for phones: all at one moment, or each at a moment of its own."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import pytest

from device_sim.fleet.watches import Watches
from device_sim.identities import simulated_imei
from lock_protocol.imei import Imei


@dataclass
class Lamp:
    """Stands for a phone: it is on or off."""

    imei: Imei
    on: bool = False


@pytest.mark.parametrize(("each_once", "lacking"), [(False, [simulated_imei(0)]), (True, [])])
async def test_a_phone_that_was_as_wanted_once_counts_where_each_is_waited_for(
    each_once: bool,  # noqa: FBT001
    lacking: list[Imei],
) -> None:
    lamps, watches = [Lamp(simulated_imei(number)) for number in range(2)], Watches()
    phones: Any = lamps
    waiting = asyncio.ensure_future(
        watches.until_all(phones, lambda lamp: cast("Lamp", lamp).on, 0.1, each_once=each_once)
    )
    await asyncio.sleep(0)
    for lamp, on in ((lamps[0], True), (lamps[0], False), (lamps[1], True)):
        lamp.on = on
        watches.changed(cast("Any", lamp))
    assert await waiting == lacking
