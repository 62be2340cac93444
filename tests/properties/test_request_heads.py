"""Whatever our server's end takes for a request, h11 takes for the same request."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_proto import RemoteProtocolError
from hestiaos_proto._connection.request_heads import HeadReader, RequestHead

LINES = st.sampled_from(
    [
        "Host: h",
        "Host: [::1]:80",
        "Content-Length: 3",
        "Content-Length: 03",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: CHUNKED",
        "Connection: close",
        "Connection: keep-alive, Close",
        "Expect: 100-continue",
        "X-A:b",
        "x-a: \t c \t",
        "X-B: \xe9",
        "Authorization: Bearer k",
    ]
)
FIRST = st.sampled_from(
    [
        "GET /health HTTP/1.1",
        "POST /api/v1/run?x HTTP/1.1",
        "DELETE /a HTTP/1.0",
        "GET http://h/health HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ]
)
HEADS = st.builds(lambda first, lines: "\r\n".join([first, *lines, "", ""]).encode("latin-1"), FIRST, st.lists(LINES))
PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"\x7f", b"\xff", b"a", b"0", b"/", b"\r\n\r\n"]
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head, mostly a good one, with something put into it or taken out."""
    head = draw(HEADS)
    for _ in range(draw(st.integers(0, 2))):
        place, size = draw(st.integers(0, len(head))), draw(st.integers(0, 3))
        head = head[:place] + draw(PIECES | st.just(b"")) + head[place + size :]
    return head


def by_us(data: bytes) -> tuple[RequestHead, bytes] | None:
    buffer = bytearray(data)
    try:
        head = HeadReader().read(buffer)
    except RemoteProtocolError:
        return None
    return None if head is None else (head, bytes(buffer))


@given(heads())
def test_h11_accepts_what_the_head_reader_accepts(data: bytes) -> None:
    ours = by_us(data)
    if ours is None:
        return
    head, rest = ours
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data.removeprefix(b"\r\n"))  # h11 knows of no empty line before a request
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert request.method.decode() == head.method
    assert request.target.decode().endswith(head.target)
    theirs: dict[str, str] = {}
    for name, value in request.headers:
        key = name.decode()
        theirs[key] = f"{theirs[key]}, {value.decode('latin-1')}" if key in theirs else value.decode("latin-1")
    if not request.target.startswith(b"http"):
        assert theirs == head.headers | ({"transfer-encoding": "chunked"} if head.length is None else {})
    assert connection.trailing_data[0] == rest
    if head.length == 0:
        assert isinstance(connection.next_event(), h11.EndOfMessage)
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
        assert (connection.our_state is h11.DONE) == head.keep_alive
