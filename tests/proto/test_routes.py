"""The table of operations from the server's side: what it recognises, and how it refuses the rest."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from hestiaos_proto import (
    AgentInfo,
    AgentResult,
    Approval,
    ChatResponse,
    HealthResponse,
    InvalidInput,
    NotFound,
    RemoteProtocolError,
    Response,
    RunResponse,
    RunStream,
    SessionInfo,
    StatusError,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._routes import ROUTES, Route, resolve

RUN = b'{"input":"x"}'

# Of each path the method that it has; `{…}` filled with a value.
PATHS = {
    "/api/v1/run": "POST",
    "/api/v1/run/stream": "POST",
    "/api/v1/health": "GET",
    "/api/v1/trace/t": "GET",
    "/api/chat": "POST",
    "/api/agents/run": "POST",
    "/api/system/status": "GET",
    "/api/system/config": "GET",
    "/api/system/metrics": "GET",
    "/api/secrets": "POST",
    "/api/governance/explain": "POST",
    "/api/governance/stability": "GET",
    "/api/governance/trace/c": "GET",
    "/api/v1/traces": "GET",
    "/api/v1/agents": "GET",
    "/api/v1/secrets": "GET",
    "/api/v1/sessions": "GET",
    "/api/v1/approvals": "GET",
    "/api/v1/approvals/a": "POST",
    "/api/v1/chat/stream": "POST",
    "/api/v1/policy": "GET",
    "/api/v1/policy/judge": "POST",
    "/api/v1/policy/test": "POST",
    "/api/v1/limits": "GET",
    "/api/v1/audit": "GET",
    "/api/v1/audit/verification": "GET",
}


def test_the_table_has_every_operation_once() -> None:
    assert len(ROUTES) == 30
    assert all(name == route.operation for name, route in ROUTES.items())
    assert len({(route.method, route.path) for route in ROUTES.values()}) == 30


def test_what_came_after_1_0_has_paths_of_its_own() -> None:
    """So that a server of 1.0 answers them with 404."""
    of_1_0 = {route.path for route in ROUTES.values() if route.since == "1.0"}
    added = {route.path for route in ROUTES.values() if route.since == "1.1"}
    assert (len(of_1_0), len(added), of_1_0 & added) == (14, 14, set())
    assert all(path.startswith("/api/v1/") for path in added)
    for path in added:
        assert not any(route.match(path.split("/")) for route in ROUTES.values() if route.path in of_1_0)


def test_what_starts_work_is_not_idempotent_and_everything_else_is() -> None:
    assert {name for name, route in ROUTES.items() if not route.idempotent} == {
        "run",
        "run_stream",
        "chat",
        "chat_stream",
        "run_agent",
    }
    assert {name for name, route in ROUTES.items() if route.streams} == {"run_stream", "chat_stream"}
    assert {name for name, route in ROUTES.items() if route.absent} == {"governance_trace"}


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/run",
        "/api/v1/run?a=b",
        "/api/v1/run?/api/chat",
        "/api/v1/run?",
        "http://host/api/v1/run?u=http://other/api/chat",
        "http://host/api/v1/run",
        "http://host:8000/api/v1/run?x=/y",
        "HTTPS://host/api/v1/run",
        "/api/v1/r%75n",
    ],
)
def test_absolute_form_is_taken_and_a_query_ignored(target: str) -> None:
    operation, arguments = resolve("POST", target, RUN)
    assert operation == "run"
    assert arguments == {
        "input": "x",
        "session_id": None,
        "agent_id": None,
        "mode_hint": None,
        "timeout_ms": 30_000,
        "stream": False,
    }


@pytest.mark.parametrize("target", ["http://h?x=/api/v1/health", "http://h?/api/v1/health", "http://h"])
def test_an_absolute_form_without_a_path_has_none(target: str) -> None:
    with pytest.raises(NotFound, match=r"there is no /$"):
        resolve("GET", target, b"")


@pytest.mark.parametrize(
    ("segment", "key"),
    [
        ("a", "a"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%2E%2E", ".."),
        ("..", ".."),
        ("%3F%23", "?#"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("a+b", "a+b"),
        ("a%20b", "a b"),
        ("%F0%9F%98%80", "😀"),
        ("%zz", "%zz"),
        ("%", "%"),
        ("%7Bkey%7D", "{key}"),
        ("{key}", "{key}"),
        ("%00", "\0"),
    ],
)
@pytest.mark.parametrize(("method", "operation"), [("GET", "get_secret"), ("DELETE", "delete_secret")])
def test_a_path_parameter_is_one_segment_unescaped_once(method: str, operation: str, segment: str, key: str) -> None:
    assert resolve(method, f"/api/secrets/{segment}", b"") == (operation, {"key": key})


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "",
        "*",
        "/api",
        "/api/v1/run/",
        "//api/v1/run",
        "/api//v1/run",
        "/API/v1/run",
        "/api/v1%2Frun",
        "/api/secrets/",
        "/api/secrets/a/b",
        "/api/v1/trace/",
        "/x/api/v1/run",
        "host:443",
        "http://host",
        "http://host/",
        "api/v1/run",
    ],
)
def test_a_path_that_is_not_in_the_table_is_404(target: str) -> None:
    for method in ("GET", "POST"):
        with pytest.raises(NotFound):
            resolve(method, target, RUN)


@pytest.mark.parametrize(("path", "allowed"), PATHS.items(), ids=PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD", "get", ""])
def test_a_method_that_the_path_has_not_is_405_and_says_which_it_has(path: str, allowed: str, method: str) -> None:
    if method == allowed or (method, allowed) == ("HEAD", "GET"):
        return
    methods = [allowed, "HEAD"] if allowed == "GET" else [allowed]
    with pytest.raises(StatusError) as caught:
        resolve(method, path, b"")
    assert (caught.value.status_code, caught.value.code) == (405, "METHOD_NOT_ALLOWED")
    assert caught.value.details == {"allowed": methods}
    assert f"allows {', '.join(methods)}, not {method}" in caught.value.message


@pytest.mark.parametrize("path", [path for path, method in PATHS.items() if method == "GET"])
def test_head_asks_for_what_get_asks_for(path: str) -> None:
    """RFC 9110, section 9.1: a server must support both."""
    assert resolve("HEAD", path, b"") == resolve("GET", path, b"")


def test_health_has_an_alias() -> None:
    assert resolve("GET", "/health", b"") == resolve("HEAD", "/health?x", b"") == ("health", {})


def test_405_names_every_method_of_the_path() -> None:
    with pytest.raises(StatusError) as caught:
        resolve("POST", "/api/secrets/k", b"")
    assert caught.value.details == {"allowed": ["DELETE", "GET", "HEAD"]}


@pytest.mark.parametrize(
    ("target", "body", "places"),
    [
        ("/api/v1/run", b"{}", ["body.input"]),
        ("/api/v1/run", b'{"input":1,"context":[],"options":{"timeout_ms":"1","stream":null}}',
         ["body.input", "body.context", "body.options.timeout_ms", "body.options.stream"]),
        ("/api/v1/run/stream", b'{"context":{"session_id":1,"agent_id":2,"mode_hint":3}}',
         ["body.input", "body.context.session_id", "body.context.agent_id", "body.context.mode_hint"]),
        ("/api/chat", b'{"session_id":1}', ["body.message", "body.session_id"]),
        ("/api/agents/run", b'{"config":[]}', ["body.agent_id", "body.task", "body.config"]),
        ("/api/secrets", b'{"credential_ref":"","provider":null}',
         ["body.credential_ref", "body.secret", "body.provider"]),
        ("/api/governance/explain", b"{}", ["body.command_type", "body.command_input"]),
        ("/api/chat", b"[]", ["body"]),
        ("/api/chat", b"null", ["body"]),
        ("/api/chat", b"", ["body"]),
        ("/api/chat", b"{", ["body"]),
        ("/api/chat", b'{"message":NaN}', ["body"]),
        ("/api/chat", b'{"message":"\xff"}', ["body"]),
    ],
    ids=str,
)  # fmt: skip
def test_422_names_every_field_that_is_missing_or_wrong(target: str, body: bytes, places: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve("POST", target, body)
    assert [".".join(problem["loc"]) for problem in caught.value.details] == places
    assert all(f"{place}: " in caught.value.message for place in places)
    assert all(problem.keys() == {"loc", "msg", "type"} for problem in caught.value.details)


def test_422_never_quotes_the_value_of_a_field() -> None:
    for body in (b'{"credential_ref":"k","secret":["hunter2"]}', b'{"secret":"hunter2"}', b'{"secret":"hunter2",}'):
        with pytest.raises(InvalidInput) as caught:
            resolve("POST", "/api/secrets", body)
        assert "hunter2" not in f"{caught.value!r} {caught.value.details}"


def test_a_path_that_is_not_utf8_is_422() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve("GET", "/api/secrets/%FF", b"")
    assert caught.value.details == [{"loc": ["path"], "msg": "the path is not UTF-8", "type": "path_invalid"}]


def test_the_body_of_a_request_that_has_none_is_ignored() -> None:
    assert resolve("GET", "/api/v1/health", b"not JSON") == ("health", {})


RUN_BODY = {
    "input": "i",
    "context": {"session_id": "s", "agent_id": "a", "mode_hint": "deep"},
    "options": {"timeout_ms": 5, "stream": True},
}
RUN_ARGUMENTS = {
    "input": "i",
    "session_id": "s",
    "agent_id": "a",
    "mode_hint": "deep",
    "timeout_ms": 5,
    "stream": True,
}
JUDGED = {
    "input": "i",
    "output": None,
    "tool": "t",
    "arguments": {"k": [1]},
    "command_type": "RUN",
    "agent": "a",
    "session": "s",
    "key": "k",
    "model": "m",
}
# Each operation with arguments, and what it is on the wire.
WIRE: dict[str, tuple[dict[str, Any], str, str, Any]] = {
    "run": (RUN_ARGUMENTS, "POST", "/api/v1/run", RUN_BODY),
    "run_stream": (RUN_ARGUMENTS, "POST", "/api/v1/run/stream", RUN_BODY),
    "health": ({}, "GET", "/api/v1/health", None),
    "trace": ({"trace_id": "t/1"}, "GET", "/api/v1/trace/t%2F1", None),
    "chat": ({"message": "m", "session_id": "s"}, "POST", "/api/chat", {"message": "m", "session_id": "s"}),
    "chat_stream": (
        {"message": "m", "session_id": "s"},
        "POST",
        "/api/v1/chat/stream",
        {"message": "m", "session_id": "s"},
    ),
    "run_agent": (
        {"agent_id": "a", "task": "t", "config": {"k": 1}},
        "POST",
        "/api/agents/run",
        {"agent_id": "a", "task": "t", "config": {"k": 1}},
    ),
    "system_status": ({}, "GET", "/api/system/status", None),
    "system_config": ({}, "GET", "/api/system/config", None),
    "system_metrics": ({}, "GET", "/api/system/metrics", None),
    "get_secret": ({"key": "k"}, "GET", "/api/secrets/k", None),
    "set_secret": (
        {"key": "k", "value": "v", "provider": "p"},
        "POST",
        "/api/secrets",
        {"credential_ref": "k", "secret": "v", "provider": "p", "allowed_tools": ["*"]},
    ),
    "delete_secret": ({"key": ".."}, "DELETE", "/api/secrets/%2E%2E", None),
    "explain": (
        {"command_type": "c", "command_input": {"x": 1}},
        "POST",
        "/api/governance/explain",
        {"command_type": "c", "command_input": {"x": 1}},
    ),
    "governance_status": ({}, "GET", "/api/governance/stability", None),
    "governance_trace": ({"command_id": "."}, "GET", "/api/governance/trace/%2E", None),
    "list_traces": (
        {"limit": 7, "decision": "BLOCK", "before": "t/1&?"},
        "GET",
        "/api/v1/traces?limit=7&decision=BLOCK&before=t%2F1%26%3F",
        None,
    ),
    "list_agents": ({}, "GET", "/api/v1/agents", None),
    "list_secrets": ({}, "GET", "/api/v1/secrets", None),
    "list_sessions": ({"limit": 7, "before": None}, "GET", "/api/v1/sessions?limit=7", None),
    "get_session": ({"session_id": "s/1", "last": None}, "GET", "/api/v1/sessions/s%2F1", None),
    "delete_session": ({"session_id": "s"}, "DELETE", "/api/v1/sessions/s", None),
    "list_approvals": ({"limit": 7, "status": "+ é"}, "GET", "/api/v1/approvals?limit=7&status=%2B%20%C3%A9", None),
    "decide_approval": ({"approval_id": "a", "approve": False}, "POST", "/api/v1/approvals/a", {"approve": False}),
    "get_policy": ({}, "GET", "/api/v1/policy", None),
    "judge": (JUDGED, "POST", "/api/v1/policy/judge", JUDGED),
    "test_policy": ({"text": "version = 2"}, "POST", "/api/v1/policy/test", {"text": "version = 2"}),
    "get_limits": ({}, "GET", "/api/v1/limits", None),
    "export_audit": ({"limit": 7, "after": -1}, "GET", "/api/v1/audit?limit=7&after=-1", None),
    "verify_audit": ({"known": None}, "GET", "/api/v1/audit/verification", None),
}
NEEDED: dict[str, dict[str, Any]] = {
    "run": {"input": "i"},
    "run_stream": {"input": "i"},
    "chat": {"message": "m"},
    "chat_stream": {"message": "m"},
    "run_agent": {"agent_id": "a", "task": "t"},
    "set_secret": {"credential_ref": "k", "secret": "v"},
    "explain": {"command_type": "c", "command_input": {}},
    "decide_approval": {"approve": True},
    "judge": {},
    "test_policy": {"text": "t"},
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "run": {"session_id": None, "agent_id": None, "mode_hint": None, "timeout_ms": 30_000, "stream": False},
    "run_stream": {"session_id": None, "agent_id": None, "mode_hint": None, "timeout_ms": 30_000, "stream": False},
    "chat": {"session_id": None},
    "chat_stream": {"session_id": None},
    "run_agent": {"config": None},
    "set_secret": {"provider": "custom"},
    "explain": {},
    "decide_approval": {},
    "judge": dict.fromkeys(JUDGED) | {"command_type": "RUN"},
    "test_policy": {},
}
wire = pytest.mark.parametrize("name", ROUTES)


@wire
def test_requests_are_encoded_and_resolved(name: str) -> None:
    arguments, method, path, body = WIRE[name]
    route = ROUTES[name]
    route.check(arguments)
    sent_path, sent_body = route.encode(arguments)
    assert (route.method, sent_path) == (method, path)
    assert (json.loads(sent_body) if sent_body else None) == body
    assert resolve(method, path, sent_body) == (name, arguments)


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {"limit": 100, "decision": None, "before": None}),
        ("?", {"limit": 100, "decision": None, "before": None}),
        ("?&&other=1&limit=5&", {"limit": 5, "decision": None, "before": None}),
        ("?limit=5&limit=0006", {"limit": 6, "decision": None, "before": None}),
        ("?limit=-999999999999999999&decision=&before", {"limit": -(10**18) + 1, "decision": "", "before": ""}),
        ("?before=a+b%2B%26%3D=?/&Limit=5", {"limit": 100, "decision": None, "before": "a b+&==?/"}),
    ],
)
def test_a_query(query: str, arguments: dict[str, Any]) -> None:
    assert resolve("GET", f"/api/v1/traces{query}", b"") == ("list_traces", arguments)
    assert resolve("HEAD", f"http://h/api/v1/traces{query}", b"") == ("list_traces", arguments)


def test_422_names_each_argument_of_a_query_that_is_wrong() -> None:
    for wrong in ("", "x", "1.0", "1e2", "%31x", " 1", "٣", "1" * 19, "--1", "null"):
        with pytest.raises(InvalidInput) as caught:
            resolve("GET", f"/api/v1/traces?limit={quote(wrong, safe='')}&before=%FF", b"")
        assert caught.value.details == [
            {"loc": ["query", "limit"], "msg": "must be a whole number", "type": "value_error"},
            {"loc": ["query", "before"], "msg": "is not UTF-8", "type": "value_error"},
        ]
    assert caught.value.message == "query.limit: must be a whole number; query.before: is not UTF-8"


def test_a_surrogate_in_a_query_cannot_be_sent_and_its_place_is_named() -> None:
    with pytest.raises(ValueError, match=r"^before: a lone surrogate at position 2 cannot be sent as UTF-8$"):
        ROUTES["list_traces"].encode({"limit": 1, "decision": None, "before": "ab\ud800"})


def test_only_the_dot_segments_are_escaped() -> None:
    for key in ("a.b", "...", ".a", "a..b", "-_~"):
        assert ROUTES["get_secret"].encode({"key": key}) == (f"/api/secrets/{key}", b"")


@wire
def test_the_arguments_of_the_path_are_strings_that_are_not_empty(name: str) -> None:
    route = ROUTES[name]
    for arg in route.params[: route.path.count("{")]:
        assert (arg.kind, arg.filled, arg.secret) == (str, True, False)
        with pytest.raises(ValueError, match=f"^{name}: {arg.name} must not be empty$"):
            route.check({arg.name: ""})
        with pytest.raises(TypeError, match=f"^{name}: {arg.name} must be a str, not None$"):
            route.check({arg.name: None})


@pytest.mark.parametrize("name", NEEDED)
def test_optional_and_required_arguments(name: str) -> None:
    route = ROUTES[name]
    arguments = route.decode(json.dumps(NEEDED[name]).encode())
    assert {key: arguments[key] for key in DEFAULTS[name]} == DEFAULTS[name]
    assert {key: type(arguments[key]) for key in DEFAULTS[name]} == {k: type(v) for k, v in DEFAULTS[name].items()}
    for key in NEEDED[name]:
        with pytest.raises(InvalidInput) as caught:
            route.decode(json.dumps({k: v for k, v in NEEDED[name].items() if k != key}).encode())
        assert caught.value.details == [{"loc": ["body", key], "msg": "the field is missing", "type": "missing"}]
        assert caught.value.message == f"body.{key}: the field is missing"


@pytest.mark.parametrize("name", NEEDED)
def test_every_argument_has_its_kind(name: str) -> None:
    arguments, *_ = WIRE[name]
    for key, value in arguments.items():
        for wrong in (1.5, [], object()):
            with pytest.raises(TypeError, match=f"^{name}: {key} "):
                ROUTES[name].check(arguments | {key: wrong})
        if type(value) is not bool:
            with pytest.raises(TypeError, match=f"^{name}: {key} "):
                ROUTES[name].check(arguments | {key: True})


def test_only_the_value_of_a_secret_is_one() -> None:
    secret = {(name, arg.name) for name, route in ROUTES.items() for arg in route.params if arg.secret}
    filled = {(name, arg.name) for name, route in ROUTES.items() for arg in route.params if arg.filled}
    assert secret == {("set_secret", "value")}
    assert filled == {
        ("trace", "trace_id"),
        ("get_secret", "key"),
        ("set_secret", "key"),
        ("delete_secret", "key"),
        ("governance_trace", "command_id"),
        ("get_session", "session_id"),
        ("delete_session", "session_id"),
        ("decide_approval", "approval_id"),
    }


def read(name: str, body: bytes = b"", status: int = 200, **options: Any) -> Any:
    """What the operation's result is for a response."""
    response = Response(status, [], **options)
    response.receive_data(body)
    return ROUTES[name].read(response)


MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "run": (RunResponse("r", "t", None, "ALLOW", 1, 2), {"result": "r", "output": None, "mode": "ALLOW"}),
    "health": (HealthResponse("ok", "1", 2), {"status": "ok", "version": "1", "uptime_seconds": 2}),
    "trace": (TraceResponse("t", "ALLOW", [], 1), {"trace_id": "t", "decision": "ALLOW", "violations": []}),
    "chat": (ChatResponse("hi", "s"), {"response": "hi", "session_id": "s"}),
    "run_agent": (AgentResult("o", "a"), {"output": "o", "agent_id": "a"}),
    "system_status": (SystemStatus("ok", "1", 2), {"status": "ok", "version": "1", "uptime_seconds": 2}),
    "system_metrics": (SystemMetrics({"x": 1}), {"metrics": {"x": 1}}),
    "get_session": (SessionInfo("s", "now", 0, []), {"session_id": "s", "message_count": 0, "messages": []}),
    "decide_approval": (Approval("a", "denied", "now", "then"), {"approval_id": "a", "status": "denied"}),
    "list_traces": ([TraceResponse("t", "ALLOW", [], 1)], {}),
    "list_agents": ([AgentInfo("a", tools=["x"]), AgentInfo("b")], {}),
    "list_sessions": ([], {"sessions": []}),
    "list_approvals": ([Approval("a", "pending", "now", "then", risk_score=1)], {}),
    "list_secrets": (["a", "b"], {"keys": ["a", "b"]}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_written_and_read(name: str) -> None:
    model, part = MODELS[name]
    written = ROUTES[name].write(model)
    assert part.items() <= written.items()
    assert read(name, json.dumps(written).encode()) == model


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if route.result is dict and not route.streams])
def test_an_object_is_handed_on(name: str) -> None:
    body = {"a": [1, None]}
    assert ROUTES[name].write(body) is body
    assert read(name, b'{"a": [1, null]}') == body
    with pytest.raises(RemoteProtocolError, match="the response's JSON must be an object"):
        read(name, b"[]")


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if route.listed is not None])
def test_a_list_that_is_none(name: str) -> None:
    field, kind = ROUTES[name].listed or ("", str)
    for body in ({}, {field: None}, {field: {}}, {field: "ab"}):
        with pytest.raises(RemoteProtocolError, match=f"the response's field '{field}' must be a list: the server"):
            read(name, json.dumps(body).encode())
    told = "must be a list of strings" if kind is str else f"{kind.__name__} must be an object, not a number"
    with pytest.raises(RemoteProtocolError, match=told):
        read(name, json.dumps({field: [1]}).encode())


