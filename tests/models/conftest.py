"""Real model servers. Where their packages are not installed, what asks for them is skipped: `nox -s peers`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.executions import WAYS, Way
from tests.support.model_servers import FakeServer, LlamaServer


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """llama.cpp's server with a tiny model."""
    pytest.importorskip("xllamacpp")
    with LlamaServer(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """A server that calls tools."""
    pytest.importorskip("fakellm")
    with FakeServer(tmp_path_factory.mktemp("fakellm")) as server:
        yield server


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    """On asyncio, on trio, or without an event loop."""
    assert isinstance(request.param, Way)
    return request.param
