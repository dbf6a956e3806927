"""Waiting until nothing is under way any more: phones, bridge and broker, in this order."""

import asyncio
import time
from collections.abc import Iterable, Mapping

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.demo.lender import BridgePhone, Lender
from paylatch.demo.retained import RetainedStates

# The bridge's API has no way to be told of a change yet, so it is asked again.
_ASK_AGAIN_S = 0.05


class Settling:
    """Waits for rest, and judges nothing: what is not at rest in time is found by the audit that follows.

    Args:
        lender: to ask the bridge.
        fleet: to ask the phones.
        states: to ask the broker.
    """

    def __init__(self, lender: Lender, fleet: FleetControl, states: RetainedStates) -> None:
        self._lender = lender
        self._fleet = fleet
        self._states = states
        self._given_up: set[Imei] = set()

    def give_up_on(self, imeis: Iterable[Imei]) -> None:
        """Wait no longer for phones that have been found wrong once."""
        self._given_up.update(imeis)

    async def wait(self, levels: Mapping[Imei, Level], timeout_s: float) -> None:
        """Wait until each phone shows its level, has proven it to the bridge, and has it retained at the broker.

        Args:
            levels: each phone's.
            timeout_s: for each of the three.
        """
        awaited = {imei: level for imei, level in levels.items() if imei not in self._given_up}
        await self._fleet.await_connected(timeout_s, awaited)
        await self._fleet.await_levels(awaited, timeout_s)
        phones = await self._await_proofs(awaited, timeout_s)
        await self._states.await_hashes({imei: phones[imei].state_hash for imei in awaited}, timeout_s)

    async def _await_proofs(self, imeis: Iterable[Imei], timeout_s: float) -> dict[Imei, BridgePhone]:
        """Wait until the bridge has each phone's word on its newest state; return what it then knows."""
        deadline = time.monotonic() + timeout_s
        phones = {phone.imei: phone async for phone in self._lender.phones()}
        unproven = [imei for imei in imeis if not phones[imei].is_proven]
        while unproven and time.monotonic() < deadline:
            await asyncio.sleep(_ASK_AGAIN_S)
            for imei in unproven:
                phones[imei] = await self._lender.phone(imei)
            unproven = [imei for imei in unproven if not phones[imei].is_proven]
        return phones
