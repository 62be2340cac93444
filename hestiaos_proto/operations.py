"""One function per operation of the wire. Each returns an `Operation`: what to send, and how to read the response.

They raise `TypeError` for an argument of the wrong type and `ValueError` for one that cannot be sent (an empty key, a
lone surrogate), before anything is sent.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from hestiaos_proto._added_operations import (
    chat_stream,
    decide_approval,
    delete_session,
    export_audit,
    get_limits,
    get_policy,
    get_session,
    judge,
    list_agents,
    list_approvals,
    list_secrets,
    list_sessions,
    list_traces,
    test_policy,
    verify_audit,
)
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._operation import Operation, make_operation
from hestiaos_proto._stream import RunStream

__all__ = [
    "ModeHint",
    "Operation",
    "chat",
    "chat_stream",
    "decide_approval",
    "delete_secret",
    "delete_session",
    "explain",
    "export_audit",
    "get_limits",
    "get_policy",
    "get_secret",
    "get_session",
    "governance_status",
    "governance_trace",
    "health",
    "judge",
    "list_agents",
    "list_approvals",
    "list_secrets",
    "list_sessions",
    "list_traces",
    "run",
    "run_agent",
    "run_stream",
    "set_secret",
    "system_config",
    "system_metrics",
    "system_status",
    "test_policy",
    "trace",
    "verify_audit",
]

ModeHint = Literal["fast", "balanced", "deep"]
"""How much reasoning a run should get; the server decides."""

_COMMAND_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")
_DEFAULT_TIMEOUT_MS = 30_000  # the default that is sent to the server


def run(
    input: str,
    *,
    session_id: str | None = None,
    agent_id: str | None = None,
    mode_hint: ModeHint | None = None,
    timeout_ms: int | None = None,
    stream: bool = False,
) -> Operation[RunResponse]:
    """Execute `input` through governance.

    `timeout_ms` is how long the server may take, in milliseconds; if it is given, the client waits as long too.
    """
    return make_operation(
        "run",
        server_timeout_ms=timeout_ms,
        input=input,
        session_id=session_id,
        agent_id=agent_id,
        mode_hint=mode_hint,
        timeout_ms=_DEFAULT_TIMEOUT_MS if timeout_ms is None else timeout_ms,
        stream=stream,
    )


def run_stream(
    input: str,
    *,
    session_id: str | None = None,
    agent_id: str | None = None,
    mode_hint: ModeHint | None = None,
    timeout_ms: int | None = None,
) -> Operation[RunStream]:
    """Execute `input` through governance and stream what happens."""
    return make_operation(
        "run_stream",
        server_timeout_ms=timeout_ms,
        input=input,
        session_id=session_id,
        agent_id=agent_id,
        mode_hint=mode_hint,
        timeout_ms=_DEFAULT_TIMEOUT_MS if timeout_ms is None else timeout_ms,
        stream=True,
    )


def health() -> Operation[HealthResponse]:
    """Check the server's health."""
    return make_operation("health")


def trace(trace_id: str) -> Operation[TraceResponse]:
    """Fetch the audit of one execution."""
    return make_operation("trace", trace_id=trace_id)


def chat(message: str, *, session_id: str | None = None) -> Operation[ChatResponse]:
    """Send a chat message; without `session_id` the server begins a session."""
    return make_operation("chat", message=message, session_id=session_id)


def run_agent(agent_id: str, task: str, *, config: dict[str, Any] | None = None) -> Operation[AgentResult]:
    """Have an agent carry out a task."""
    return make_operation("run_agent", agent_id=agent_id, task=task, config=config)


def system_status() -> Operation[SystemStatus]:
    """Ask for the state of the server and its parts."""
    return make_operation("system_status")


def system_config() -> Operation[dict[str, Any]]:
    """Fetch the server's configuration."""
    return make_operation("system_config")


def system_metrics() -> Operation[SystemMetrics]:
    """Fetch the server's measurements."""
    return make_operation("system_metrics")


def get_secret(key: str) -> Operation[str]:
    """Fetch a secret's value."""
    return make_operation("get_secret", key=key)


def set_secret(key: str, value: str, *, provider: str = "custom") -> Operation[None]:
    """Store a secret."""
    return make_operation("set_secret", key=key, value=value, provider=provider)


def delete_secret(key: str) -> Operation[None]:
    """Delete a secret."""
    return make_operation("delete_secret", key=key)


def explain(command_type: str, command_input: dict[str, Any] | None = None) -> Operation[dict[str, Any]]:
    """Ask how governance would decide on a command, and why.

    `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do. Only a type in
    capitals can go without an input: `explain("rm -rf /")` is a `ValueError`, since the text would be taken for a type.
    """
    if command_input is None and isinstance(command_type, str) and not _COMMAND_TYPE.fullmatch(command_type):
        raise ValueError(
            "explain: command_type must be a type in capitals, like RUN, if no command_input is given; "
            'for a text: explain("RUN", {"input": "…"})'
        )
    return make_operation(
        "explain", command_type=command_type, command_input={} if command_input is None else command_input
    )


def governance_status() -> Operation[dict[str, Any]]:
    """Fetch governance's drift and stability scores."""
    return make_operation("governance_status")


def governance_trace(command_id: str) -> Operation[dict[str, Any] | None]:
    """Fetch a command's trace; `None` if there is none."""
    return make_operation("governance_trace", command_id=command_id)
