"""OpenTelemetry's instrumentation of httpx and httpx2, which wraps `HTTPTransport.handle_request` on the class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hestiaos import GovernanceBlock
from tests.support.over_httpx import GOOD_TYPES, Way, use, ways
from tests.support.peer import Peer
from tests.support.sessions import KEY
from tests.support.steps import send
from tests.support.wire import response

instrumentation = pytest.importorskip("opentelemetry.instrumentation.httpx")

from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

pytestmark = pytest.mark.parametrize("way", ways(None, "httpx", "httpx2"))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = [instrumentation.HTTPXClientInstrumentor(), instrumentation.HTTPX2ClientInstrumentor()]
    for each in instrumentors:
        each.instrument(tracer_provider=provider)
    yield provider
    for each in instrumentors:
        each.uninstrument()
    provider.shutdown()


def test_a_call_and_a_stream(way: Way, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """A span each, below the caller's own; the server gets its id."""
    span_of_caller = provider.get_tracer("test").start_as_current_span("caller")
    with Peer() as peer, way.open(peer.url) as session, span_of_caller as caller:
        assert use(session) == ("r", GOOD_TYPES)
    call, stream, _ = exporter.get_finished_spans()
    for span, path, request in zip((call, stream), ("run", "run/stream"), peer.requests, strict=True):
        assert span.attributes["http.url"] == f"{peer.url}/api/v1/{path}"
        assert span.attributes["http.status_code"] == 200
        assert span.parent == caller.get_span_context()
        parent = request.headers["traceparent"].split("-")
        assert parent[1:3] == [f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"]
    assert KEY not in "".join(each.to_json() for each in (call, stream))


def test_repeats_and_a_refusal(way: Way, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """Each request has a span of its own."""
    unavailable = send(response(503, b"{}", "Retry-After: 0"))
    with Peer([unavailable], [send(response(403, b"{}"))]) as peer, way.open(peer.url, retries=1) as session:
        _, error = session.stream("x").read()
    assert isinstance(error, GovernanceBlock)
    assert [each.attributes["http.status_code"] for each in exporter.get_finished_spans()] == [503, 403]
