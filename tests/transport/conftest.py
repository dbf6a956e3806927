"""Each test that asks for an adapter is run with either."""

import pytest

from tests.transport.adapters import ADAPTERS, Connecting


@pytest.fixture(params=ADAPTERS)
def connecting(request: pytest.FixtureRequest) -> Connecting:
    return ADAPTERS[request.param]
