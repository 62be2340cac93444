"""What every test of execution may ask for: a way of asking."""

from __future__ import annotations

import pytest

from tests.support.executions import WAYS, Way


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    """On asyncio, on trio, or without an event loop."""
    assert isinstance(request.param, Way)
    return request.param


@pytest.fixture(params=WAYS[:2], ids=lambda way: way.name)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of an event loop."""
    assert isinstance(request.param, Way)
    return request.param.name
