"""Waiting until nothing is under way any more: phones, bridge and broker, in this order."""

import asyncio
import time
from collections.abc import Iterable, Mapping

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from lock_protocol.messages import StateHash
from paylatch.client import Bridge, Phone
from paylatch.demo.retained import RetainedStates

# The bridge's API has no way to be told of a change yet, so it is asked again.
_ASK_AGAIN_S = 0.05


class Settling:
    """Waits for rest, and judges nothing: what is not at rest in time is found by the audit that follows.

    Args:
        bridge: to ask it.
        fleet: to ask the phones.
        states: to ask the broker.
    """

    def __init__(self, bridge: Bridge, fleet: FleetControl, states: RetainedStates) -> None:
        self._bridge = bridge
        self._fleet = fleet
        self._states = states
        self._given_up: set[Imei] = set()

    async def wait(self, levels: Mapping[Imei, Level], timeout_s: float) -> None:
        """Wait until each phone shows its level, has proven it to the bridge, and has it retained at the broker.

        A phone that was waited for in vain is not waited for again.

        Args:
            levels: each phone's.
            timeout_s: for each of the three.
        """
        self._given_up.update(await self._fleet.await_connected(timeout_s, self._patient(levels)))
        shown = {imei: levels[imei] for imei in self._patient(levels)}
        self._given_up.update(one.imei for one in await self._fleet.await_levels(shown, timeout_s))
        phones = await self._await_proofs(self._patient(levels), timeout_s)
        hashes = {imei: _hash(phones[imei]) for imei in self._patient(levels)}
        self._given_up.update(await self._states.await_hashes(hashes, timeout_s))

    def _patient(self, imeis: Iterable[Imei]) -> list[Imei]:
        return [imei for imei in imeis if imei not in self._given_up]

    async def _await_proofs(self, imeis: Iterable[Imei], timeout_s: float) -> dict[Imei, Phone]:
        """Wait until the bridge has each phone's word on its newest state; return what it knows then."""
        deadline = time.monotonic() + timeout_s
        phones = {phone.imei: phone async for phone in self._bridge.phones()}
        unproven = [imei for imei in imeis if not phones[imei].is_proven]
        while unproven and time.monotonic() < deadline:
            await asyncio.sleep(_ASK_AGAIN_S)
            for imei in unproven:
                phones[imei] = await self._bridge.phone(imei)
            unproven = [imei for imei in unproven if not phones[imei].is_proven]
        self._given_up.update(unproven)
        return phones


def _hash(phone: Phone) -> StateHash:
    return StateHash(bytes.fromhex(phone.desired.state_hash))
