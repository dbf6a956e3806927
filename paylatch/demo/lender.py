"""The lender's side: its system, talking to the bridge as every lender's may."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lock_protocol.keys import PublicKey
from paylatch.client import Bridge, Decided, Enrolled, Patience, connect
from paylatch.demo.options import DemoError
from paylatch.facts import Borrower, Fact

_TIMEOUT_S = 30.0
_AT_ONCE = Patience(total_s=0)
"""The demo is to show that the bridge takes everything the first time."""


async def enrol(bridge: Bridge, borrower: Borrower, device_key: PublicKey) -> Enrolled:
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
    """Give the bridge to a lender that does not try again."""
    async with connect(base_url, api_key, patience=_AT_ONCE, timeout_s=_TIMEOUT_S) as bridge:
        yield bridge
