"""A world of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "paylatch.db")
    yield made
    made.close()
