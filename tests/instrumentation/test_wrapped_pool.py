"""A wrapper around httpcore's pool, on its class, as the agents of Elastic and New Relic put there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpcore
import pytest

from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer

wrapt = pytest.importorskip("wrapt")


@pytest.fixture
def targets() -> Iterator[list[bytes]]:
    """The targets of the requests that the wrapper sees."""
    seen: list[bytes] = []

    def wrapper(wrapped: Any, _: Any, arguments: Any, keywords: Any) -> Any:
        (request,) = arguments
        seen.append(request.url.target)
        return wrapped(*arguments, **keywords)

    names = "ConnectionPool.handle_request", "AsyncConnectionPool.handle_async_request"
    originals = [wrapt.resolve_path(httpcore, name) for name in names]
    for name in names:
        wrapt.wrap_function_wrapper(httpcore, name, wrapper)
    yield seen
    for owner, attribute, original in originals:
        setattr(owner, attribute, original)


@pytest.mark.parametrize("way", ways(None, "httpx"))
def test_a_call_and_a_stream(way: Way, targets: list[bytes]) -> None:
    with Peer() as peer, way.open(peer.url) as session:
        assert use(session) == ("r", GOOD_TYPES)
        assert use(session) == ("r", GOOD_TYPES)
        assert peer.connections == 1
    assert targets == [b"/api/v1/run", b"/api/v1/run/stream"] * 2
