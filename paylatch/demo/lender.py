"""The lender's side: its system, talking to the bridge as every lender's may."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from device_sim.identities import FleetLine, new_device_seed, write_fleet
from lock_protocol.keys import PublicKey, SigningKey
from paylatch.client import Bridge, Decided, Enrolled, Patience, connect
from paylatch.demo.options import DemoError
from paylatch.facts import Borrower, Fact
from paylatch.fleet.transport import KeptConnections

_TIMEOUT_S = 30.0
_ENROLMENTS_AT_A_TIME = 128
_AT_ONCE = Patience(total_s=0)
"""The demo is to show that the bridge takes everything the first time."""


async def enrol_fleet(
    bridge: Bridge, borrowers: Sequence[Borrower], path: Path, done: Callable[[], object] = lambda: None
) -> list[Enrolled]:
    """Enrol a new phone for each borrower and write the fleet's file; return what the bridge has answered.

    Args:
        bridge: where.
        borrowers: one at least.
        path: of the file.
        done: told of each that is enrolled.
    """
    seeds = [new_device_seed() for _ in borrowers]
    places = asyncio.Semaphore(_ENROLMENTS_AT_A_TIME)

    async def enrol_one(borrower: Borrower, seed: bytes) -> Enrolled:
        async with places:
            enrolled = await _enrol(bridge, borrower, SigningKey.from_seed(seed).public)
        done()
        return enrolled

    async with asyncio.TaskGroup() as tasks:
        enrolling = [
            tasks.create_task(enrol_one(borrower, seed), name=f"enrol {borrower.imei}")
            for borrower, seed in zip(borrowers, seeds, strict=True)
        ]
    enrolled = [task.result() for task in enrolling]
    write_fleet(
        path,
        (
            FleetLine(imei=one.imei, device_seed=seed, password=one.mqtt.password, root=one.root)
            for one, seed in zip(enrolled, seeds, strict=True)
        ),
    )
    return enrolled


async def _enrol(bridge: Bridge, borrower: Borrower, device_key: PublicKey) -> Enrolled:
    """Bind a phone to its loan."""
    return await bridge.enrol(
        imei=borrower.imei,
        loan_id=borrower.loan_id,
        device_key=device_key,
        consent=f"contract of {borrower.loan_id}",
    )


async def decide_all(bridge: Bridge, facts: Sequence[Fact]) -> None:
    """Report facts as lists.

    Raises:
        DemoError: one was not taken.
    """
    outcomes = await bridge.decide_all(fact.body() for fact in facts)
    for fact, outcome in zip(facts, outcomes, strict=True):
        if not isinstance(outcome, Decided):
            raise DemoError(f"the bridge refused a decision about {fact.imei}: {outcome}")


@asynccontextmanager
async def connected(base_url: str, api_key: str) -> AsyncIterator[Bridge]:
    """Give the bridge to a lender that does not try again, over connections that cost little."""
    transport = KeptConnections()
    async with connect(base_url, api_key, patience=_AT_ONCE, timeout_s=_TIMEOUT_S, transport=transport) as bridge:
        yield bridge
