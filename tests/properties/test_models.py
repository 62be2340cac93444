"""Properties of the models: what is written is read, and what is wrong is named."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    RemoteProtocolError,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._models import Model

VALID: dict[type[Model], dict[str, Any]] = {
    RunResponse: {"result": "r", "output": None, "mode": "ALLOW", "budget": 1.0, "trace_id": "t", "latency_ms": 2},
    TraceResponse: {
        "trace_id": "t",
        "decision": "BLOCK",
        "reason": "r",
        "risk_score": 0.5,
        "policy": "p",
        "violations": [{"rule": "x"}],
        "mode": "m",
        "budget": 0.0,
        "latency_ms": 1.5,
        "timestamp": "2026-01-01T00:00:00Z",
    },
    HealthResponse: {"status": "ok", "version": "1", "uptime_seconds": 3.0, "api_version": "v1"},
    ErrorResponse: {"error": "e", "code": "C", "message": "m", "trace_id": "t", "details": {"a": 1}},
    ChatResponse: {"response": "r", "session_id": "s", "processing_time": 0.1, "model": "m", "trace_id": "t"},
    AgentResult: {"agent_id": "a", "status": "FAILED", "output": None, "error": "e", "trace_id": "t"},
    SystemStatus: {
        "status": "OK",
        "ollama": True,
        "vllm": False,
        "dsgk": True,
        "storage": True,
        "version": "1",
        "uptime_seconds": 4,
    },
    SystemMetrics: {
        "cpu_percent": 1.0,
        "memory_percent": 2.0,
        "active_sessions": 0,
        "requests_total": 9,
        "avg_latency_ms": 0.5,
        "gpu_percent": None,
        "vram_percent": None,
        "vram_used_bytes": None,
        "vram_total_bytes": None,
    },
}
OTHER_SPELLINGS: dict[type[Model], dict[str, Any]] = {ChatResponse: {"result": "x"}, AgentResult: {"result": "x"}}
MODELS = st.sampled_from(sorted(VALID, key=lambda model: model.__name__))
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})


@given(MODELS, st.dictionaries(st.text(max_size=8).map("x-{}".format), ANYTHING.filter(lambda value: value == value)))
def test_unknown_fields_are_kept_and_written_again(model: type[Model], extra: dict[str, Any]) -> None:
    """A body with fields that its model does not name is read, keeps them in `extra`, and is written as it was."""
    body = VALID[model] | extra
    read = model.from_wire(dict(body))
    assert model.from_wire(read.to_wire()) == read
    if model is not SystemMetrics:  # whose unknown names are metrics
        assert read.extra == extra
        assert read == model.from_wire(VALID[model])
    assert read.to_wire() == body


@given(st.sampled_from(list(OTHER_SPELLINGS)), st.booleans())
def test_a_body_with_either_spelling_or_with_both_loses_nothing(model: type[Model], both: bool) -> None:
    """A body that spells a field the one way, the other or both is read and written again with all that it says."""
    body = VALID[model] | OTHER_SPELLINGS[model]
    if not both:
        del body[{ChatResponse: "response", AgentResult: "output"}[model]]
    read = model.from_wire(dict(body))
    assert read.result == "x"  # type: ignore[attr-defined]  # both models have it
    assert model.from_wire(read.to_wire()) == read
    if both:
        assert read.to_wire() == body


@given(MODELS, st.data())
def test_every_mutation_is_read_or_named(model: type[Model], data: st.DataObject) -> None:
    """Every single mutation of a valid body gives a result, or a `RemoteProtocolError` that names the field."""
    body = dict(VALID[model])
    name = data.draw(st.sampled_from(sorted(body)))
    if data.draw(st.booleans()):
        del body[name]
    else:
        body[name] = data.draw(ANYTHING)
    try:
        read = model.from_wire(body)
    except RemoteProtocolError as error:
        message: str | None = error.message
    else:
        message = None
        assert attrs.asdict(read) is not None
    assert message is None or repr(name) in message
