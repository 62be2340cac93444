"""The table of operations: a client writes its requests by it, and a server recognizes them.

Both sides use the same table, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from hestiaos_proto._body_schemas import BodySchema, FieldError, Param
from hestiaos_proto._errors import NotFound, StatusError
from hestiaos_proto._listed_models import AgentInfo, Approval, SessionInfo
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._results import ANY_OBJECT, NOTHING, OBJECT_OR_NONE, SECRET, STREAM, list_of, model_of
from hestiaos_proto._route import Route, invalid

__all__ = ["ROUTES", "Route", "find_route", "method_not_allowed", "path_of", "resolve"]


def resolve(method: str, target: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation of a request, and its arguments.

    Raises what `find_route` raises, and `InvalidInput` for arguments that do not fit.
    """
    route, arguments = find_route(method, target)
    return route.operation, arguments | route.decode(body)


def find_route(method: str, target: str) -> tuple[Route[Any], dict[str, Any]]:
    """Return the row for a method and a target, and the arguments in the target. HEAD is accepted where GET is.

    Raises `NotFound` for a path that is not in the table, `StatusError` 405 for a method that the path does not have,
    `InvalidInput` for a path that is not UTF-8 and for a query that does not fit.
    """
    path = path_of(target)
    found = _BY_PATH.get(path) or _find_templates(path)
    wanted = "GET" if method == "HEAD" else method
    for route, arguments in found:
        if route.method == wanted:
            return route, (arguments | route.decode_query(target) if route.query else arguments)
    if not found:
        raise NotFound(f"there is no {path}{_correction(path)}", code="UNKNOWN_OPERATION")
    raise method_not_allowed(path, method, [route.method for route, _ in found])


def path_of(target: str) -> str:
    """Return the path of a request's target, which may be a URL (RFC 9112, section 3.2.2), without its query."""
    path = target.partition("?")[0]
    return path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2]


def method_not_allowed(path: str, method: str, methods: Collection[str]) -> StatusError:
    """Return the refusal of a method that a path does not have. One with GET has HEAD too (RFC 9110, section 9.1)."""
    allowed = sorted({*methods, "HEAD"} if "GET" in methods else methods)
    return StatusError(
        f"{path} allows {', '.join(allowed)}, not {method}",
        None,
        {"allowed": allowed},
        status_code=405,
        code="METHOD_NOT_ALLOWED",
    )


def _correction(path: str) -> str:
    """Return how to correct a path that begins with too much of a base URL, or `""` for any other."""
    prefix, api, rest = path.rpartition("/api/")
    return f": leave {prefix} out of the base URL" if prefix and _find_templates(api + rest) else ""


def _find_templates(path: str) -> list[tuple[Route[Any], dict[str, Any]]]:
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")]
    except UnicodeDecodeError:
        raise invalid([FieldError(loc=["path"], msg="the path is not UTF-8", type="path_invalid")]) from None
    return [(route, arguments) for route in ROUTES.values() if (arguments := route.match(segments)) is not None]


_RUN: BodySchema = {
    "input": Param("input", str),
    "context": {
        "session_id": Param("session_id", str, None),
        "agent_id": Param("agent_id", str, None),
        "mode_hint": Param("mode_hint", str, None),
    },
    "options": {"timeout_ms": Param("timeout_ms", int, 30_000), "stream": Param("stream", bool, False)},
}
_SET_SECRET: BodySchema = {
    "credential_ref": Param("key", str, filled=True),
    "secret": Param("value", str, secret=True),
    "provider": Param("provider", str, "custom"),
    "allowed_tools": ["*"],
}
_AGENT: BodySchema = {
    "agent_id": Param("agent_id", str),
    "task": Param("task", str),
    "config": Param("config", dict, None),
}
_CHAT: BodySchema = {"message": Param("message", str), "session_id": Param("session_id", str, None)}
_EXPLAIN: BodySchema = {"command_type": Param("command_type", str), "command_input": Param("command_input", dict)}

