"""The lender's side: what its system reports as lists."""

from collections.abc import Sequence

from paylatch.client import Bridge, Decided
from paylatch.demo.options import DemoError
from paylatch.facts import Fact


async def decide_all(bridge: Bridge, facts: Sequence[Fact]) -> None:
    """Report facts as lists.

    Raises:
        DemoError: one was not taken.
    """
    outcomes = await bridge.decide_all(fact.body() for fact in facts)
    for fact, outcome in zip(facts, outcomes, strict=True):
        if not isinstance(outcome, Decided):
            raise DemoError(f"the bridge refused a decision about {fact.imei}: {outcome}")
