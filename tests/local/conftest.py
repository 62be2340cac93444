"""What the tests of the served platform may ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import BACKEND, SERVER
from tests.support.broad import LOOPS


@pytest.fixture(params=LOOPS if SERVER is None else [pytest.param(BACKEND, id=SERVER)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start(serve_platform: Callable[..., str], backend: str) -> Callable[..., str]:
    return lambda **kwargs: serve_platform(backend=backend, **kwargs)