_TABLE_1_0: tuple[Route[Any], ...] = (
    Route("run", "POST", "/api/v1/run", _RUN, **model_of(RunResponse), idempotent=False),
    Route("run_stream", "POST", "/api/v1/run/stream", _RUN, **STREAM, idempotent=False),
    Route("health", "GET", "/api/v1/health", aliases=("/health",), **model_of(HealthResponse)),
    Route("trace", "GET", "/api/v1/trace/{trace_id}", **model_of(TraceResponse)),
    Route("chat", "POST", "/api/chat", _CHAT, **model_of(ChatResponse), idempotent=False),
    Route("run_agent", "POST", "/api/agents/run", _AGENT, **model_of(AgentResult), idempotent=False),
    Route("system_status", "GET", "/api/system/status", **model_of(SystemStatus)),
    Route("system_config", "GET", "/api/system/config", **ANY_OBJECT),
    Route("system_metrics", "GET", "/api/system/metrics", **model_of(SystemMetrics)),
    Route("get_secret", "GET", "/api/secrets/{key}", **SECRET),
    Route("set_secret", "POST", "/api/secrets", _SET_SECRET, **NOTHING),
    Route("delete_secret", "DELETE", "/api/secrets/{key}", **NOTHING),
    Route("explain", "POST", "/api/governance/explain", _EXPLAIN, **ANY_OBJECT),
    Route("governance_status", "GET", "/api/governance/stability", **ANY_OBJECT),
    Route("governance_trace", "GET", "/api/governance/trace/{command_id}", **OBJECT_OR_NONE),
)

# Operations that were added after 1.0 have paths of their own below /api/v1: a server without them answers with 404.

_LIMIT = Param("limit", int, 100)
_JUDGE: BodySchema = {
    "input": Param("input", str, None),
    "output": Param("output", str, None),
    "tool": Param("tool", str, None),
    "arguments": Param("arguments", dict, None),
    "command_type": Param("command_type", str, "RUN"),
    "agent": Param("agent", str, None),
    "session": Param("session", str, None),
    "key": Param("key", str, None),
    "model": Param("model", str, None),
}


def _added(operation: str, method: str, path: str, body: BodySchema | None = None, **more: Any) -> Route[Any]:
    return Route(operation, method, f"/api/v1/{path}", body, since="1.1", **more)


_TABLE_1_1: tuple[Route[Any], ...] = (
    _added(
        "list_traces",
        "GET",
        "traces",
        query=(_LIMIT, Param("decision", str, None), Param("before", str, None)),
        **list_of("traces", TraceResponse),
    ),
    _added("chat_stream", "POST", "chat/stream", _CHAT, **STREAM, idempotent=False),
    _added("list_agents", "GET", "agents", **list_of("agents", AgentInfo)),
    _added("list_secrets", "GET", "secrets", **list_of("keys", str)),
    _added(
        "list_sessions",
        "GET",
        "sessions",
        query=(_LIMIT, Param("before", str, None)),
        **list_of("sessions", SessionInfo),
    ),
    _added("get_session", "GET", "sessions/{session_id}", query=(Param("last", int, None),), **model_of(SessionInfo)),
    _added("delete_session", "DELETE", "sessions/{session_id}", **NOTHING),
    _added(
        "list_approvals",
        "GET",
        "approvals",
        query=(_LIMIT, Param("status", str, None)),
        **list_of("approvals", Approval),
    ),
    _added(
        "decide_approval", "POST", "approvals/{approval_id}", {"approve": Param("approve", bool)}, **model_of(Approval)
    ),
    _added("get_policy", "GET", "policy", **ANY_OBJECT),
    _added("judge", "POST", "policy/judge", _JUDGE, **ANY_OBJECT),
    _added("test_policy", "POST", "policy/test", {"text": Param("text", str)}, **ANY_OBJECT),
    _added("get_limits", "GET", "limits", **ANY_OBJECT),
    _added("export_audit", "GET", "audit", query=(_LIMIT, Param("after", int, 0)), **ANY_OBJECT),
    _added("verify_audit", "GET", "audit/verification", query=(Param("known", str, None),), **ANY_OBJECT),
)

ROUTES: Mapping[str, Route[Any]] = {route.operation: route for route in (*_TABLE_1_0, *_TABLE_1_1)}
"""The table, by operation."""

# Most paths have no argument, and are found at once. There is one method at each of them.
_BY_PATH: Mapping[str, list[tuple[Route[Any], dict[str, Any]]]] = {
    path: [(route, {})] for route in ROUTES.values() for path in (route.path, *route.aliases) if "{" not in path
}
