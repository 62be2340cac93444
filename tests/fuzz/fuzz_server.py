"""`ServerConnection`: any bytes, cut anyhow, make the same calls with the same answers, or are refused."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Any

from cutting import Way, choose, expected, held, whole

from hestiaos_proto import (
    AgentInfo,
    AgentResult,
    Approval,
    ChatResponse,
    Control,
    GovernanceBlock,
    HealthResponse,
    RemoteProtocolError,
    RunResponse,
    ServerConnection,
    ServerRequest,
    SessionInfo,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    operations,
)
from hestiaos_proto._routes import ROUTES

__all__ = ["check"]

_FAILS = 0x01
_ABSENT = 0x02
_SMALL = 0x04
_SIZE, _SMALL_SIZE = 1 << 20, 64  # of the largest body, in bytes

_RESULTS: dict[str, Any] = {
    "run": RunResponse("r", "t", None, "ALLOW", 1.0, 2.0),
    "health": HealthResponse("ok", "1", 2.0),
    "trace": TraceResponse("t", "ALLOW", [], 1.0),
    "chat": ChatResponse("r", "s"),
    "run_agent": AgentResult("r", "a"),
    "system_status": SystemStatus("ok", "1", 2.0),
    "system_config": {"a": [1, "é"]},
    "system_metrics": SystemMetrics({"cpu_percent": 1.0}),
    "get_secret": "value",
    "set_secret": None,
    "delete_secret": None,
    "explain": {},
    "governance_status": {},
    "governance_trace": {"command_id": "c"},
    "list_traces": [TraceResponse("t", "ALLOW", [], 1.0)],
    "list_agents": [AgentInfo("a")],
    "list_secrets": ["k"],
    "list_sessions": [SessionInfo("s", "now", 1)],
    "get_session": SessionInfo("s", "now", 0, []),
    "delete_session": None,
    "list_approvals": [],
    "decide_approval": Approval("a", "approved", "now", "then"),
    "get_policy": {},
    "judge": {},
    "test_policy": {},
    "get_limits": {},
    "export_audit": {"records": []},
    "verify_audit": {},
}
_PARAMETERS = {name: set(signature(getattr(operations, name)).parameters) for name in ROUTES}
_STREAM: tuple[object, ...] = (
    Control.HEARTBEAT,
    StreamEvent("start", {}, "t"),
    StreamEvent("token", {"text": "é\r\n"}, "t"),
    StreamEvent("final", {}, "t"),
    StreamEvent("done", {}, "t"),
)


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    served = list(_served(whole(body), options))
    again = list(_served(pieces, options, measured=way is Way.MEASURED))
    assert again == served, "another cut, other calls or answers"


def _served(pieces: list[bytes], options: int, *, measured: bool = False) -> Iterator[tuple[Any, ...]]:
    """Each call as text with its answer; of what breaks the protocol the answer's status."""
    size = _SMALL_SIZE if options & _SMALL else _SIZE
    connection = ServerConnection(max_body_size=size)
    received = 0
    for piece in [*pieces, b""]:
        received += len(piece)
        connection.receive_data(piece)
        try:
            for call in connection.events():
                request = call.operation, repr(call.arguments), call.headers, call.key, call.idempotency_key
                if call.refusal is None:
                    assert _PARAMETERS[call.operation] <= set(call.arguments)
                    assert ROUTES[call.operation].body is None or held(list(call.arguments.values())) <= size
                yield *request, call.refusal and vars(call.refusal), b"".join(_answers(connection, call, options))
        except RemoteProtocolError as error:
            reply = connection.send(expected(error))
            assert connection.must_close
            yield (reply.split(b"\r\n")[0],)
        if connection.must_close:
            return
        if measured:
            # What h11 keeps of what has come, the head, and the body; the rest are the names in the objects.
            assert held(connection) <= 3 * received + size + 10_000
        if connection.expects_continue:
            assert connection.send(Control.CONTINUE).startswith(b"HTTP/1.1 100 ")


def _answers(connection: ServerConnection, call: ServerRequest, options: int) -> Iterator[bytes]:
    if call.refusal is not None:
        yield connection.send(expected(call.refusal))
    elif ROUTES[call.operation].streams:
        for item in _STREAM[: 2 if options & _FAILS else None]:
            yield connection.send(item)
        if options & _FAILS:
            yield connection.send(GovernanceBlock())
    elif options & _FAILS:
        yield connection.send(GovernanceBlock())
    else:
        absent = options & _ABSENT and ROUTES[call.operation].absent
        yield connection.send(None if absent else _RESULTS[call.operation])
