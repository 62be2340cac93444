"""`ServerConnection`, each state by each input: it answers as the table says and stands where the table says.

Where it stands shows in what every input then does. What it refuses, it refuses with a LocalProtocolError and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from hestiaos_proto import (
    Control,
    GovernanceBlock,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    ServerConnection,
    StreamEvent,
)

# What `events` gives for what was received: `call`, `fault` for a RemoteProtocolError, a dash for nothing. Behind the
# colon is the next state, where it is another. In a state with an exclamation mark the client has ended what it sends.
RECEIVES = """
             head          body          end           EOF            garbage
 free        -:head        fault:broken  fault:broken  -:closing!     fault:broken
 head        fault:spoiled -             call:called   fault:spoiled! fault:spoiled
 expecting   fault:spoiled -:head        call:called   fault:spoiled! fault:spoiled
 called      -             -             -             -:called!      -
 asked       -             -             -             -:asked!       -
 streaming   -             -             -             -:streaming!   -
 refusal     -             -             -             -:refusal!     -
 broken      fault         fault         fault         fault:broken!  fault
 spoiled     fault         fault         fault         fault:spoiled! fault
 rejected    fault         fault         fault         fault:rejected! fault
 ended       -             -             -             -:ended!       -
 closing!    refused       refused       refused       -              refused
 called!     refused       refused       refused       -              refused
 asked!      refused       refused       refused       -              refused
 streaming!  refused       refused       refused       -              refused
 refusal!    refused       refused       refused       -              refused
 broken!     refused       refused       refused       fault          refused
 spoiled!    refused       refused       refused       fault          refused
 rejected!   refused       refused       refused       fault          refused
 ended!      refused       refused       refused       -              refused
"""
# What `send` gives: a status, `stream` for a stream's head and what follows it, `chunk` for a piece of the stream,
# `last` for its end, `whole` for all of these.
SENDS = """
             result       exception     fault         event             done           heartbeat         continue
 free        refused      refused       refused       refused           refused        refused           refused
 head        refused      refused       refused       refused           refused        refused           100
 expecting   refused      refused       refused       refused           refused        refused           100:head
 called      200:free     403:free      400:free      refused           refused        refused           100
 asked       refused      403:free      400:free      stream:streaming  whole:free     stream:streaming  100
 streaming   refused      last:free     last:free     chunk             last:free      chunk             refused
 refusal     refused      403:free      400:free      refused           refused        refused           100
 broken      refused      refused       400:rejected  refused           refused        refused           refused
 spoiled     refused      refused       400:rejected  refused           refused        refused           100
 rejected    refused      refused       refused       refused           refused        refused           refused
 ended       refused      refused       refused       refused           refused        refused           refused
 closing!    refused      refused       refused       refused           refused        refused           refused
 called!     200:closing! 403:closing!  400:closing!  refused           refused        refused           100
 asked!      refused      403:closing!  400:closing!  stream:streaming! whole:closing! stream:streaming! 100
 streaming!  refused      last:closing! last:closing! chunk             last:closing!  chunk             refused
 refusal!    refused      403:closing!  400:closing!  refused           refused        refused           100
 broken!     refused      refused       400:rejected! refused           refused        refused           refused
 spoiled!    refused      refused       400:rejected! refused           refused        refused           100
 rejected!   refused      refused       refused       refused           refused        refused           refused
 ended!      refused      refused       refused       refused           refused        refused           refused