@pytest.mark.parametrize("name", ["set_secret", "delete_secret", "delete_session"])
def test_an_operation_without_result(name: str) -> None:
    assert ROUTES[name].write(None) == {}
    assert read(name, b"whatever") is None


def test_the_value_of_a_secret() -> None:
    assert ROUTES["get_secret"].write("v") == {"value": "v"}
    assert read("get_secret", b'{"value": "v", "more": 1}') == "v"
    for body in (b"{}", b'{"value": 1}', b'{"value": null}'):
        with pytest.raises(RemoteProtocolError, match="the response's field 'value' must be a string"):
            read("get_secret", body)


def test_a_404_is_not_a_trace() -> None:
    assert read("governance_trace", b"<html>", 404) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"JSON was expected: the server answered with status 202 and no body; is this a HestiaOS server\?$"),
        (
            b"{",
            r"the response's body is not JSON \(.*line 1.*\): the server answered with .*; is this a HestiaOS server",
        ),
        (
            b"[]",
            r"HealthResponse must be an object, not a list: the server answered with .*; is this a HestiaOS server",
        ),
    ],
)
def test_what_is_not_the_json_that_was_expected(body: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        read("health", body, 202)


def test_a_stream_is_its_result_and_anything_else_is_quoted() -> None:
    stream = RunStream()
    response = Response(200, [(b"Content-Type", b"text/event-stream")], stream=stream)
    assert ROUTES["run_stream"].read(response) is stream
    page = Response(200, [(b"Content-Type", b"text/html; charset=hunter2")], redactor=Redactor("hunter2"))
    page.receive_data(b"<p>hunter2")
    with pytest.raises(RemoteProtocolError) as caught:
        ROUTES["run_stream"].read(page)
    assert caught.value.message == (
        "an event stream was expected: the server answered with status 200 and text/html ('<p>***'); "
        "is this a HestiaOS server?"
    )
    with pytest.raises(RemoteProtocolError, match=r"status 200 and no content type \('x'\)"):
        read("run_stream", b"x", redactor=Redactor("hunter2"))


def test_a_surrogate_cannot_be_sent_and_its_place_is_named() -> None:
    with pytest.raises(ValueError, match=r"^key: a lone surrogate at position 1 cannot be sent as UTF-8$"):
        ROUTES["get_secret"].encode({"key": "a\ud800"})
    with pytest.raises(ValueError, match=r"^chat: a lone surrogate \(U\+D800\) cannot be sent as UTF-8$"):
        ROUTES["chat"].encode({"message": "\ud800", "session_id": None})


def test_refused_requests_name_their_reason() -> None:
    with pytest.raises(NotFound, match=r"there is no /x$") as missing:
        resolve("GET", "/x?y", b"")
    assert missing.value.code == "UNKNOWN_OPERATION"
    with pytest.raises(NotFound, match=r"there is no /v1/api/secrets/k: leave /v1 out of the base URL$"):
        resolve("GET", "/v1/api/secrets/k", b"")
    with pytest.raises(NotFound, match=r"there is no /v1/api/x$"):
        resolve("GET", "/v1/api/x", b"")
    with pytest.raises(StatusError) as caught:
        resolve("PUT", "/api/secrets/k", b"")
    assert (caught.value.status_code, caught.value.code) == (405, "METHOD_NOT_ALLOWED")
    assert caught.value.message == "/api/secrets/k allows DELETE, GET, HEAD, not PUT"
    assert caught.value.details == {"allowed": ["DELETE", "GET", "HEAD"]}
    assert caught.value.trace_id is None
    with pytest.raises(InvalidInput) as caught:
        resolve("GET", "/api/secrets/%ff", b"")
    assert caught.value.details == [{"loc": ["path"], "msg": "the path is not UTF-8", "type": "path_invalid"}]
    with pytest.raises(InvalidInput) as caught:
        resolve("POST", "/api/chat", b"{")
    assert caught.value.details[0]["loc"] == ["body"]
    assert caught.value.details[0]["type"] == "json_invalid"
    assert caught.value.details[0]["msg"].startswith("the body is not JSON: ")
    with pytest.raises(InvalidInput) as caught:
        resolve("POST", "/api/chat", b'{"message": 1, "session_id": 2}')
    assert caught.value.message == (
        "body.message: must be a string, not a whole number; "
        "body.session_id: must be a string or null, not a whole number"
    )
    assert caught.value.trace_id is None


class TestRoute:
    """A row of the table as a value."""

    def test_its_repr_shows_what_can_be_read_at_a_glance(self) -> None:
        assert repr(ROUTES["set_secret"]) == (
            "Route(operation='set_secret', method='POST', path='/api/secrets', idempotent=True, absent=False,"
            " streams=False)"
        )

    def test_what_is_not_given(self) -> None:
        route = Route("x", "GET", "/x/{a}/{b}", read=len)
        assert (route.body, route.idempotent, route.absent, route.streams) == (None, True, False, False)
        assert [arg.name for arg in route.params] == ["a", "b"]
        assert route.write("y") == "y"
        assert route.decode(b"whatever") == {}
        assert route.encode({"a": "1", "b": "/"}) == ("/x/1/%2F", b"")

    @pytest.mark.parametrize("name", ["read", "write", "idempotent", "absent", "streams", "query", "listed", "since"])
    def test_arguments_of_a_route_that_are_keyword_only(self, name: str) -> None:
        fields = {field.name: field for field in attrs.fields(Route)}
        assert fields[name].kw_only
        with pytest.raises(TypeError):
            Route("x", "GET", "/x", None, len)

    def test_how_it_is_read_has_to_be_given_and_its_arguments_cannot_be(self) -> None:
        with pytest.raises(TypeError):
            Route("x", "GET", "/x")
        with pytest.raises(TypeError):
            Route("x", "GET", "/x", read=len, args=())

    def test_it_matches_its_own_path_alone(self) -> None:
        route = Route("x", "GET", "/x/{a}", read=len)
        assert route.match(["", "x", "1"]) == {"a": "1"}
        for segments in (["", "x"], ["", "x", ""], ["", "y", "1"], ["", "x", "1", ""], ["z", "x", "1"]):
            assert route.match(segments) is None


def test_what_each_operation_is_answered_with() -> None:
    models = {
        "run": RunResponse,
        "health": HealthResponse,
        "trace": TraceResponse,
        "chat": ChatResponse,
        "run_agent": AgentResult,
        "system_status": SystemStatus,
        "system_metrics": SystemMetrics,
        "get_secret": str,
        "set_secret": NoneType,
        "delete_secret": NoneType,
        "list_traces": list,
        "list_agents": list,
        "list_secrets": list,
        "list_sessions": list,
        "get_session": SessionInfo,
        "delete_session": NoneType,
        "list_approvals": list,
        "decide_approval": Approval,
    }
    assert {name: route.result for name, route in ROUTES.items()} == dict.fromkeys(ROUTES, dict) | models


def test_only_the_first_scheme_of_an_absolute_form_is_one() -> None:
    with pytest.raises(NotFound, match="there is no /a://b/api/v1/health"):
        resolve("GET", "http://h/a://b/api/v1/health", b"")
