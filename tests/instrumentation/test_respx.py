"""respx, which takes the place of httpcore's connections and pools, on their classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hestiaos import ConnectFailed, ConnectionLost, TimedOut
from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer
from tests.support.wire import GOOD_EVENTS, RUN, events

respx = pytest.importorskip("respx")

URL = "http://hestiaos.test"
MOCKED = {"json": RUN | {"result": "mocked"}}
MOCKED_STREAM = {"content": events(*GOOD_EVENTS), "content_type": "text/event-stream"}

pytestmark = pytest.mark.parametrize("way", ways(None, "httpx"))


@pytest.fixture
def router() -> Iterator[Any]:
    with respx.mock as router:
        yield router


def test_a_call_and_a_stream(way: Way, router: Any) -> None:
    call = router.post(f"{URL}/api/v1/run").respond(**MOCKED)
    router.post(f"{URL}/api/v1/run/stream").respond(**MOCKED_STREAM)
    with way.open(URL, headers={"X-Team": "blue"}) as session:
        assert use(session) == ("mocked", GOOD_TYPES)
        assert use(session) == ("mocked", GOOD_TYPES)
    assert router.calls.call_count == 4
    assert call.calls.last.request.headers["X-Team"] == "blue"
    assert b'"input":"x"' in call.calls.last.request.content


def test_requests_that_pass_through(way: Way, router: Any) -> None:
    with Peer() as peer:
        router.route(host="127.0.0.1").pass_through()
        with way.open(peer.url) as session:
            assert use(session) == ("r", GOOD_TYPES)
            assert use(session) == ("r", GOOD_TYPES)
        assert len(peer.requests) == 4
        assert peer.connections == 1


def test_a_mock_that_begins_after_the_first_call(way: Way) -> None:
    """A connection that is kept from before carries nothing past the mock, and serves again after it."""
    with Peer() as peer, way.open(peer.url) as session:
        assert use(session) == ("r", GOOD_TYPES)
        with respx.mock as router:
            router.post(f"{peer.url}/api/v1/run").respond(**MOCKED)
            router.post(f"{peer.url}/api/v1/run/stream").respond(**MOCKED_STREAM)
            assert use(session) == ("mocked", GOOD_TYPES)
        assert use(session) == ("r", GOOD_TYPES)
        assert len(peer.requests) == 4
        assert peer.connections == 1


@pytest.mark.parametrize("proxy", ["http", "https", "socks5"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_mocks_for_a_client_with_a_proxy(
    way: Way, router: Any, scheme: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mock is asked for the server's URL, not for the proxy's."""
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"{proxy}://127.0.0.1:9")
    router.post(f"{scheme}://hestiaos.test/api/v1/run").respond(**MOCKED)
    router.post(f"{scheme}://hestiaos.test/api/v1/run/stream").respond(**MOCKED_STREAM)
    with way.open(f"{scheme}://hestiaos.test") as session:
        assert use(session) == ("mocked", GOOD_TYPES)


def test_repeats(way: Way, router: Any) -> None:
    call = router.post(f"{URL}/api/v1/run").mock(
        side_effect=[httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(200, **MOCKED)]
    )
    with way.open(URL, retries=2) as session:
        assert session.call("run", "x").result == "mocked"
    assert len({each.request.headers["Idempotency-Key"] for each in call.calls}) == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError("refused"), ConnectFailed),
        (httpx.ConnectTimeout("slow"), TimedOut),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.ReadError("reset"), ConnectionLost),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_a_failure(way: Way, router: Any, raised: Exception, expected: type[Exception]) -> None:
    """It is taken for what it stands for, with the mock's exception as its cause."""
    router.post(f"{URL}/api/v1/run").mock(side_effect=raised)
    with way.open(URL) as session, pytest.raises(expected) as caught:
        session.call("run", "x")
    assert caught.value.__cause__ is raised


def test_a_lost_run_is_not_repeated(way: Way, router: Any) -> None:
    """A mocked failure after the connect counts as one: the server may have begun."""
    call = router.post(f"{URL}/api/v1/run").mock(side_effect=httpx.ReadTimeout("slow"))
    with way.open(URL, retries=3) as session, pytest.raises(TimedOut):
        session.call("run", "x")
    assert call.call_count == 1
