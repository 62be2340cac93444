"""`ClientConnection`, each state by each input: it comes to the state that the table names, or refuses and stays.

The first table says what each state looks like from outside, the second what each input makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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

# `reply`, `result` and what `events` raises, by the names of their classes; a dash is nothing, a star is anything.
LOOKS = """
              finished reusable reply               result              events
 free         yes      yes      -                   LocalProtocolError  -
 waiting      no       no       -                   LocalProtocolError  -
 body         no       no       Response            LocalProtocolError  -
 stream       no       no       Response            LocalProtocolError  -
 answered     yes      yes      Response            HealthResponse      -
 streamed     yes      yes      Response            RunStream           -
 failed       yes      no       RemoteProtocolError RemoteProtocolError RemoteProtocolError
 lost         yes      no       ConnectionLost      ConnectionLost      ConnectionLost
 late         yes      no       TimedOut            TimedOut            TimedOut
 broken       yes      no       Response            RunStream           RemoteProtocolError
 interrupted  yes      no       Response            RunStream           StreamInterrupted
 overdue      yes      no       Response            RunStream           TimedOut
 short        yes      yes      Response            RunStream           StreamInterrupted
 spent        yes      no       Response            HealthResponse      -
 exhausted    yes      no       Response            RunStream           -
 closed       yes      no       *                   LocalProtocolError  -
"""
# `refused` is a LocalProtocolError that leaves all as it was; `same` leaves all as it was and raises nothing. A state
# with an exclamation mark is one in which the connection's end has come: nothing can be received any more.
TABLE = """
              send     head     data     event    end      EOF          garbage  lost         late
 free         waiting  closed   closed   closed   closed   closed       closed   closed       closed
 waiting      refused  body     failed   failed   failed   lost         failed   lost         late
 body         refused  failed   body     body     answered lost         failed   lost         late
 stream       refused  broken   stream   stream   short    interrupted  broken   interrupted  overdue
 answered     waiting  spent    spent    spent    spent    spent        spent    spent        spent
 streamed     waiting  exhausted exhausted exhausted exhausted exhausted exhausted exhausted exhausted
 failed       refused  same     same     same     same     same         same     same         same
 broken       refused  same     same     same     same     same         same     same         same
 spent        refused  same     same     same     same     same         same     same         same
 closed!      refused  refused  refused  refused  refused  refused      refused  closed       closed
 spent!       refused  refused  refused  refused  refused  refused      refused  same         same
 lost!        refused  refused  refused  refused  refused  refused      refused  same         same
 interrupted! refused  refused  refused  refused  refused  refused      refused  same         same
"""

BODY = b'{"status":"ok","version":"1","uptime_seconds":2}'
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
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
    "free": [],
    "waiting": [operations.health()],
    "body": [operations.health(), JSON + chunk(BODY)],
    "stream": [operations.run_stream("x"), SSE + event("start")],
    "answered": [operations.health(), ANSWER],
    "streamed": [operations.run_stream("x"), RUN],
    "failed": [operations.health(), GARBAGE],
    "broken": [operations.run_stream("x"), SSE + event("start") + GARBAGE],
    "spent": [operations.health(), ANSWER, GARBAGE],
    "closed!": [b""],
    "spent!": [operations.health(), ANSWER, b""],
    "lost!": [operations.health(), JSON, b""],
    "interrupted!": [operations.run_stream("x"), SSE, b""],
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
        result = type(connection.result).__name__
    except HestiaError as error:
        result = type(error).__name__
    reply: Any = connection.reply
    return {
        "finished": "yes" if connection.finished else "no",
        "reusable": "yes" if connection.reusable else "no",
        "reply": "-" if reply is None else type(reply).__name__,
        "result": result,
        "events": raised,
    }


def expected(state: str, seen: dict[str, str]) -> dict[str, str]:
    return {name: seen[name] if told == "*" else told for name, told in STATES[state.rstrip("!")].items()}


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
    for served in (False, True) if state not in ("free", "closed!") else (False,):
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


@pytest.mark.parametrize("state", [state for state, row in LEADS.items() if row["send"] == "waiting"])
def test_what_can_be_sent_is_answered(state: str) -> None:
    connection = connection_in(state, served=False)
    connection.send(operations.health())
    connection.receive_data(ANSWER)
    assert connection.result == HealthResponse("ok", "1", 2)
    assert connection.reusable


@pytest.mark.parametrize("state", ["waiting", "body", "stream"])
def test_a_refused_send_does_not_disturb_what_is_under_way(state: str) -> None:
    connection = connection_in(state, served=True)
    with pytest.raises(LocalProtocolError):
        connection.send(operations.health())
    rest = {"waiting": ANSWER, "body": END, "stream": event("final") + event("done") + END}[state]
    connection.receive_data(rest)
    assert looks(connection) == STATES["streamed" if state == "stream" else "answered"]
