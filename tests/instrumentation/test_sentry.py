"""Sentry's integrations with httpx and httpx2, which wrap `Client.send` on the class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hestiaos import GovernanceBlock
from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer
from tests.support.sessions import KEY
from tests.support.steps import send
from tests.support.wire import response

sentry_sdk = pytest.importorskip("sentry_sdk")

pytestmark = pytest.mark.parametrize("way", ways(None, "httpx", "httpx2"))


@pytest.fixture
def sent() -> Iterator[list[dict[str, Any]]]:
    """The events that Sentry's server would get."""
    from sentry_sdk.integrations.httpx import HttpxIntegration
    from sentry_sdk.integrations.httpx2 import Httpx2Integration

    events: list[dict[str, Any]] = []

    class Transport(sentry_sdk.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            events.extend(item.payload.json for item in envelope.items if item.payload.json)

    sentry_sdk.init(
        dsn="http://key@sentry.test/1",
        transport=Transport,
        traces_sample_rate=1.0,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[HttpxIntegration(), Httpx2Integration()],
    )
    yield events
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def test_a_call_and_a_stream(way: Way, sent: list[dict[str, Any]]) -> None:
    """A span each, below the caller's transaction; the server gets its id."""
    with Peer() as peer, way.open(peer.url) as session, sentry_sdk.start_transaction(name="caller") as caller:
        assert use(session) == ("r", GOOD_TYPES)
    (transaction,) = sent
    spans = transaction["spans"]
    assert [each["data"]["url"] for each in spans] == [f"{peer.url}/api/v1/run", f"{peer.url}/api/v1/run/stream"]
    for span, request in zip(spans, peer.requests, strict=True):
        assert span["op"] == "http.client"
        assert span["data"]["http.response.status_code"] == 200
        assert request.headers["sentry-trace"] == f"{caller.trace_id}-{span['span_id']}-1"
    assert KEY not in str(transaction)


def test_a_refusal(way: Way, sent: list[dict[str, Any]]) -> None:
    """A breadcrumb tells of it."""
    with Peer([send(response(403, b"{}"))]) as peer, way.open(peer.url) as session:
        with pytest.raises(GovernanceBlock) as caught:
            session.call("run", "x")
        sentry_sdk.capture_exception(caught.value)
    (event,) = sent
    assert KEY not in str(event)
    assert event["exception"]["values"][-1]["type"] == "GovernanceBlock"
