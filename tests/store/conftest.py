"""A store on a database of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from broker_bridge.adapters.store.store import SqlStore
from tests.bridge_rig import ACME, Office


@pytest.fixture
async def store(database: str) -> AsyncIterator[SqlStore]:
    """An open store with one lender in it."""
    async with SqlStore(database) as opened:
        await opened.lenders.add(ACME, b"k" * 32, at=1)
        yield opened


@pytest.fixture
def office() -> Office:
    return Office()
