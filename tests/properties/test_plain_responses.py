"""A property of `ClientConnection`: what a caller sees is the same whether or not h11 had a part in it."""

from __future__ import annotations

import gzip
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import Operation, operations
from tests.support.exchanges import watch
from tests.support.pieces import cut, cut_after_head

BODY = b'{"status":"ok","version":"1","uptime_seconds":2}'
OPERATIONS = st.sampled_from([operations.health(), operations.run_stream("x"), operations.governance_trace("c")])
TYPES = st.sampled_from([b"text/event-stream"] * 3 + [b"application/json"])
HEADS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n"] * 5
    + [
        b"HTTP/1.1 404 Not Found\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n",
        b"HTTP/1.1 200 OK\r\nX: \xe9\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"HTTP/1.1 2000 OK\r\n",
    ]
)
PARTS = st.sampled_from(
    [
        b'data: {"type":"start"}\n\n',
        b'data: {"type":"token","data":{"text":"x"}}\n\n',
        b'data: {"type":"final"}\n\n',
        b'data: {"type":"done"}\n\n',
        b": heartbeat\n\n",
        b"data: ",
        b"\n\n",
        BODY,
        b"{",
    ]
)
ODD_CHUNKS = st.sampled_from(
    [b"0\r\n", b"\r\n", b"5;a=b\r\n: hi\n\r\n", b"2\r\n\n\n", b"1\r\n:XX", b"g\r\n", b"0x1\r\n:\r\n", b"X: y\r\n"]
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A response, or what begins as one."""
    parts = draw(st.lists(PARTS, max_size=5))
    head = draw(HEADS) + b"Content-Type: " + draw(TYPES) + b"\r\n"
    if draw(st.sampled_from([False] * 5 + [True])):
        parts = [gzip.compress(b"".join(parts))]
        head += b"Content-Encoding: gzip\r\n"
    framing = draw(st.sampled_from(["length", "chunked", "chunked", "end"]))
    if framing == "end":
        return head + b"\r\n" + b"".join(parts)
    if framing == "length":
        body = b"".join(parts)
        length = len(body) + draw(st.sampled_from([0, 0, 0, 1, -1]))
        return head + b"Content-Length: %d\r\n\r\n" % length + body
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    if odd := draw(st.lists(ODD_CHUNKS, max_size=1)):
        chunks[draw(st.integers(0, len(chunks))) :] = odd
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join([*chunks, b"0\r\n\r\n"])


EXCHANGES = st.lists(
    st.tuples(OPERATIONS, responses(), st.lists(st.integers(0, 400), max_size=5)), min_size=1, max_size=3
)


@given(EXCHANGES)
@example([(operations.health(), b"HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n" + BODY[:9], [])])
def test_a_caller_sees_the_same_with_h11_and_without(
    exchanges: list[tuple[Operation[Any], bytes, list[int]]],
) -> None:
    """One operation after another, each response cut anyhow, and then the end of the connection."""
    for pieces in (cut, cut_after_head):
        script = [(operation, pieces(data, places)) for operation, data, places in exchanges]
        assert watch(script, by_h11=False) == watch(script, by_h11=True)
