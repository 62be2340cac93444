"""What each operation sends, that the server recognises exactly that, and how its response is read."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hestiaos_proto import (
    AgentInfo,
    AgentResult,
    Approval,
    ChatResponse,
    Config,
    HealthResponse,
    NotFound,
    RemoteProtocolError,
    Response,
    RunResponse,
    RunStream,
    ServerError,
    SessionInfo,
    StatusError,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    __version__,
    encode_response,
    operations,
)
from hestiaos_proto._routes import ROUTES, resolve
from hestiaos_proto.operations import Operation

NOT_JUDGED = {
    "input": None,
    "output": None,
    "tool": None,
    "arguments": None,
    "command_type": "RUN",
    "agent": None,
    "session": None,
    "key": None,
    "model": None,
}
SENT: dict[str, tuple[Operation[Any], str, str, object]] = {
    "run": (
        operations.run("x"),
        "POST",
        "/api/v1/run",
        {
            "input": "x",
            "context": {"session_id": None, "agent_id": None, "mode_hint": None},
            "options": {"timeout_ms": 30000, "stream": False},
        },
    ),
    "run, everything": (
        operations.run("", session_id="s", agent_id="a", mode_hint="deep", timeout_ms=5, stream=True),
        "POST",
        "/api/v1/run",
        {
            "input": "",
            "context": {"session_id": "s", "agent_id": "a", "mode_hint": "deep"},
            "options": {"timeout_ms": 5, "stream": True},
        },
    ),
    "run_stream": (
        operations.run_stream("x", session_id="s"),
        "POST",
        "/api/v1/run/stream",
        {
            "input": "x",
            "context": {"session_id": "s", "agent_id": None, "mode_hint": None},
            "options": {"timeout_ms": 30000, "stream": True},
        },
    ),
    "health": (operations.health(), "GET", "/api/v1/health", None),
    "trace": (operations.trace("t-1"), "GET", "/api/v1/trace/t-1", None),
    "chat": (operations.chat("hi"), "POST", "/api/chat", {"message": "hi", "session_id": None}),
    "chat_stream": (
        operations.chat_stream("hi", session_id="s"),
        "POST",
        "/api/v1/chat/stream",
        {"message": "hi", "session_id": "s"},
    ),
    "run_agent": (
        operations.run_agent("a", "t", config={"k": [1]}),
        "POST",
        "/api/agents/run",
        {"agent_id": "a", "task": "t", "config": {"k": [1]}},
    ),
    "system_status": (operations.system_status(), "GET", "/api/system/status", None),
    "system_config": (operations.system_config(), "GET", "/api/system/config", None),
    "system_metrics": (operations.system_metrics(), "GET", "/api/system/metrics", None),
    "get_secret": (operations.get_secret("k"), "GET", "/api/secrets/k", None),
    "set_secret": (
        operations.set_secret("k", "v"),
        "POST",
        "/api/secrets",
        {"credential_ref": "k", "secret": "v", "provider": "custom", "allowed_tools": ["*"]},
    ),
    "delete_secret": (operations.delete_secret("k"), "DELETE", "/api/secrets/k", None),
    "explain": (
        operations.explain("WRITE", {"path": "/tmp"}),
        "POST",
        "/api/governance/explain",
        {"command_type": "WRITE", "command_input": {"path": "/tmp"}},
    ),
    "explain, no input": (
        operations.explain("READ"),
        "POST",
        "/api/governance/explain",
        {"command_type": "READ", "command_input": {}},
    ),
    "governance_status": (operations.governance_status(), "GET", "/api/governance/stability", None),
    "governance_trace": (operations.governance_trace("c"), "GET", "/api/governance/trace/c", None),
    "list_traces": (operations.list_traces(), "GET", "/api/v1/traces?limit=100", None),
    "list_traces, everything": (
        operations.list_traces(limit=5, decision="BLOCK", before="t-1"),
        "GET",
        "/api/v1/traces?limit=5&decision=BLOCK&before=t-1",
        None,
    ),
    "list_agents": (operations.list_agents(), "GET", "/api/v1/agents", None),
    "list_secrets": (operations.list_secrets(), "GET", "/api/v1/secrets", None),
    "list_sessions": (operations.list_sessions(), "GET", "/api/v1/sessions?limit=100", None),
    "list_sessions, everything": (
        operations.list_sessions(limit=5, before="s"),
        "GET",
        "/api/v1/sessions?limit=5&before=s",
        None,
    ),
    "get_session": (operations.get_session("s"), "GET", "/api/v1/sessions/s", None),
    "get_session, everything": (operations.get_session("s", last=2), "GET", "/api/v1/sessions/s?last=2", None),
    "delete_session": (operations.delete_session("s"), "DELETE", "/api/v1/sessions/s", None),
    "list_approvals": (operations.list_approvals(), "GET", "/api/v1/approvals?limit=100", None),
    "list_approvals, everything": (
        operations.list_approvals(limit=5, status="pending"),
        "GET",
        "/api/v1/approvals?limit=5&status=pending",
        None,
    ),
    "decide_approval": (operations.decide_approval("a", True), "POST", "/api/v1/approvals/a", {"approve": True}),
    "get_policy": (operations.get_policy(), "GET", "/api/v1/policy", None),
    "judge": (operations.judge(), "POST", "/api/v1/policy/judge", NOT_JUDGED),
    "judge, everything": (
        operations.judge(
            input="i",
            output="o",
            tool="t",
            arguments={"k": 1},
            command_type="CHAT",
            agent="a",
            session="s",
            key="k",
            model="m",
        ),
        "POST",
        "/api/v1/policy/judge",
        {
            "input": "i",
            "output": "o",
            "tool": "t",
            "arguments": {"k": 1},
            "command_type": "CHAT",
            "agent": "a",
            "session": "s",
            "key": "k",
            "model": "m",
        },
    ),
    "test_policy": (operations.test_policy("version = 2"), "POST", "/api/v1/policy/test", {"text": "version = 2"}),
    "get_limits": (operations.get_limits(), "GET", "/api/v1/limits", None),
    "export_audit": (operations.export_audit(), "GET", "/api/v1/audit?limit=100&after=0", None),
    "export_audit, everything": (
        operations.export_audit(after=7, limit=5),
        "GET",
        "/api/v1/audit?limit=5&after=7",
        None,
    ),
    "verify_audit": (operations.verify_audit(), "GET", "/api/v1/audit/verification", None),
    "verify_audit, everything": (
        operations.verify_audit(known="5:ab"),
        "GET",
        "/api/v1/audit/verification?known=5%3Aab",
        None,
    ),
}

KEYS = [
    "a",
    "a/b",
    "..",
    ".",
    "...",
    "?",
    "#",
    "%",
    "%2F",
    " ",
    "😀",
    "+",
    "a?b#c",
    "../system/config",
    "\0",
    "{key}",
    ";",
    "\n",
]


def response(status: int = 200, body: object = None, headers: list[tuple[bytes, bytes]] | None = None) -> Response:
    made = Response(status, headers or [(b"Content-Type", b"application/json")])
    made.receive_data(body if isinstance(body, bytes) else json.dumps(body).encode())
    made.receive_data(b"")
    return made


class TestRequest:
    @pytest.mark.parametrize(("operation", "method", "target", "body"), SENT.values(), ids=SENT)
    def test_method_path_and_the_exact_json(self, operation, method: str, target: str, body: object) -> None:
        request = operation.request(Config())
        assert (request.method, request.target, request.url) == (method, target, f"http://localhost:8000{target}")
        assert request.body == (b"" if body is None else json.dumps(body, separators=(",", ":")).encode())
        assert ("Content-Type" in request.headers) == (body is not None)

    @pytest.mark.parametrize(("operation", "method", "target", "body"), SENT.values(), ids=SENT)
    def test_the_server_recognises_what_the_client_writes(self, operation, method, target, body) -> None:
        request = operation.request(Config())
        assert resolve(request.method, request.target, request.body) == (operation.name, operation.arguments)

    def test_every_operation_of_the_table_has_its_function(self) -> None:
        assert {operation.name for operation, *_ in SENT.values()} == set(ROUTES)
        assert set(operations.__all__) == {*ROUTES, "Operation", "ModeHint"}

    @pytest.mark.parametrize("name", ROUTES)
    def test_a_functions_parameters_are_the_routes_arguments(self, name: str) -> None:
        parameters = set(inspect.signature(getattr(operations, name)).parameters)
        arguments = {arg.name for arg in ROUTES[name].params}
        assert parameters == arguments - ({"stream"} if name == "run_stream" else set())

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    def test_unusual_path_parameters_reach_the_server_as_one_key(self, key: str) -> None:
        for make in (
            operations.trace,
            operations.get_secret,
            operations.delete_secret,
            operations.governance_trace,
            operations.get_session,
            operations.delete_session,
        ):
            operation = make(key)
            request = operation.request(Config())
            assert resolve(request.method, request.target + "?q", b"") == (operation.name, operation.arguments)
            last = request.target.rpartition("/")[2]
            assert request.target.isascii()
            assert last not in (".", "..")
            assert not set(last) & set("?#/ \n")

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    def test_unusual_arguments_of_a_query(self, key: str) -> None:
        for operation in (
            operations.list_traces(decision=key, before=key),
            operations.list_sessions(before=key),
            operations.list_approvals(status=key),
        ):
            request = operation.request(Config())
            assert resolve(request.method, request.target, b"") == (operation.name, operation.arguments)
            assert request.target.isascii()
            assert request.target.count("?") == 1
            assert not set(request.target) & set("# \n+")

    @pytest.mark.parametrize("text", ["", "\0", "é😀\u2028", '"\\', "x" * 1_000_000], ids=lambda text: ascii(text[:9]))
    def test_unusual_texts_in_bodies(self, text: str) -> None:
        for operation in (
            operations.run(text, session_id=text, agent_id=text),
            operations.run_stream(text),
            operations.chat(text, session_id=text),
            operations.run_agent(text, text, config={text: text}),
            operations.set_secret("k", text, provider=text),
            operations.explain(text, {text: text}),
            operations.judge(input=text, tool=text, arguments={text: text}, key=text),
            operations.test_policy(text),
        ):
            request = operation.request(Config())
            assert resolve(request.method, request.target, request.body) == (operation.name, operation.arguments)

    def test_headers(self) -> None:
        headers = operations.run("x").request(Config(api_key="key"), "idem").headers
        assert headers == {
            "User-Agent": f"hestiaos-sdk/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            "Authorization": "Bearer key",
            "Idempotency-Key": "idem",
        }
        plain = operations.health().request(Config()).headers
        assert plain.keys() == {"User-Agent", "Accept", "Accept-Encoding"}
        assert operations.run_stream("x").request(Config()).headers["Accept"] == "text/event-stream"

    @pytest.mark.parametrize("name", ["User-Agent", "user-agent", "USER-AGENT"])
    def test_a_header_of_the_config_replaces_the_default_in_whatever_case(self, name: str) -> None:
        headers = operations.health().request(Config(headers={name: "mine", "X-More": "1"})).headers
        assert [value for key, value in headers.items() if key.lower() == "user-agent"] == ["mine"]
        assert headers["X-More"] == "1"

    def test_the_base_urls_path_comes_first(self) -> None:
        request = operations.get_secret("a/b").request(Config(base_url="https://h:1/root/"))
        assert (request.origin, request.target) == ("https://h:1", "/root/api/secrets/a%2Fb")


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: operations.run(4711), "run: input must be a str, not int"),
            (lambda: operations.run(b"4711"), "run: input must be a str, not bytes"),
            (lambda: operations.run("x", session_id=4711), "run: session_id must be a str or None, not int"),
            (lambda: operations.run("x", timeout_ms="4711"), "run: timeout_ms must be an int, not str"),
            (lambda: operations.run("x", timeout_ms=4711.0), "run: timeout_ms must be an int, not float"),
            (lambda: operations.run("x", timeout_ms=True), "run: timeout_ms must be an int, not bool"),
            (lambda: operations.run("x", stream=1), "run: stream must be a bool, not int"),
            (lambda: operations.run_stream(None), "run_stream: input must be a str, not None"),
            (lambda: operations.trace(4711), "trace: trace_id must be a str, not int"),
            (lambda: operations.chat(["4711"]), "chat: message must be a str, not list"),
            (lambda: operations.run_agent("a", "t", config=[1]), "run_agent: config must be a dict or None, not list"),
            (lambda: operations.set_secret("k", 4711), "set_secret: value must be a str, not int"),
            (lambda: operations.set_secret("k", "v", provider=None), "set_secret: provider must be a str, not None"),
            (lambda: operations.get_secret(None), "get_secret: key must be a str, not None"),
            (lambda: operations.explain("x", []), "explain: command_input must be a dict, not list"),
            (lambda: operations.explain("x", ""), "explain: command_input must be a dict, not str"),
            (lambda: operations.list_traces(limit=None), "list_traces: limit must be an int, not None"),
            (lambda: operations.list_traces(before=4711), "list_traces: before must be a str or None, not int"),
            (lambda: operations.get_session("s", last="4711"), "get_session: last must be an int or None, not str"),
            (lambda: operations.decide_approval("a", 1), "decide_approval: approve must be a bool, not int"),
            (lambda: operations.judge(arguments=[]), "judge: arguments must be a dict or None, not list"),
            (lambda: operations.test_policy(b"4711"), "test_policy: text must be a str, not bytes"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )  # fmt: skip
    def test_the_wrong_kind_is_a_type_error_or_value_error_that_names_the_argument_only(
        self, make, message: str
    ) -> None:
        with pytest.raises((TypeError, ValueError)) as caught:
            make()
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        "make",
        [
            lambda: operations.trace(""),
            lambda: operations.get_secret(""),
            lambda: operations.set_secret("", "4711"),
            lambda: operations.delete_secret(""),
            lambda: operations.governance_trace(""),
            lambda: operations.get_session(""),
            lambda: operations.delete_session(""),
            lambda: operations.decide_approval("", True),
        ],
    )
    def test_an_empty_key_is_a_value_error(self, make) -> None:
        with pytest.raises(ValueError, match="must not be empty"):
            make()

    @pytest.mark.parametrize(
        "make",
        [
            lambda: operations.run("4711\ud800"),
            lambda: operations.run_stream("\udfff4711"),
            lambda: operations.trace("4711\ud800"),
            lambda: operations.get_secret("4711\ud800"),
            lambda: operations.set_secret("k", "4711\ud800"),
            lambda: operations.chat("4711\ud800"),
            lambda: operations.run_agent("a", "t", config={"4711\ud800": 1}),
            lambda: operations.explain("4711\ud800", {}),
        ],
        ids=["run", "run_stream", "trace", "get_secret", "set_secret", "chat", "run_agent", "explain"],
    )
    def test_a_lone_surrogate_is_a_value_error_that_does_not_quote_the_text(self, make) -> None:
        with pytest.raises(ValueError, match="lone surrogate") as caught:
            make()
        assert "4711" not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("text", ["rm -rf /", "ls", "create a report", "", " RUN", "RUN\n", "Run", "4711", "RÜN"])
    def test_a_text_is_not_a_command_type(self, text: str) -> None:
        """Governance would say of an unknown type that it is allowed."""
        with pytest.raises(ValueError, match=r'explain\("RUN", \{"input": "…"\}\)') as caught:
            operations.explain(text)
        assert "4711" not in str(caught.value)
        assert operations.explain(text, {}).arguments == {"command_type": text, "command_input": {}}

    def test_what_json_cannot_say(self) -> None:
        with pytest.raises(ValueError, match="run_agent: Out of range float"):
            operations.run_agent("a", "t", config={"x": float("nan")})
        with pytest.raises(TypeError, match="not JSON serializable"):
            operations.explain("x", {"x": object()})


def test_no_repr_shows_an_argument() -> None:
    for operation in (
        operations.set_secret("hunter2", "hunter2", provider="hunter2"),
        operations.get_secret("hunter2"),
        operations.run("hunter2"),
    ):
        assert repr(operation) == f"Operation(name={operation.name!r})"
        request = operation.request(Config(api_key="hunter2", headers={"X-A": "hunter2"}), "hunter2")
        assert "hunter2" not in repr(request).replace("/api/secrets/hunter2", "")


RESULTS: dict[str, tuple[Operation[Any], object]] = {
    "run": (operations.run("x"), RunResponse("r", "t", None, "ALLOW", 1.0, 2)),
    "health": (operations.health(), HealthResponse("ok", "1", 2)),
    "trace": (operations.trace("t"), TraceResponse("t", "ALLOW", [], 1, reason="r")),
    "chat": (operations.chat("x"), ChatResponse("r", "s", "t")),
    "run_agent": (operations.run_agent("a", "t"), AgentResult("r", "a", status="COMPLETED")),
    "system_status": (operations.system_status(), SystemStatus("ok", "1", 2, ollama=True)),
    "system_config": (operations.system_config(), {"a": [1, None]}),
    "system_metrics": (operations.system_metrics(), SystemMetrics({"own": 1})),
    "get_secret": (operations.get_secret("k"), "é😀"),
    "set_secret": (operations.set_secret("k", "v"), None),
    "delete_secret": (operations.delete_secret("k"), None),
    "explain": (operations.explain("X"), {"decision": "ALLOW"}),
    "governance_status": (operations.governance_status(), {}),
    "governance_trace": (operations.governance_trace("c"), {"id": "c"}),
    "governance_trace, none": (operations.governance_trace("c"), None),
}
ADDED_RESULTS: dict[str, tuple[Operation[Any], object]] = {
    "list_traces": (operations.list_traces(), [TraceResponse("t", "ALLOW", [], 1), TraceResponse("u", "BLOCK", [], 2)]),
    "list_agents": (operations.list_agents(), [AgentInfo("a", "m", "be kind", ["shell"], 5, 1000), AgentInfo("b")]),
    "list_secrets": (operations.list_secrets(), ["é", "k"]),
    "list_sessions": (operations.list_sessions(), [SessionInfo("s", "2026-01-01T00:00:00Z", 2)]),
    "get_session": (operations.get_session("s"), SessionInfo("s", "2026-01-01T00:00:00Z", 1, [{"role": "user"}])),
    "delete_session": (operations.delete_session("s"), None),
    "list_approvals": (operations.list_approvals(), []),
    "decide_approval": (operations.decide_approval("a", True), Approval("a", "approved", "now", "then", by="me")),
    "get_policy": (operations.get_policy(), {"name": "n"}),
    "judge": (operations.judge(input="x"), {"decision": "ALLOW"}),
    "test_policy": (operations.test_policy("x"), {"mistakes": []}),
    "get_limits": (operations.get_limits(), {"limits": []}),
    "export_audit": (operations.export_audit(), {"records": [], "next": None}),
    "verify_audit": (operations.verify_audit(), {"intact": True}),
}
RESULTS |= ADDED_RESULTS


class TestRead:
    @pytest.mark.parametrize(("operation", "result"), RESULTS.values(), ids=RESULTS)
    def test_the_client_reads_what_the_server_answers(self, operation: Operation[Any], result: object) -> None:
        reply = encode_response(operation.name, result)
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        assert operation.read(response(reply.status, reply.body, headers)) == result

    def test_every_operation_but_the_streams_is_in_that_table(self) -> None:
        assert {operation.name for operation, _ in RESULTS.values()} == {
            name for name in ROUTES if not ROUTES[name].streams
        }

    @pytest.mark.parametrize("operation", [row[0] for row in list(RESULTS.values())], ids=RESULTS)
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "JSON was expected: the server answered with status 200 and no body"),
            (b"<html>", "not JSON"),
            (b"[]", "object"),
            (b"null", "object"),
            (b'{"a":NaN}', "not JSON"),
            (b'{"a":"\xff"}', "not UTF-8"),
            (b"[" * 100_000, "deeper than 128"),
        ],
        ids=["empty", "html", "list", "null", "NaN", "not UTF-8", "deep"],
    )
    def test_a_body_that_does_not_fit(self, operation: Operation[Any], body: bytes, message: str) -> None:
        if operation.name in ("set_secret", "delete_secret", "delete_session"):  # any body, ignored
            assert operation.read(response(200, body)) is None
            return
        with pytest.raises(RemoteProtocolError) as caught:
            operation.read(response(200, body))
        assert message in str(caught.value)

    def test_204_where_a_body_is_needed(self) -> None:
        with pytest.raises(RemoteProtocolError, match="status 204 and no body"):
            operations.health().read(response(204, b""))
        assert operations.delete_secret("k").read(response(204, b"")) is None

    @pytest.mark.parametrize("body", [{}, {"value": None}, {"value": 4711}], ids=str)
    def test_a_secret_that_is_not_a_string_is_not_quoted(self, body: object) -> None:
        with pytest.raises(RemoteProtocolError, match="'value'") as caught:
            operations.get_secret("k").read(response(200, body))
        assert "4711" not in str(caught.value)

    @pytest.mark.parametrize("kind", [b"text/plain", b"application/json", b""], ids=["text", "JSON", "none"])
    def test_a_secret_that_is_not_json_is_not_quoted(self, kind: bytes) -> None:
        with pytest.raises(RemoteProtocolError, match="the response's body is not JSON") as caught:
            operations.get_secret("k").read(response(200, b"4711 hunter2", [(b"content-type", kind)]))
        assert "4711" not in f"{caught.value!r} {vars(caught.value)}"
        with pytest.raises(RemoteProtocolError, match=r"text/html \('<html>'\); is this a HestiaOS server"):
            operations.health().read(response(200, b"<html>", [(b"content-type", b"text/html")]))

    def test_404_is_none_for_governance_trace_and_not_found_for_everything_else(self) -> None:
        assert operations.governance_trace("c").read(response(404, b"<html>")) is None
        for operation, _ in RESULTS.values():
            if operation.name != "governance_trace":
                with pytest.raises(NotFound):
                    operation.read(response(404, b""))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b'{"detail": "Not Found"}',
            b'{"code": "UNKNOWN_OPERATION", "message": "there is no /api/v1/x", "trace_id": null}',
            b'{"code": "GONE"}',
            b"[]",
        ],
        ids=["empty", "html", "FastAPI", "ours", "another code", "list"],
    )
    @pytest.mark.parametrize("operation", [row[0] for row in ADDED_RESULTS.values()], ids=ADDED_RESULTS)
    def test_a_server_that_does_not_have_an_operation(self, operation: Operation[Any], body: bytes) -> None:
        with pytest.raises(NotFound) as caught:
            operation.read(response(404, body))
        assert (caught.value.code, caught.value.status_code) == ("UNKNOWN_OPERATION", 404)
        added = f"the server does not have the operation {operation.name}, which was added in version 1.1: "
        assert caught.value.message.startswith(f"{added}the server answered")
        assert caught.value.body == body

    @pytest.mark.parametrize("operation", [row[0] for row in ADDED_RESULTS.values()], ids=ADDED_RESULTS)
    def test_a_server_that_has_an_operation_and_not_what_it_is_about(self, operation: Operation[Any]) -> None:
        body = b'{"error": "Not Found", "code": "NOT_FOUND", "message": "there is no session", "trace_id": "t"}'
        with pytest.raises(NotFound, match=r"^\[NOT_FOUND\] there is no session$") as caught:
            operation.read(response(404, body))
        assert caught.value.trace_id == "t"

    def test_an_operation_of_1_0_that_is_not_found(self) -> None:
        with pytest.raises(NotFound, match=r"^\[NOT_FOUND\] Resource not found") as caught:
            operations.trace("t").read(response(404, b'{"detail": "Not Found"}'))
        assert caught.value.code == "NOT_FOUND"

    def test_a_server_without_an_operation_that_echoes_the_key(self) -> None:
        reply = Response(404, [], redactor=operations.list_traces().redactor(Config(api_key="key-4711")))
        reply.receive_data(b'{"message": "key-4711", "details": "key-4711"}')
        with pytest.raises(NotFound) as caught:
            operations.list_traces().read(reply)
        assert "key-4711" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"

    def test_every_other_failure_of_governance_trace_is_raised(self) -> None:
        with pytest.raises(ServerError):
            operations.governance_trace("c").read(response(500, b""))

    def test_an_error_hides_the_key_and_the_secret_that_the_server_echoes(self) -> None:
        config = Config(api_key="key-4711")
        body = {"message": "bad key-4711 hunter2", "details": [{"input": {"hunter2": ["key-4711", "hunter2"]}}]}
        operation = operations.set_secret("k", "hunter2")
        reply = Response(400, [], redactor=operation.redactor(config))
        reply.receive_data(json.dumps(body).encode())
        with pytest.raises(StatusError) as caught:
            operation.read(reply)
        text = f"{caught.value!r} {caught.value} {vars(caught.value)}"
        assert "hunter2" not in text
        assert "key-4711" not in text
        assert caught.value.message == "bad *** ***"

    def test_retry_after_is_kept(self) -> None:
        with pytest.raises(ServerError) as caught:
            operations.health().read(response(503, b""), retry_after=7.5)
        assert caught.value.retry_after == 7.5

    def test_a_stream(self) -> None:
        stream = RunStream()
        reply = Response(200, [(b"content-type", b"text/event-stream")], stream=stream)
        assert operations.run_stream("x").read(reply) is stream

    @pytest.mark.parametrize(
        ("kind", "named"),
        [(b"text/html", "text/html"), (b"application/json", "application/json"), (b"", "no content type")],
    )
    def test_something_else_instead_of_a_stream_is_quoted(self, kind: bytes, named: str) -> None:
        reply = response(200, b"<html>" + b"x" * 1000, [(b"content-type", kind)])
        with pytest.raises(RemoteProtocolError, match=rf"status 200 and {named} \('<html>xxx") as caught:
            operations.run_stream("x").read(reply)
        assert len(str(caught.value)) < 250


class TestPatience:
    """How long the client waits with the server, in seconds; only where the caller says how long that may take."""

    @pytest.mark.parametrize(
        ("timeout_ms", "seconds"),
        [(None, 0.0), (0, 0.0), (-5, 0.0), (1, 0.001), (1500, 1.5), (10**9, 10.0**6), (10**9 + 1, 10.0**6)],
    )
    @pytest.mark.parametrize("operation", [operations.run, operations.run_stream], ids=lambda make: make.__name__)
    def test_a_run(self, operation: Any, timeout_ms: int | None, seconds: float) -> None:
        assert operation("x", timeout_ms=timeout_ms).server_timeout == seconds

    def test_every_other(self) -> None:
        assert operations.chat("x").server_timeout == operations.health().server_timeout == 0.0
        health = operations.health()
        assert Operation(health.name, health.route, {}, "/", b"").server_timeout == 0.0


def test_the_arguments_of_a_stream_and_of_a_chat_are_sent() -> None:
    stream = operations.run_stream("x", session_id="s", agent_id="a", mode_hint="deep", timeout_ms=5)
    assert json.loads(stream.body) == {
        "input": "x",
        "context": {"session_id": "s", "agent_id": "a", "mode_hint": "deep"},
        "options": {"timeout_ms": 5, "stream": True},
    }
    assert json.loads(operations.run_stream("x").body)["options"] == {"timeout_ms": 30_000, "stream": True}
    assert json.loads(operations.chat("x", session_id="s").body) == {"message": "x", "session_id": "s"}


@pytest.mark.parametrize("status", [199, 300, 301])
def test_what_is_not_a_success_is_raised(status: int) -> None:
    with pytest.raises(StatusError) as caught:
        operations.set_secret("k", "v").read(Response(status, []))
    assert caught.value.status_code == status


@pytest.mark.parametrize("status", [200, 201, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    assert operations.set_secret("k", "v").read(Response(status, [])) is None


@pytest.mark.parametrize("key", ["", " x", "a\nb", "é"], ids=ascii)
def test_an_idempotency_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(
        ValueError, match="the idempotency key is empty, or has a character that is not allowed in a header"
    ):
        operations.run("x").request(Config(), key)
    assert operations.run("x").request(Config(), "k 1").headers["Idempotency-Key"] == "k 1"


DUPLICATES: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": lambda made, p=protocol: pickle.loads(pickle.dumps(made, p)) for protocol in range(6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_a_copy_of_an_operation_is_that_operation(duplicate: Callable[[Any], Any]) -> None:
    for operation, *_ in SENT.values():
        twin = duplicate(operation)
        assert twin == operation
        assert twin.route is operation.route
        assert twin.request(Config()) == operation.request(Config())
    assert duplicate(operations.run_stream("x", timeout_ms=90_000)).server_timeout == 90.0


def test_a_copy_sends_what_the_operation_was_made_of() -> None:
    config = {"k": [1]}
    operation = operations.run_agent("a", "t", config=config)
    config["k"].append(2)
    assert copy.copy(operation).body == operation.body == b'{"agent_id":"a","task":"t","config":{"k":[1]}}'


def test_accept_can_be_given() -> None:
    for operation in (operations.health(), operations.run_stream("x")):
        headers = operation.request(Config(headers={"accept": "a/b"})).headers
        assert {name: value for name, value in headers.items() if name.lower() == "accept"} == {"accept": "a/b"}


def test_the_redactor_of_an_operation() -> None:
    config = Config(api_key="hunter2")
    for operation, *_ in SENT.values():
        assert operation.redactor(config).text("hunter2 4711") == "*** 4711"
    assert operations.health().redactor(config) is config.redactor
    redactor = operations.set_secret("k", "4711", provider="p").redactor(config)
    assert redactor.text("hunter2 4711 k p") == "*** *** k p"
