"""What the cases share."""

import pytest

from benchmarks.scene import Scene, set_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A lender, a phone and the messages between both."""
    return set_scene(tmp_path_factory.mktemp("scene") / "keys")
