"""The table of operations from the server's side: what it recognises, and how it refuses the rest."""

from __future__ import annotations

import pytest

from hestiaos_proto import InvalidInput, NotFound, StatusError
from hestiaos_proto.routes import ROUTES, recognise

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
}


def test_the_table_has_every_operation_once() -> None:
    assert len(ROUTES) == 15
    assert all(name == route.operation for name, route in ROUTES.items())
    assert len({(route.method, route.path) for route in ROUTES.values()}) == 15


def test_what_starts_work_is_not_idempotent_and_everything_else_is() -> None:
    assert {name for name, route in ROUTES.items() if not route.idempotent} == {
        "run",
        "run_stream",
        "chat",
        "run_agent",
    }
    assert {name for name, route in ROUTES.items() if route.streams} == {"run_stream"}
    assert {name for name, route in ROUTES.items() if route.absent} == {"governance_trace"}


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/run",
        "/api/v1/run?a=b",
        "/api/v1/run?/api/chat",
        "/api/v1/run?",
        "http://host/api/v1/run",
        "http://host:8000/api/v1/run?x=/y",
        "HTTPS://host/api/v1/run",
        "/api/v1/r%75n",
    ],
)
def test_absolute_form_is_taken_and_a_query_ignored(target: str) -> None:
    operation, arguments = recognise("POST", target, RUN)
    assert operation == "run"
    assert arguments == {
        "input": "x",
        "session_id": None,
        "agent_id": None,
        "mode_hint": None,
        "timeout_ms": 30_000,
        "stream": False,
    }


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
    assert recognise(method, f"/api/secrets/{segment}", b"") == (operation, {"key": key})


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
def test_a_path_that_is_none_of_the_tables_is_404(target: str) -> None:
    for method in ("GET", "POST"):
        with pytest.raises(NotFound):
            recognise(method, target, RUN)


@pytest.mark.parametrize(("path", "allowed"), PATHS.items(), ids=PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD", "get", ""])
def test_a_method_that_the_path_has_not_is_405_and_says_which_it_has(path: str, allowed: str, method: str) -> None:
    if method == allowed:
        return
    with pytest.raises(StatusError) as caught:
        recognise(method, path, b"")
    assert (caught.value.status_code, caught.value.code) == (405, "METHOD_NOT_ALLOWED")
    assert caught.value.details == {"allowed": [allowed]}
    assert f"allows {allowed}, not {method}" in caught.value.message


def test_405_names_every_method_of_the_path() -> None:
    with pytest.raises(StatusError) as caught:
        recognise("POST", "/api/secrets/k", b"")
    assert caught.value.details == {"allowed": ["DELETE", "GET"]}


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
        recognise("POST", target, body)
    assert [".".join(problem["loc"]) for problem in caught.value.details] == places
    assert all(f"{place}: " in caught.value.message for place in places)
    assert all(problem.keys() == {"loc", "msg", "type"} for problem in caught.value.details)


def test_422_never_quotes_the_value_of_a_field() -> None:
    for body in (b'{"credential_ref":"k","secret":["hunter2"]}', b'{"secret":"hunter2"}', b'{"secret":"hunter2",}'):
        with pytest.raises(InvalidInput) as caught:
            recognise("POST", "/api/secrets", body)
        assert "hunter2" not in f"{caught.value!r} {caught.value.details}"


def test_a_path_that_is_not_utf8_is_422() -> None:
    with pytest.raises(InvalidInput) as caught:
        recognise("GET", "/api/secrets/%FF", b"")
    assert caught.value.details == [{"loc": ["path"], "msg": "the path is not UTF-8", "type": "path_invalid"}]


def test_the_body_of_a_request_that_has_none_is_ignored() -> None:
    assert recognise("GET", "/api/v1/health", b"not JSON") == ("health", {})
