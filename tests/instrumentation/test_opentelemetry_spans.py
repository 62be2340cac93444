"""The example `opentelemetry_spans.py`, with a client of each kind."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hestiaos import ConnectFailed
from tests.support.bindings import BINDINGS
from tests.support.over_httpx import GOOD_TYPES
from tests.support.peer import Connection, Peer
from tests.support.ports import refusing_url
from tests.support.sessions import KEY
from tests.support.steps import PATIENCE, send, silence
from tests.support.wire import GOOD_EVENTS, LAST_CHUNK, STREAM_HEAD, chunk, event, response

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

EXAMPLE = Path(__file__).parents[2] / "examples" / "opentelemetry_spans.py"
# The loop over selectors has no hooks; the in-process transport is httpx's.
BINDINGS_WITH_HOOKS = [each for each in BINDINGS if each.remote and each.name != "selectors"]


@pytest.fixture(params=BINDINGS_WITH_HOOKS, ids=lambda binding: binding.name)
def binding(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def hooks(exporter: InMemorySpanExporter) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("opentelemetry_spans", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield example.span_hooks(provider.get_tracer("test"))
    provider.shutdown()


def events_of(span: ReadableSpan) -> list[str]:
    return [each.name for each in span.events]


def test_a_stream_that_is_repeated(binding: Any, hooks: Any, exporter: InMemorySpanExporter) -> None:
    """One span, which ends with the stream and not with its head."""
    released = threading.Event()

    def until_released(_: Connection) -> None:
        assert released.wait(PATIENCE)

    start, *rest = map(event, GOOD_EVENTS)
    unavailable = send(response(503, b"{}", "Retry-After: 0"))
    slow = [send(STREAM_HEAD + chunk(start)), until_released, send(chunk(b"".join(rest)) + LAST_CHUNK)]
    with Peer([unavailable], slow) as peer, binding(peer.url, retries=1, hooks=hooks) as session:
        stream = session.stream("x")
        assert stream.next().type == "start"
        assert exporter.get_finished_spans() == ()
        released.set()
        assert [each.type for each in stream.read()[0]] == GOOD_TYPES[1:]
        (span,) = exporter.get_finished_spans()
    assert span.name == "hestiaos run_stream"
    assert span.kind is SpanKind.CLIENT
    assert span.attributes == {
        "http.request.method": "POST",
        "url.full": f"{peer.url}/api/v1/run/stream",
        "http.response.status_code": 200,
    }
    assert events_of(span) == ["request", "response", "retry", "request", "response", *GOOD_TYPES]
    assert KEY not in span.to_json()


def test_a_call(binding: Any, hooks: Any, exporter: InMemorySpanExporter) -> None:
    with Peer() as peer, binding(peer.url, hooks=hooks) as session:
        assert session.call("run", "x").result == "r"
    (span,) = exporter.get_finished_spans()
    assert span.name == "hestiaos run"
    assert events_of(span) == ["request", "response"]
    assert span.status.is_unset


def test_a_refusal(binding: Any, hooks: Any, exporter: InMemorySpanExporter) -> None:
    with Peer([send(response(403, b"{}"))]) as peer, binding(peer.url, hooks=hooks) as session:
        _, error = session.stream("x").read()
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == str(error)
    assert span.attributes is not None
    assert span.attributes["error.type"] == "GovernanceBlock"


def test_no_server(binding: Any, hooks: Any, exporter: InMemorySpanExporter) -> None:
    with binding(refusing_url(), hooks=hooks) as session:
        _, error = session.stream("x").read()
    assert isinstance(error, ConnectFailed)
    (span,) = exporter.get_finished_spans()
    assert events_of(span) == ["request"]
    assert span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("end", ["close", "drop"])
def test_a_stream_that_is_left(end: str, binding: Any, hooks: Any, exporter: InMemorySpanExporter) -> None:
    held = [send(STREAM_HEAD + chunk(event(GOOD_EVENTS[0]))), silence]
    with Peer(held) as peer, binding(peer.url, hooks=hooks) as session:
        stream = session.stream("x")
        assert stream.next().type == "start"
        getattr(stream, end)()
        (span,) = exporter.get_finished_spans()
    assert events_of(span) == ["request", "response", "start"]
    assert span.status.is_unset


def test_the_example_program(server_url: str) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60
    command = [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLE), server_url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    span = json.loads(ended.stdout)
    assert [each["name"] for each in span["events"]] == ["request", "response", "start", "token", "final", "done"]
