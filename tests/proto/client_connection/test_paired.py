"""The client's end against our own server's end, and the examples that the design shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    fails,
    receive,
)

from hestiaos_proto import (
    ROUTES,
    AgentInfo,
    AgentResult,
    Approval,
    AuthenticationFailed,
    ChatResponse,
    ClientConnection,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    Operation,
    RateLimited,
    RunResponse,
    ServerConnection,
    ServerError,
    SessionInfo,
    StatusError,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    operations,
)

TRACE = TraceResponse("t", "ALLOW", [{"rule": "r"}], 1.5, reason="because", risk_score=0.25)
RUN = RunResponse("processed: x", "t", None, "ALLOW", 0.5, 12.0, extra={"later": [1]})
METRICS = SystemMetrics(
    {"cpu_percent": 1.0, "memory_percent": 2, "active_sessions": 3, "requests_total": 4, "avg_latency_ms": 5.5}
)
EXCHANGES: list[tuple[Operation[Any], dict[str, Any], object]] = [
    (operations.run("x", session_id="s", mode_hint="deep"), {"input": "x", "session_id": "s"}, RUN),
    (operations.health(), {}, HEALTH),
    (operations.trace("t/1"), {"trace_id": "t/1"}, TRACE),
    (operations.chat("hi"), {"message": "hi"}, ChatResponse("hello", "s", "t", 0.5, "m")),
    (
        operations.run_agent("a", "do", config={"n": 1}),
        {"config": {"n": 1}},
        AgentResult("done", "a", "t", "COMPLETED"),
    ),
    (operations.system_status(), {}, SystemStatus("ok", "1", 5, ollama=True)),
    (operations.system_config(), {}, {"a": {"b": None}}),
    (operations.system_metrics(), {}, METRICS),
    (operations.get_secret("é"), {"key": "é"}, "v"),
    (operations.set_secret("k", "v"), {"key": "k", "value": "v", "provider": "custom"}, None),
    (operations.delete_secret(".."), {"key": ".."}, None),
    (operations.explain("WRITE", {"path": "/x"}), {"command_input": {"path": "/x"}}, {"decision": "ALLOW"}),
    (operations.governance_status(), {}, {"drift": 0.1}),
    (operations.governance_trace("c"), {"command_id": "c"}, {"id": "c"}),
    (operations.governance_trace("none"), {"command_id": "none"}, None),
    (
        operations.list_traces(limit=5, before="t/1&é"),
        {"limit": 5, "decision": None, "before": "t/1&é"},
        [TraceResponse("t", "ALLOW", [], 1.5), TRACE],
    ),
    (operations.list_secrets(), {}, ["k", "é"]),
    (operations.get_session("s", last=2), {"session_id": "s", "last": 2}, SessionInfo("s", "now", 0, [])),
    (operations.list_agents(), {}, [AgentInfo("a", tools=["x"]), AgentInfo("b")]),
    (operations.list_sessions(before="s"), {"limit": 100, "before": "s"}, []),
    (operations.delete_session("s"), {"session_id": "s"}, None),
    (operations.list_approvals(status="pending"), {"status": "pending"}, [Approval("a", "pending", "x", "y")]),
    (operations.get_policy(), {}, {"text": "version = 2"}),
    (operations.judge(tool="t", arguments={"k": 1}), {"tool": "t", "arguments": {"k": 1}}, {"decision": "ALLOW"}),
    (operations.test_policy("x"), {"text": "x"}, {"mistakes": ["y"]}),
    (operations.get_limits(), {}, {"limits": []}),
    (operations.export_audit(after=3), {"after": 3, "limit": 100}, {"records": [], "next": None}),
    (operations.verify_audit(), {}, {"intact": True}),
    (operations.decide_approval("a", True), {"approval_id": "a", "approve": True}, Approval("a", "used", "x", "y")),
    (operations.run_stream("x", timeout_ms=5), {"input": "x", "timeout_ms": 5, "stream": True}, EVENTS),
    (operations.chat_stream("hi", session_id="s"), {"message": "hi", "session_id": "s"}, EVENTS),
]


class Wire:
    """A server's end with the two methods of a socket that the examples use, and what it was asked."""

    def __init__(self, answers: Iterable[object] = (), *, piece: int = 10**6) -> None:
        self.server = ServerConnection()
        self.answers = iter(answers)
        self.calls: list[Any] = []
        self.piece = piece
        self._out = b""

    def sendall(self, data: bytes) -> None:
        for i in range(0, len(data), self.piece):
            self.server.receive_data(data[i : i + self.piece])
            for request in self.server.events():
                self.calls.append(request)
                result = next(self.answers)
                for item in result if ROUTES[request.operation].streams else [result]:
                    self._out += self.server.send(item)

    def recv(self, size: int) -> bytes:
        data, self._out = self._out[: min(size, self.piece)], self._out[min(size, self.piece) :]
        return data


