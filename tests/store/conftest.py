"""A database of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker_bridge.adapters.store.store import SqlStore
from tests.bridge_rig import ACME, Office


@pytest.fixture(params=["sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    databases = {"sqlite": f"sqlite:///{tmp_path / 'paylatch.db'}"}
    return databases[request.param]


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[SqlStore]:
    """An open store with one lender in it."""
    async with SqlStore(store_url) as opened:
        await opened.add_lender(ACME, b"k" * 32, at=1)
        yield opened


@pytest.fixture
def office() -> Office:
    return Office()