"""
MUST_CLOSE = {"rejected", "rejected!", "ended", "ended!", "closing!"}
EXPECTS_CONTINUE = {"expecting"}

START, DONE = StreamEvent("start"), StreamEvent("done")
HEAD = b"DELETE /api/secrets/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = HEAD.removesuffix(b"\r\n") + b"Expect: 100-continue\r\n\r\n"
BODY = b"2\r\n\r\n\r\n"  # an empty line, by which it is no beginning of a request either
END = b"0\r\n\r\n"
GARBAGE = b"garbage\r\n\r\n"
RUN = b'POST /api/v1/run/stream HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\n\r\n{"input":"x"}'
NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

RECEIVED = {"head": HEAD, "body": BODY, "end": END, "EOF": b"", "garbage": GARBAGE}
SENT = {
    "result": None,
    "exception": GovernanceBlock("t"),
    "fault": RemoteProtocolError("a fault"),
    "event": StreamEvent("token"),
    "done": DONE,
    "heartbeat": Control.HEARTBEAT,
    "continue": Control.CONTINUE,
}
INPUTS: dict[str, object] = {**RECEIVED, **SENT}
WAYS: dict[str, list[object]] = {
    "free": [],
    "head": [HEAD],
    "expecting": [EXPECTING],
    "called": [HEAD + END],
    "asked": [RUN],
    "streaming": [RUN, START],
    "refusal": [NOWHERE],
    "broken": [GARBAGE],
    "spoiled": [HEAD + GARBAGE],
    "rejected": [GARBAGE, SENT["fault"]],
    "ended": [LAST, GovernanceBlock("t")],
    "closing!": [b""],
    "called!": [HEAD + END, b""],
    "asked!": [RUN, b""],
    "streaming!": [RUN, START, b""],
    "refusal!": [NOWHERE, b""],
    "broken!": [GARBAGE, b""],
    "spoiled!": [HEAD, b""],
    "rejected!": [GARBAGE, b"", SENT["fault"]],
    "ended!": [LAST, b"", GovernanceBlock("t")],
}


def cells(table: str) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    head, *lines = (line.split() for line in table.strip().splitlines())
    for state, *row in lines:
        for step, cell in zip(head, row, strict=True):
            outcome, _, after = cell.partition(":")
            yield (state, step), (outcome, after or state)


TABLE = {**dict(cells(RECEIVES)), **dict(cells(SENDS))}


class Server:
    """A connection, and what is seen of it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._fault: HestiaError | None = None
        self.connection = ServerConnection()

    def take(self, item: object) -> str:
        """What comes of an input, as the tables name it."""
        try:
            return self._receive(item) if isinstance(item, bytes) else self._send(item)
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

    def _send(self, item: object) -> str:
        own = self._fault if item is SENT["fault"] and self._fault is not None else item
        out = self.connection.send(own)
        if self._fault is None:
            assert self._read() == "-"  # nothing more has come; but an end that came is noticed
        head, _, _ = out.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 "):
            return "last" if out.endswith(END) else "chunk"
        if b"text/event-stream" in head:
            return "whole" if out.endswith(END) else "stream"
        return head[9:12].decode()


def server_in(state: str, size: int = 10**6) -> Server:
    server = Server(size)
    for item in WAYS[state]:
        server.take(item)
    return server


def test_no_pair_is_missing() -> None:
    assert len(TABLE) == len(list(cells(RECEIVES))) + len(list(cells(SENDS)))
    assert set(TABLE) == set(product(WAYS, INPUTS))
    assert {after for _, after in TABLE.values()} <= set(WAYS)


@pytest.mark.parametrize("state", WAYS)
def test_what_is_told_of_each_state(state: str) -> None:
    connection = server_in(state).connection
    assert connection.must_close == (state in MUST_CLOSE)
    assert connection.expects_continue == (state in EXPECTS_CONTINUE)


@pytest.mark.parametrize("size", [10**6, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("step", INPUTS)
@pytest.mark.parametrize("state", WAYS)
def test_each_pair(state: str, step: str, size: int) -> None:
    outcome, after = TABLE[state, step]
    for then in INPUTS:
        server = server_in(state, size)
        assert server.take(INPUTS[step]) == outcome
        assert server.connection.must_close == (after in MUST_CLOSE)
        assert server.connection.expects_continue == (after in EXPECTS_CONTINUE)
        if outcome == "-" and state.startswith(("called", "asked", "streaming", "refusal")) and step != "EOF":
            continue  # what came ahead of its turn is met when the call is answered
        assert server.take(INPUTS[then]) == TABLE[after, then][0], f"{then}, behind {step}"
