"""Payments that cure, and how long the phones take to open."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from device_sim.fleet.control_client import FleetControl
from lock_protocol.imei import Imei
from lock_protocol.levels import Level
from paylatch.client import Bridge
from paylatch.facts import Fact
from paylatch.latency import opened_at

# Payments arrive one by one as borrowers make them, a few at the same time.
_AT_A_TIME = 2


async def report_payments(bridge: Bridge, payments: Sequence[Fact]) -> dict[Imei, int]:
    """Report each payment in a request of its own; return when each was sent, in nanoseconds."""
    sent: dict[Imei, int] = {}
    places = asyncio.Semaphore(_AT_A_TIME)

    async def report(payment: Fact) -> None:
        async with places:
            sent[payment.imei] = time.monotonic_ns()
            await bridge.decide(payment.body())

    async with asyncio.TaskGroup() as tasks:
        for payment in payments:
            tasks.create_task(report(payment), name=f"pay {payment.imei}")
    return sent


async def opened_after(fleet: FleetControl, since: Mapping[Imei, int], timeout_s: float) -> dict[Imei, int]:
    """Wait until these phones are unlocked; return how long after its moment each became so, in nanoseconds.

    Those that do not open in time are left out.
    """
    if not since:
        return {}
    await fleet.await_levels(dict.fromkeys(since, Level.UNLOCKED), timeout_s)
    changes = await fleet.transitions(since)
    moments = {imei: opened_at(changes[imei], moment) for imei, moment in since.items()}
    return {imei: at - since[imei] for imei, at in moments.items() if at is not None}
