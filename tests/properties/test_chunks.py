"""A property of the loop over an event stream's chunks."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import ClientConnection, HestiaError, operations

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PARTS = st.sampled_from(
    [b'data: {"type":"start"}\n\n', b'data: {"type":"token"}\n\n', b"data: ", b'{"type":"final"}', b"\n\n", b"\r\n"]
)
PLAIN = st.lists(PARTS, min_size=1, max_size=3).map(b"".join).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data))
ODD = st.sampled_from(
    [b"0\r\n", b"\r\n", b"5;a=b\r\n: hi\n\r\n", b"2\r\n\n\n", b"1\r\n:XX", b"g\r\n", b"0x1\r\n:\r\n", b"X: y\r\n"]
)
BODIES = st.lists(PLAIN | PLAIN | ODD | st.binary(max_size=3), max_size=8).map(b"".join)


def outcome(pieces: list[bytes]) -> tuple[list[object], str, bool]:
    """The events, the kind of what was raised behind them, and whether the connection can be used after all pieces."""
    connection = ClientConnection()
    connection.send(operations.run_stream("x"))
    events: list[object] = []
    raised = ""
    for piece in pieces:
        connection.receive_data(piece)
        if raised:
            continue
        try:
            events += connection.events()
        except HestiaError as error:
            raised = type(error).__name__
    return events, raised, connection.reusable


@given(BODIES, st.lists(st.integers(0, 200), max_size=6), st.booleans())
@example(b"18\r\n" + b'data: {"type":"start"}\n\n' + b"\r\n0\r\n\r\n", [], False)
@example(b"2\r\n\n\n\0", [], False)  # a wrong byte behind a chunk's data is wrong before the next one comes
@example(b"0\r\n\n0\r\n", [4], False)  # something behind the end, which comes after the stream's fault is known
def test_our_loop_reads_what_h11_reads(body: bytes, cuts: list[int], closed: bool) -> None:
    """A stream's chunks, cut anyhow, give the same through our loop and through h11 alone."""
    end = [b""] if closed else []
    # h11 keeps what comes in one piece with the end of a head that was cut inside its blank line.
    by_h11 = outcome([HEAD[:-1], HEAD[-1:] + body, *end])
    places = sorted({min(cut, len(body)) for cut in cuts})
    pieces = [body[start:stop] for start, stop in zip([0, *places], [*places, len(body)], strict=True)]
    assert outcome([HEAD, *filter(None, pieces), *end]) == by_h11
    assert outcome([HEAD + body, *end]) == by_h11
