"""`ServerConnection`, each state by each input: it gives what the tables name, or refuses the input and stays.

What it refuses, it refuses with a `LocalProtocolError`. That it stands where the table says shows in what every input
does then.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from hestiaos_proto import (
    SERVER_STATES,
    ConnectionState,
    Control,
    EncodedResponse,
    GovernanceBlock,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseHead,
    ServerConnection,
    StreamEvent,
)

# A state is the connection's own; what comes after the underscore tells rows of one state apart. In a state with an
# exclamation mark the client has ended what it sends.

# What `events` gives for what was received: `call`, `fault` for a RemoteProtocolError, a dash for nothing. After the
# colon is the next state, where it is another.
RECEIVES = """
                  head             body        end          EOF                 garbage
 IDLE             -:BODY           fault:ERROR fault:ERROR  -:CLOSED_EOF!       fault:ERROR
 DONE             -:BODY           fault:ERROR fault:ERROR  -:CLOSED_EOF!       fault:ERROR
 BODY             fault:ERROR_body -           call:WAITING fault:ERROR_body!   fault:ERROR_body
 BODY_expecting   fault:ERROR_body -:BODY      call:WAITING fault:ERROR_body!   fault:ERROR_body
 WAITING          -                -           -            -:WAITING!          -
 WAITING_stream   -                -           -            -:WAITING_stream!   -
 WAITING_own      -                -           -            -:WAITING_own!      -
 WAITING_refusal  -                -           -            -:WAITING_refusal!  -
 STREAMING        -                -           -            -:STREAMING!        -
 STREAMING_own    -                -           -            -:STREAMING_own!    -
 ERROR            fault            fault       fault        fault:ERROR!        fault
 ERROR_body       fault            fault       fault        fault:ERROR_body!   fault
 CLOSED           -                -           -            -:CLOSED!           -
 CLOSED_fault     fault            fault       fault        fault:CLOSED_fault! fault
 CLOSED_EOF!      refused          refused     refused      -                   refused
 WAITING!         refused          refused     refused      -                   refused
 WAITING_stream!  refused          refused     refused      -                   refused
 WAITING_own!     refused          refused     refused      -                   refused
 WAITING_refusal! refused          refused     refused      -                   refused
 STREAMING!       refused          refused     refused      -                   refused
 STREAMING_own!   refused          refused     refused      -                   refused
 ERROR!           refused          refused     refused      fault               refused
 ERROR_body!      refused          refused     refused      fault               refused
 CLOSED!          refused          refused     refused      -                   refused
 CLOSED_fault!    refused          refused     refused      fault               refused
"""
# What `send` gives for what is a whole response, or precedes one: its status.
SENDS = """
                  result          response          exception        fault             continue
 IDLE             refused         refused           refused          refused           refused
 DONE             refused         refused           refused          refused           refused
 BODY             refused         refused           refused          refused           100
 BODY_expecting   refused         refused           refused          refused           100:BODY
 WAITING          200:DONE        200:DONE          403:DONE         400:DONE          100
 WAITING_stream   refused         200:DONE          403:DONE         400:DONE          100
 WAITING_own      refused         200:DONE          403:DONE         400:DONE          100
 WAITING_refusal  refused         200:DONE          403:DONE         400:DONE          100
 STREAMING        refused         refused           last:DONE        last:DONE         refused
 STREAMING_own    refused         refused           refused          refused           refused
 ERROR            refused         200:CLOSED_fault  refused          400:CLOSED_fault  refused
 ERROR_body       refused         200:CLOSED_fault  refused          400:CLOSED_fault  refused
 CLOSED           refused         refused           refused          refused           refused
 CLOSED_fault     refused         refused           refused          refused           refused
 CLOSED_EOF!      refused         refused           refused          refused           refused
 WAITING!         200:CLOSED_EOF! 200:CLOSED_EOF!   403:CLOSED_EOF!  400:CLOSED_EOF!   100
 WAITING_stream!  refused         200:CLOSED_EOF!   403:CLOSED_EOF!  400:CLOSED_EOF!   100
 WAITING_own!     refused         200:CLOSED_EOF!   403:CLOSED_EOF!  400:CLOSED_EOF!   100
 WAITING_refusal! refused         200:CLOSED_EOF!   403:CLOSED_EOF!  400:CLOSED_EOF!   100
 STREAMING!       refused         refused           last:CLOSED_EOF! last:CLOSED_EOF!  refused
 STREAMING_own!   refused         refused           refused          refused           refused
 ERROR!           refused         200:CLOSED_fault! refused          400:CLOSED_fault! refused
 ERROR_body!      refused         200:CLOSED_fault! refused          400:CLOSED_fault! refused
 CLOSED!          refused         refused           refused          refused           refused
 CLOSED_fault!    refused         refused           refused          refused           refused
