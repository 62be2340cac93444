"""Properties of both sides together: client and server machines, paired in memory over a network that cuts at will."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import (
    AgentInfo,
    AgentResult,
    Approval,
    ChatResponse,
    ClientConnection,
    HealthResponse,
    HestiaError,
    Operation,
    RunResponse,
    ServerConnection,
    SessionInfo,
    StatusError,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    operations,
)

TEXT = st.text(max_size=20)
FILLED = st.text(min_size=1, max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
MAYBE_TEXT = st.none() | TEXT

ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "input": TEXT,
    "message": TEXT,
    "task": TEXT,
    "value": TEXT,
    "provider": TEXT,
    "command_type": TEXT,
    "agent_id": TEXT,
    "session_id": MAYBE_TEXT,
    "mode_hint": st.sampled_from([None, "fast", "balanced", "deep"]),
    "timeout_ms": st.integers(1, 10**6),
    "stream": st.booleans(),
    "config": st.none() | OBJECTS,
    "command_input": OBJECTS,
    "key": FILLED,
    "trace_id": FILLED,
    "command_id": FILLED,
    "approval_id": FILLED,
    "limit": st.integers(-(10**17), 10**17),
    "after": st.integers(-(10**17), 10**17),
    "last": st.none() | st.integers(0, 10**17),
    "decision": MAYBE_TEXT,
    "before": MAYBE_TEXT,
    "known": MAYBE_TEXT,
    "status": MAYBE_TEXT,
    "approve": st.booleans(),
    "output": MAYBE_TEXT,
    "tool": MAYBE_TEXT,
    "arguments": st.none() | OBJECTS,
    "agent": MAYBE_TEXT,
    "session": MAYBE_TEXT,
    "model": MAYBE_TEXT,
    "text": TEXT,
}
FILLED_IN_PATHS = {"get_session", "delete_session"}  # whose session's id must not be empty
RESULTS: dict[str, st.SearchStrategy[Any]] = {
    "run": st.builds(RunResponse, TEXT, TEXT, MAYBE_TEXT, TEXT, NUMBERS, NUMBERS),
    "health": st.builds(HealthResponse, TEXT, TEXT, NUMBERS, MAYBE_TEXT),
    "trace": st.builds(
        TraceResponse, TEXT, TEXT, st.lists(OBJECTS, max_size=2), NUMBERS, MAYBE_TEXT, st.none() | NUMBERS
    ),
    "chat": st.builds(ChatResponse, TEXT, TEXT, MAYBE_TEXT, st.none() | NUMBERS, MAYBE_TEXT),
    "run_agent": st.builds(AgentResult, MAYBE_TEXT, TEXT, MAYBE_TEXT, MAYBE_TEXT, MAYBE_TEXT),
    "system_status": st.builds(SystemStatus, TEXT, TEXT, NUMBERS, st.none() | st.booleans()),
    "system_config": OBJECTS,
    "system_metrics": st.builds(SystemMetrics, st.dictionaries(TEXT, st.none() | NUMBERS, max_size=4)),
    "get_secret": TEXT,
    "set_secret": st.none(),
    "delete_secret": st.none(),
    "explain": OBJECTS,
    "governance_status": OBJECTS,
    "governance_trace": st.none() | OBJECTS,
    "list_traces": st.lists(st.builds(TraceResponse, TEXT, TEXT, st.just([]), NUMBERS), max_size=3),
    "list_agents": st.lists(
        st.builds(AgentInfo, TEXT, MAYBE_TEXT, MAYBE_TEXT, st.none() | st.lists(TEXT, max_size=2)), max_size=3
    ),
    "list_secrets": st.lists(TEXT, max_size=3),
    "list_sessions": st.lists(st.builds(SessionInfo, TEXT, TEXT, st.integers(0, 9)), max_size=3),
    "get_session": st.builds(SessionInfo, TEXT, TEXT, st.integers(0, 9), st.lists(OBJECTS, max_size=2)),
    "delete_session": st.none(),
    "list_approvals": st.lists(st.builds(Approval, TEXT, TEXT, TEXT, TEXT, MAYBE_TEXT), max_size=3),
    "decide_approval": st.builds(Approval, TEXT, TEXT, TEXT, TEXT, by=MAYBE_TEXT),
    "get_policy": OBJECTS,
    "judge": OBJECTS,
    "test_policy": OBJECTS,
    "get_limits": OBJECTS,
    "export_audit": OBJECTS,
    "verify_audit": OBJECTS,
}
CUTS = st.lists(st.integers(1, 400), max_size=12)


def calls_of(name: str) -> st.SearchStrategy[Operation[Any]]:
    function = getattr(operations, name)
    strategies = {each: ARGUMENTS[each] for each in inspect.signature(function).parameters}
    if name in FILLED_IN_PATHS:
        strategies["session_id"] = FILLED
    return st.fixed_dictionaries(strategies).map(lambda arguments: function(**arguments))


def deliver(data: bytes, cuts: list[int], machine: ClientConnection | ServerConnection) -> list[Any]:
    """Hand `data` over in pieces of these sizes; the events that came of it."""
    events: list[Any] = []
    start = 0
    for size in [*cuts, len(data)]:
        if piece := data[start : start + size]:
            machine.receive_data(piece)
            events.extend(machine.events())
        start += size
    return events


@given(st.sampled_from(sorted(RESULTS)).flatmap(lambda name: st.tuples(calls_of(name), RESULTS[name])), CUTS, CUTS)
def test_every_operation_and_every_result_comes_through(
    exchange: tuple[Operation[Any], Any], there: list[int], back: list[int]
) -> None:
    """What the client calls the server recognises, and what the server answers the client reads, whatever the text."""
    operation, result = exchange
    client, server = ClientConnection(), ServerConnection()
    for _ in range(2):  # the second time over the same connection
        (call,) = deliver(client.send(operation), there, server)
        assert (call.operation, dict(call.arguments)) == (operation.name, dict(operation.arguments))
        deliver(server.send(result), back, client)
        assert client.result(operation) == result
        assert client.reusable


KINDS = st.sampled_from(["token", "delta", "tool_call"]) | TEXT.filter(
    lambda kind: kind not in ("start", "token", "delta", "tool_call", "final", "error", "done")
)
EVENTS = st.builds(StreamEvent, KINDS, OBJECTS, TEXT, TEXT)


@given(st.lists(EVENTS, max_size=5), st.builds(StreamEvent, st.sampled_from(["final", "error"]), OBJECTS), CUTS)
def test_every_stream_comes_through(middle: list[StreamEvent], end: StreamEvent, cuts: list[int]) -> None:
    """The events that a server sends are the events that the client gives."""
    client, server = ClientConnection(), ServerConnection()
    sent = [StreamEvent("start"), *middle, end, StreamEvent("done")]
    deliver(client.send(operations.run_stream("x")), [], server)
    assert deliver(b"".join(map(server.send, sent)), cuts, client) == sent
    assert client.reusable


@given(st.integers(400, 599), FILLED, MAYBE_TEXT, JSON, CUTS)
def test_every_refusal_comes_through(
    status: int, message: str, trace_id: str | None, details: Any, cuts: list[int]
) -> None:
    """The exception that a server answers with is the one that the client raises, of the class of its status."""
    client, server = ClientConnection(), ServerConnection()
    deliver(client.send(operations.health()), [], server)
    answer = server.send(StatusError(message, trace_id, details, status_code=status, code="OWN"))
    try:
        deliver(answer, cuts, client)
    except HestiaError as error:
        raised = error
    assert isinstance(raised, StatusError)
    assert (raised.status_code, raised.message, raised.trace_id or None) == (status, message, trace_id or None)
    assert raised.details == details
    assert client.reusable


@given(st.binary(max_size=300), CUTS)
def test_a_server_takes_any_bytes(data: bytes, cuts: list[int]) -> None:
    """Any bytes give a server calls or a `RemoteProtocolError` that it can answer, and never another exception."""
    server = ServerConnection()
    answer = b"HTTP/1.1 4"
    try:
        deliver(b"POST /api/v1/run HTTP/1.1\r\n" + data, cuts, server)
    except HestiaError as error:
        answer = server.send(error)
    assert answer.startswith(b"HTTP/1.1 4")


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body), CUTS)
def test_a_client_takes_any_bytes(data: bytes, cuts: list[int]) -> None:
    """Any bytes give a client a result or a `HestiaError`, and never another exception, and then it has finished."""
    client = ClientConnection()
    client.send(operations.health())
    try:
        deliver(data, cuts, client)
        if not client.finished:
            client.receive_data(b"")
            list(client.events())
    except HestiaError:
        pass
    assert client.finished


def test_the_strategies_know_every_operation() -> None:
    assert {*RESULTS, "run_stream", "chat_stream"} == set(get_names())


def get_names() -> list[str]:
    return [
        name
        for name, function in inspect.getmembers(operations, inspect.isfunction)
        if not name.startswith("_") and "return" in get_type_hints(function) and name in operations.__all__
    ]
