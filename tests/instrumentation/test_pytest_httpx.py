"""pytest-httpx, which takes the place of `HTTPTransport.handle_request` on the class."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from hestiaos import TimedOut
from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer
from tests.support.sessions import KEY
from tests.support.wire import GOOD_EVENTS, RUN, event

pytest_httpx = pytest.importorskip("pytest_httpx")

URL = "http://hestiaos.test"

pytestmark = pytest.mark.parametrize("way", ways(None, "httpx"))


def test_a_call_and_a_stream(way: Way, httpx_mock: Any) -> None:
    httpx_mock.add_response(method="POST", url=f"{URL}/api/v1/run", json=RUN | {"result": "mocked"})
    httpx_mock.add_response(
        url=f"{URL}/api/v1/run/stream",
        headers={"Content-Type": "text/event-stream"},
        stream=pytest_httpx.IteratorStream([b"", *map(event, GOOD_EVENTS), b""]),
    )
    with way.open(URL) as session:
        assert use(session) == ("mocked", GOOD_TYPES)
    call, stream = httpx_mock.get_requests()
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert b'"stream":true' in stream.content


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
def test_requests_that_pass_through(way: Way, httpx_mock: Any) -> None:
    with Peer() as peer, way.open(peer.url) as session:
        assert use(session) == ("r", GOOD_TYPES)
        assert len(peer.requests) == 2


def test_repeats(way: Way, httpx_mock: Any) -> None:
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    httpx_mock.add_response(status_code=503)
    httpx_mock.add_response(json=RUN)
    with way.open(URL, retries=2) as session:
        assert session.call("run", "x").result == "r"
    assert len({each.headers["Idempotency-Key"] for each in httpx_mock.get_requests()}) == 1


def test_a_lost_run_is_not_repeated(way: Way, httpx_mock: Any) -> None:
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    with way.open(URL, retries=3) as session, pytest.raises(TimedOut):
        session.call("run", "x")
    assert len(httpx_mock.get_requests()) == 1
