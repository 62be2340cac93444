"""`ClientConnection`, each state by each input: it comes to the state that the table names, or refuses and stays.

The first table says what each state looks like from outside, the second what each input makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hestiaos_proto import (
    ClientConnection,
    ConnectionLost,
    HealthResponse,
    HestiaError,
    LocalProtocolError,
    StreamEvent,
    TimedOut,
    operations,
)
from tests.support.exchanges import result_of

# A state is the connection's own, with what it has besides: why it is in ERROR, or what was answered before.
# `response`, `result` and what `events` raises, by the names of their classes; a dash is nothing, a star is anything.
LOOKS = """
                   finished reusable response            result              events
 IDLE              yes      yes      -                   LocalProtocolError  -
 WAITING           no       no       -                   LocalProtocolError  -
 BODY              no       no       Response            LocalProtocolError  -
 BODY_refusal      no       no       Response            LocalProtocolError  -
 STREAMING         no       no       Response            LocalProtocolError  -
 DONE              yes      yes      Response            HealthResponse      -
 DONE_refusal      yes      yes      Response            ServerError         ServerError
 DONE_stream       yes      yes      Response            RunStream           -
 DONE_short        yes      yes      Response            RunStream           StreamInterrupted
 ERROR_wrong       yes      no       RemoteProtocolError RemoteProtocolError RemoteProtocolError
 ERROR_lost        yes      no       ConnectionLost      ConnectionLost      ConnectionLost
 ERROR_late        yes      no       TimedOut            TimedOut            TimedOut
 ERROR_refusal     yes      no       Response            ServerError         ServerError
 ERROR_stream      yes      no       Response            RunStream           RemoteProtocolError
 ERROR_interrupted yes      no       Response            RunStream           StreamInterrupted
 ERROR_late_stream yes      no       Response            RunStream           TimedOut
 ERROR_after       yes      no       Response            HealthResponse      -
 ERROR_afterwards  yes      no       Response            RunStream           -
 ERROR_unasked     yes      no       *                   LocalProtocolError  -
 CLOSED            yes      no       -                   LocalProtocolError  -
 CLOSED_after      yes      no       Response            HealthResponse      -
 CLOSED_afterwards yes      no       Response            RunStream           -
"""
# `refused` is a LocalProtocolError that leaves all as it was; `same` leaves all as it was and raises nothing. A state
# with an exclamation mark is one in which the connection's end has come: nothing can be received any more.
TABLE = """
                    send     head             data             event            end              EOF               garbage          lost              late
 IDLE               WAITING  ERROR_unasked    ERROR_unasked    ERROR_unasked    ERROR_unasked    CLOSED            ERROR_unasked    ERROR_unasked     ERROR_unasked
 WAITING            refused  BODY             ERROR_wrong      ERROR_wrong      ERROR_wrong      ERROR_lost        ERROR_wrong      ERROR_lost        ERROR_late
 BODY               refused  ERROR_wrong      BODY             BODY             DONE             ERROR_lost        ERROR_wrong      ERROR_lost        ERROR_late
 BODY_refusal       refused  ERROR_refusal    BODY_refusal     BODY_refusal     DONE_refusal     ERROR_refusal     ERROR_refusal    ERROR_refusal     ERROR_refusal
 STREAMING          refused  ERROR_stream     STREAMING        STREAMING        DONE_short       ERROR_interrupted ERROR_stream     ERROR_interrupted ERROR_late_stream
 DONE               WAITING  ERROR_after      ERROR_after      ERROR_after      ERROR_after      CLOSED_after      ERROR_after      ERROR_after       ERROR_after
 DONE_stream        WAITING  ERROR_afterwards ERROR_afterwards ERROR_afterwards ERROR_afterwards CLOSED_afterwards ERROR_afterwards ERROR_afterwards  ERROR_afterwards
 ERROR_wrong        refused  same             same             same             same             same              same             same              same
 ERROR_stream       refused  same             same             same             same             same              same             same              same
 ERROR_refusal      refused  same             same             same             same             same              same             same              same
 ERROR_after        refused  same             same             same             same             same              same             same              same
 ERROR_unasked      refused  same             same             same             same             same              same             same              same
 CLOSED!            refused  refused          refused          refused          refused          refused           refused          ERROR_unasked     ERROR_unasked
 CLOSED_after!      refused  refused          refused          refused          refused          refused           refused          ERROR_after       ERROR_after
 ERROR_lost!        refused  refused          refused          refused          refused          refused           refused          same              same
 ERROR_interrupted! refused  refused          refused          refused          refused          refused           refused          same              same