"""
# What `send` gives for a part of a response: `stream` for the head of a stream and what follows it, `chunk` for a piece
# of the stream, `last` for its end, `whole` for all of these.
STREAMS = """
                  event             done              heartbeat         response_head         piece   last_piece
 IDLE             refused           refused           refused           refused               refused refused
 DONE             refused           refused           refused           refused               refused refused
 BODY             refused           refused           refused           refused               refused refused
 BODY_expecting   refused           refused           refused           refused               refused refused
 WAITING          refused           refused           refused           refused               refused refused
 WAITING_stream   stream:STREAMING  whole:DONE        stream:STREAMING  refused               refused refused
 WAITING_own      refused           refused           refused           stream:STREAMING_own  refused refused
 WAITING_refusal  refused           refused           refused           refused               refused refused
 STREAMING        chunk             last:DONE         chunk             refused               refused refused
 STREAMING_own    refused           refused           chunk             refused               chunk   last:DONE
 ERROR            refused           refused           refused           refused               refused refused
 ERROR_body       refused           refused           refused           refused               refused refused
 CLOSED           refused           refused           refused           refused               refused refused
 CLOSED_fault     refused           refused           refused           refused               refused refused
 CLOSED_EOF!      refused           refused           refused           refused               refused refused
 WAITING!         refused           refused           refused           refused               refused refused
 WAITING_stream!  stream:STREAMING! whole:CLOSED_EOF! stream:STREAMING! refused               refused refused
 WAITING_own!     refused           refused           refused           stream:STREAMING_own! refused refused
 WAITING_refusal! refused           refused           refused           refused               refused refused
 STREAMING!       chunk             last:CLOSED_EOF!  chunk             refused               refused refused
 STREAMING_own!   refused           refused           chunk             refused               chunk   last:CLOSED_EOF!
 ERROR!           refused           refused           refused           refused               refused refused
 ERROR_body!      refused           refused           refused           refused               refused refused
 CLOSED!          refused           refused           refused           refused               refused refused
 CLOSED_fault!    refused           refused           refused           refused               refused refused