class TestPaired:
    def test_all_operations_are_here(self) -> None:
        assert {operation.name for operation, _, _ in EXCHANGES} == set(operations.__all__) - {"ModeHint", "Operation"}

    @pytest.mark.parametrize("piece", [1, 7, 10**6])
    def test_every_operation_over_one_connection(self, piece: int) -> None:
        wire = Wire([result for _, _, result in EXCHANGES], piece=piece)
        connection = ClientConnection("http://h", "k-1")
        for operation, arguments, result in EXCHANGES:
            wire.sendall(connection.send(operation))
            events = []
            while not connection.finished:
                events += receive(connection, wire.recv(65536))
            request = wire.calls[-1]
            assert (request.operation, request.key) == (operation.name, "k-1")
            assert request.arguments.items() >= arguments.items()
            if operation.route.streams:
                assert events == result
                assert connection.result(operation).text == "é"
            else:
                assert events == []
                assert connection.result(operation) == result
                assert getattr(connection.result(operation), "extra", {}) == getattr(result, "extra", {})
            assert connection.reusable

    @pytest.mark.parametrize(
        "error",
        [
            GovernanceBlock("t"),
            InvalidInput("no", "t", [{"loc": ["body"], "msg": "m"}]),
            NotFound(),
            AuthenticationFailed(),
            RateLimited(retry_after=3.0),
            ServerError("down", status_code=503),
            StatusError("teapot", status_code=418),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_every_exception(self, error: StatusError) -> None:
        wire, connection = Wire([error, HEALTH]), ClientConnection()
        wire.sendall(connection.send(operations.health()))
        _, seen = fails(connection, wire.recv(65536))
        assert type(seen) is type(error)
        assert isinstance(seen, StatusError)
        for name in ("status_code", "code", "message", "trace_id", "details", "retry_after"):
            assert getattr(seen, name) == getattr(error, name), name
        wire.sendall(connection.send(operations.health()))
        receive(connection, wire.recv(65536))
        assert connection.result(operations.health()) == HEALTH

    def test_a_stream_that_fails_on_the_server(self) -> None:
        wire, connection = Wire([[EVENTS[0], GovernanceBlock("t")]]), ClientConnection()
        wire.sendall(connection.send(operations.run_stream("x")))
        events = receive(connection, wire.recv(65536))
        assert [event.type for event in events] == ["start", "error", "done"]
        assert events[1].data["code"] == "GOVERNANCE_BLOCK"
        assert connection.reusable

    def test_a_response_that_ends_the_connection(self) -> None:
        server, connection = ServerConnection(max_body_size=10), ClientConnection()
        server.receive_data(connection.send(operations.run("a long input")))
        (request,) = server.events()
        _, error = fails(connection, server.send(request.refusal))
        assert isinstance(error, StatusError)
        assert error.status_code == 413
        assert not connection.reusable


# As the design shows them to users with an event loop of their own; the README has them too.
CLIENT_EXAMPLE = """
from hestiaos_proto import ClientConnection, operations

connection = ClientConnection("http://localhost:8000", api_key=None)
sock.sendall(connection.send(operations.run_stream("create a report")))
while not connection.finished:
    connection.receive_data(sock.recv(65536))
    for event in connection.events():          # StreamEvent
        print(event.type, event.data)

operation = operations.system_status()         # the same connection, kept alive
sock.sendall(connection.send(operation))
while not connection.finished:
    connection.receive_data(sock.recv(65536))
    for _ in connection.events(): ...
print(connection.result(operation))            # SystemStatus
"""
SERVER_EXAMPLE = """
from hestiaos_proto import ServerConnection

connection = ServerConnection()
connection.receive_data(data)
for call in connection.events():               # which operation, its arguments, key, headers
    out = connection.send(...)                 # a result, a StreamEvent, or an exception
"""


class TestExamples:
    @pytest.mark.parametrize("piece", [1, 10**6])
    def test_the_client(self, piece: int, capsys: pytest.CaptureFixture[str]) -> None:
        status = SystemStatus("ok", "1", 5)
        wire = Wire([EVENTS, status], piece=piece)
        exec(CLIENT_EXAMPLE, {"sock": wire})
        *streamed, last = capsys.readouterr().out.splitlines()
        assert streamed == [f"{event.type} {event.data}" for event in EVENTS]
        assert last == str(status)
        assert [request.operation for request in wire.calls] == ["run_stream", "system_status"]

    def test_the_server(self) -> None:
        # The dots of the example stand for the result: that of a deletion is None.
        client = ClientConnection()
        names: dict[str, Any] = {"data": client.send(operations.delete_secret("k"))}
        exec(SERVER_EXAMPLE.replace("...", "None"), names)
        assert (names["call"].operation, names["call"].arguments) == ("delete_secret", {"key": "k"})
        receive(client, names["out"])
        assert client.result(operations.delete_secret("k")) is None
        assert client.reusable