"""  # noqa: E501

BODY = b'{"status":"ok","version":"1","uptime_seconds":2}'
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSAL = JSON.replace(b"200 OK", b"503 Busy")
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(kind: str) -> bytes:
    return chunk(b"data: " + json.dumps(StreamEvent(kind).to_wire()).encode() + b"\n\n")  # type: ignore[arg-type]


END = chunk(b"")
GARBAGE = b"garbage\r\n\r\n"
ANSWER = JSON + chunk(BODY) + END
RUN = SSE + event("start") + event("final") + event("done") + END

Input = Callable[[ClientConnection, int], object]


def bytes_of(data: bytes) -> Input:
    def receive(connection: ClientConnection, size: int) -> None:
        for start in range(0, len(data), size):
            connection.receive_data(data[start : start + size])

    return receive


INPUTS: dict[str, Input] = {
    "send": lambda connection, _: connection.send(operations.health()),
    "head": bytes_of(JSON),
    "data": bytes_of(chunk(b" ")),
    "event": bytes_of(event("token")),
    "end": bytes_of(END),
    "EOF": lambda connection, _: connection.receive_data(b""),
    "garbage": bytes_of(GARBAGE),
    "lost": lambda connection, _: connection.connection_lost(ConnectionLost("reset")),
    "late": lambda connection, _: connection.connection_lost(TimedOut("slow")),
}
WAYS: dict[str, list[object]] = {
    "IDLE": [],
    "WAITING": [operations.health()],
    "BODY": [operations.health(), JSON + chunk(BODY)],
    "BODY_refusal": [operations.health(), REFUSAL + chunk(BODY)],
    "STREAMING": [operations.run_stream("x"), SSE + event("start")],
    "DONE": [operations.health(), ANSWER],
    "DONE_stream": [operations.run_stream("x"), RUN],
    "ERROR_wrong": [operations.health(), GARBAGE],
    "ERROR_stream": [operations.run_stream("x"), SSE + event("start") + GARBAGE],
    "ERROR_refusal": [operations.health(), REFUSAL + chunk(BODY) + GARBAGE],
    "ERROR_after": [operations.health(), ANSWER, GARBAGE],
    "ERROR_unasked": [GARBAGE],
    "CLOSED!": [b""],
    "CLOSED_after!": [operations.health(), ANSWER, b""],
    "ERROR_lost!": [operations.health(), JSON, b""],
    "ERROR_interrupted!": [operations.run_stream("x"), SSE, b""],
}


def rows(table: str) -> dict[str, dict[str, str]]:
    head, *lines = (line.split() for line in table.strip().splitlines())
    return {state: dict(zip(head, cells, strict=True)) for state, *cells in lines}


STATES, LEADS = rows(LOOKS), rows(TABLE)


def connection_in(state: str, *, served: bool) -> ClientConnection:
    """A connection in this state, with nothing left to read; it may have answered before."""
    connection = ClientConnection()
    for step in [*([operations.health(), ANSWER] if served else []), *WAYS[state]]:
        if isinstance(step, bytes):
            connection.receive_data(step)
        else:
            connection.send(step)  # type: ignore[arg-type]  # the ways are of bytes and of operations
        what_events_raise(connection)
    return connection


def what_events_raise(connection: ClientConnection) -> str:
    try:
        list(connection.events())
    except HestiaError as error:
        return type(error).__name__
    return "-"


def looks(connection: ClientConnection) -> dict[str, str]:
    """How it looks from outside; looking changes nothing."""
    raised = what_events_raise(connection)
    assert what_events_raise(connection) == raised
    try:
        result = type(result_of(connection)).__name__
    except HestiaError as error:
        result = type(error).__name__
    try:
        response = connection.response
        responded = "-" if response is None else type(response).__name__
    except HestiaError as error:
        responded = type(error).__name__
    return {
        "state": connection.state.name,
        "finished": "yes" if connection.finished else "no",
        "reusable": "yes" if connection.reusable else "no",
        "response": responded,
        "result": result,
        "events": raised,
    }


def expected(state: str, seen: dict[str, str]) -> dict[str, str]:
    state = state.rstrip("!")
    values = {"state": state.partition("_")[0], **STATES[state]}
    return {name: seen[name] if said == "*" else said for name, said in values.items()}


def test_no_pair_is_missing() -> None:
    assert set(LEADS) == set(WAYS)
    assert all(set(row) == set(INPUTS) for row in LEADS.values())
    named = {state.rstrip("!") for state in LEADS} | {after for row in LEADS.values() for after in row.values()}
    assert named - {"refused", "same"} == set(STATES)


@pytest.mark.parametrize("state", WAYS)
def test_each_state_looks_as_the_table_says(state: str) -> None:
    seen = looks(connection_in(state, served=False))
    assert seen == expected(state, seen)


@pytest.mark.parametrize("step", INPUTS)
@pytest.mark.parametrize("state", WAYS)
def test_each_pair(state: str, step: str) -> None:
    """Whole and byte by byte, on a first operation and on a second."""
    after = LEADS[state][step]
    for served in (False, True) if state not in ("IDLE", "ERROR_unasked", "CLOSED!") else (False,):
        for size in (10**6, 1):
            connection = connection_in(state, served=served)
            before = looks(connection)
            if after == "refused":
                with pytest.raises(LocalProtocolError):
                    INPUTS[step](connection, size)
            else:
                INPUTS[step](connection, size)
            seen = looks(connection)
            assert seen == (before if after in ("refused", "same") else expected(after, seen))


@pytest.mark.parametrize("state", [state for state, row in LEADS.items() if row["send"] == "WAITING"])
def test_what_can_be_sent_is_answered(state: str) -> None:
    connection = connection_in(state, served=False)
    connection.send(operations.health())
    connection.receive_data(ANSWER)
    assert connection.result(operations.health()) == HealthResponse("ok", "1", 2)
    assert connection.reusable


@pytest.mark.parametrize("state", ["WAITING", "BODY", "STREAMING"])
def test_a_refused_send_does_not_disturb_what_is_under_way(state: str) -> None:
    connection = connection_in(state, served=True)
    with pytest.raises(LocalProtocolError):
        connection.send(operations.health())
    rest = {"WAITING": ANSWER, "BODY": END, "STREAMING": event("final") + event("done") + END}[state]
    connection.receive_data(rest)
    after = "DONE_stream" if state == "STREAMING" else "DONE"
    assert looks(connection) == expected(after, {})
