"""Every field of every result and error, and a `match` that knows every type of event. Nothing runs this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never, assert_type

from hestiaos import (
    AgentResult,
    ChatResponse,
    ConnectionLost,
    ErrorResponse,
    GovernanceBlock,
    HealthResponse,
    HestiaError,
    InvalidInput,
    LocalTransport,
    Platform,
    Policy,
    RateLimited,
    ResponseInfo,
    RunResponse,
    StatusError,
    Store,
    StreamEvent,
    StreamInterrupted,
    SystemMetrics,
    SystemStatus,
    TimedOut,
    TraceResponse,
    TransportError,
)


def a_run(run: RunResponse) -> None:
    assert_type(run.result, str)
    assert_type(run.trace_id, str)
    assert_type(run.output, str | None)
    assert_type(run.mode, str)
    assert_type(run.budget, float)
    assert_type(run.latency_ms, float)
    assert_type(run.extra, Mapping[str, Any])
    assert_type(run.to_wire(), dict[str, Any])
    assert_type(RunResponse.from_wire({}), RunResponse)


def a_trace(trace: TraceResponse) -> None:
    assert_type(trace.trace_id, str)
    assert_type(trace.decision, str)
    assert_type(trace.violations, list[dict[str, Any]])
    assert_type(trace.latency_ms, float)
    assert_type(trace.reason, str | None)
    assert_type(trace.risk_score, float | None)
    assert_type(trace.policy, str | None)
    assert_type(trace.mode, str | None)
    assert_type(trace.budget, float | None)
    assert_type(trace.timestamp, str | None)


def the_health(health: HealthResponse) -> None:
    assert_type(health.status, str)
    assert_type(health.version, str)
    assert_type(health.uptime_seconds, float | None)
    assert_type(health.api_version, str | None)


def a_reply(reply: ChatResponse) -> None:
    assert_type(reply.result, str)
    assert_type(reply.response, str)
    assert_type(reply.session_id, str)
    assert_type(reply.trace_id, str | None)
    assert_type(reply.processing_time, float | None)
    assert_type(reply.model, str | None)


def an_agent(agent: AgentResult) -> None:
    assert_type(agent.result, str | None)
    assert_type(agent.output, str | None)
    assert_type(agent.agent_id, str)
    assert_type(agent.trace_id, str | None)
    assert_type(agent.status, str | None)
    assert_type(agent.error, str | None)


def the_system(status: SystemStatus, metrics: SystemMetrics) -> None:
    assert_type(status.status, str)
    assert_type(status.version, str)
    assert_type(status.uptime_seconds, float)
    assert_type(status.ollama, bool | None)
    assert_type(status.vllm, bool | None)
    assert_type(status.dsgk, bool | None)
    assert_type(status.storage, bool | None)
    assert_type(metrics.metrics, Mapping[str, Any])
    assert_type(metrics.cpu_percent, float | None)
    assert_type(metrics.memory_percent, float | None)
    assert_type(metrics.active_sessions, float | None)
    assert_type(metrics.requests_total, float | None)
    assert_type(metrics.avg_latency_ms, float | None)
    assert_type(metrics.gpu_percent, float | None)
    assert_type(metrics.vram_percent, float | None)
    assert_type(metrics.vram_used_bytes, float | None)
    assert_type(metrics.vram_total_bytes, float | None)


def an_error_response(body: ErrorResponse) -> None:
    assert_type(body.error, str)
    assert_type(body.code, str)
    assert_type(body.message, str)
    assert_type(body.trace_id, str | None)
    assert_type(body.details, dict[str, Any] | list[Any] | str | None)


def the_events(events: Iterator[StreamEvent]) -> None:
    for event in events:
        assert_type(event.text, str)
        assert_type(event.trace_id, str)
        assert_type(event.timestamp, str)
        match event.type:
            case "start" | "token" | "delta":
                print(event.text)
            case "tool_call" | "final" | "error":
                print(event.data)
            case "done":
                break
            case _:
                assert_never(event.type)


def the_errors(error: Exception) -> None:
    match error:
        case GovernanceBlock() | InvalidInput() | RateLimited():
            assert_type(error.status_code, int)
            assert_type(error.retry_after, float | None)
            assert_type(error.body, bytes)
        case StreamInterrupted():
            assert_type(error.events_received, int)
            assert_type(error.last_event, StreamEvent | None)
        case ConnectionLost() | TimedOut():
            assert_type(error.request_sent, bool)
        case HestiaError():
            assert_type(error.code, str)
            assert_type(error.message, str)
            assert_type(error.trace_id, str | None)
            assert_type(error.response, ResponseInfo | None)
        case _:
            raise error


def each_error_is_of_its_family(block: GovernanceBlock, lost: ConnectionLost, late: TimedOut) -> None:
    refused: StatusError = block
    failed: list[TransportError] = [lost, late]
    broken: ConnectionError = lost
    expired: TimeoutError = late
    print(refused, failed, broken, expired)


def the_platform(policy: str) -> None:
    with Platform(policy=Policy.parse(policy, "policy.toml"), store=Store(":memory:")) as platform:
        assert_type(platform, Platform)
        assert_type(platform.storage, str)
        assert_type(LocalTransport(platform), LocalTransport)
    assert_type(Policy.default(), Policy)
    assert_type(Policy.load("policy.toml"), Policy)