"""
EXPECTS_CONTINUE = {"BODY_expecting"}

HEAD = b"DELETE /api/secrets/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
RECEIVED = {
    "head": HEAD,
    "body": b"2\r\n\r\n\r\n",  # an empty line, so that it is not the beginning of a request either
    "end": END,
    "EOF": b"",
    "garbage": b"garbage\r\n\r\n",
    "expecting": HEAD.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n",
    "run_stream": b'POST /api/v1/run/stream HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\n\r\n{"input":"x"}',
    "own": b"POST /own HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "nowhere": NOWHERE,
    "last": NOWHERE.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n",
}
SENT = {
    "result": None,
    "exception": GovernanceBlock("t"),
    "fault": RemoteProtocolError("a fault"),
    "event": StreamEvent("token"),
    "done": StreamEvent("done"),
    "heartbeat": Control.HEARTBEAT,
    "continue": Control.CONTINUE,
    "response": EncodedResponse(200, (("Content-Length", "0"),), b""),
    "response_head": ResponseHead(200, (("Content-Type", "text/event-stream"),)),
    "piece": b"piece",
    "last_piece": b"",
    "start": StreamEvent("start"),
}
WAYS = {
    "IDLE": [],
    "DONE": ["nowhere", "exception"],
    "BODY": ["head"],
    "BODY_expecting": ["expecting"],
    "WAITING": ["head", "end"],
    "WAITING_stream": ["run_stream"],
    "WAITING_own": ["own"],
    "WAITING_refusal": ["nowhere"],
    "STREAMING": ["run_stream", "start"],
    "STREAMING_own": ["own", "response_head"],
    "ERROR": ["garbage"],
    "ERROR_body": ["head", "garbage"],
    "CLOSED": ["last", "exception"],
    "CLOSED_fault": ["garbage", "fault"],
    "CLOSED_EOF!": ["EOF"],
    "WAITING!": ["head", "end", "EOF"],
    "WAITING_stream!": ["run_stream", "EOF"],
    "WAITING_own!": ["own", "EOF"],
    "WAITING_refusal!": ["nowhere", "EOF"],
    "STREAMING!": ["run_stream", "start", "EOF"],
    "STREAMING_own!": ["own", "response_head", "EOF"],
    "ERROR!": ["garbage", "EOF"],
    "ERROR_body!": ["head", "EOF"],
    "CLOSED!": ["last", "EOF", "exception"],
    "CLOSED_fault!": ["garbage", "EOF", "fault"],
}


def cells(table: str) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    head, *lines = (line.split() for line in table.strip().splitlines())
    for state, *row in lines:
        for step, cell in zip(head, row, strict=True):
            outcome, _, after = cell.partition(":")
            yield (state, step), (outcome, after or state)


CELLS = [cell for table in (RECEIVES, SENDS, STREAMS) for cell in cells(table)]
TABLE = dict(CELLS)
INPUTS = list(dict.fromkeys(step for _, step in TABLE))


def state_of(row: str) -> ConnectionState:
    return ConnectionState[row.rstrip("!").partition("_")[0]]


class Server:
    """A connection, and what is seen of it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._fault: HestiaError | None = None
        self.connection = ServerConnection(resources={"/own": ["POST"]})

    def take(self, step: str) -> str:
        """What comes of an input, as the tables name it."""
        try:
            return self._receive(RECEIVED[step]) if step in RECEIVED else self._send(step)
        except LocalProtocolError:
            return "refused"

    def _receive(self, data: bytes) -> str:
        seen = []
        for start in range(0, len(data) or 1, self._size):
            self.connection.receive_data(data[start : start + self._size])
            seen.append(self._read())
        return next((each for each in seen if each != "-"), "-")

    def _read(self) -> str:
        try:
            calls = list(self.connection.events())
        except RemoteProtocolError as error:
            if self._fault not in (None, error):
                raise
            self._fault = error
            return "fault"
        return ", ".join("call" for _ in calls) or "-"

    def _send(self, step: str) -> str:
        out = self.connection.send(self._fault if step == "fault" and self._fault is not None else SENT[step])
        if self._fault is None:
            assert self._read() == "-"  # nothing more has come; but an end that came is noticed
        head, _, _ = out.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            return "last" if out.endswith(END) else "chunk"
        if b"text/event-stream" in head:
            return "whole" if out.endswith(END) else "stream"
        return head[9:12].decode()

    def looks(self) -> tuple[ConnectionState, bool, bool]:
        connection = self.connection
        return connection.state, connection.must_close, connection.expects_continue


def expected(row: str) -> tuple[ConnectionState, bool, bool]:
    state = state_of(row)
    return state, state is ConnectionState.CLOSED, row in EXPECTS_CONTINUE


def server_in(row: str, size: int = 10**6) -> Server:
    server = Server(size)
    for step in WAYS[row]:
        server.take(step)
    return server


def test_no_pair_is_missing() -> None:
    assert len(CELLS) == len(TABLE)
    assert set(TABLE) == set(product(WAYS, INPUTS))
    assert {after for _, after in TABLE.values()} <= set(WAYS)
    assert {state_of(row) for row in WAYS} == set(SERVER_STATES)


@pytest.mark.parametrize("row", WAYS)
def test_each_state_looks_as_the_table_says(row: str) -> None:
    server = server_in(row)
    assert server.looks() == expected(row)
    assert repr(server.connection) == f"ServerConnection({state_of(row).name})"


@pytest.mark.parametrize("step", INPUTS)
@pytest.mark.parametrize("row", WAYS)
def test_each_pair(row: str, step: str) -> None:
    """Whole and byte by byte."""
    outcome, after = TABLE[row, step]
    for size, then in product((10**6, 1), INPUTS):
        server = server_in(row, size)
        assert server.take(step) == outcome
        assert server.looks() == expected(after)
        if outcome == "-" and row.startswith(("WAITING", "STREAMING")) and step != "EOF":
            continue  # what came before its turn is read when the request has its response
        assert server.take(then) == TABLE[after, then][0], f"{then}, after {step}"


def test_the_connection_moves_along_each_arrow_of_its_table() -> None:
    moved = {(state_of(row), state_of(after)) for (row, _), (_, after) in TABLE.items()}
    arrows = {(state, after) for state, row in SERVER_STATES.items() for after in row.values()}
    assert arrows <= moved
