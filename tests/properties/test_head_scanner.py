"""Properties of `HeadScanner` and `ChunkDecoder`: in front of h11, they leave a response what it is."""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import ChunkDecoder, HeadScanner
from tests.support.pieces import cut

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADS = st.sampled_from(
    [
        CHUNKED,
        CHUNKED,
        b"HTTP/1.1 200\r\ntransfer-encoding:chunked\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nX: \xe9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\r\n" + CHUNKED,
        CHUNKED[:-3],
        b"",
    ]
)
PLAIN = st.binary(min_size=1, max_size=20).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data))
ODD = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"0\r\nX-Trailer: y\r\n\r\n",
        b"5;a=b\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"005\r\nhello\r\n",
        b"0000000000000000005\r\nhello\r\n",
        b"ffffffffffffffff\r\nhello\r\n",
        b"fffffffffffffffff\r\nhello\r\n",
        b"2\r\nhello\r\n",
        b"2\r\nhe\n",
        b"2\nhe\r\n",
        b"+2\r\nhe\r\n",
        b"\r\n",
        b"xyz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ]
)
MESSAGES = st.builds(lambda head, body: head + b"".join(body), HEADS, st.lists(PLAIN | PLAIN | ODD, max_size=8))

_BROKEN = "a chunk does not have the size that it declares"


class Reading:
    """What h11 makes of a response, its body's pieces put together."""

    def __init__(self) -> None:
        self.connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=65536)
        self.connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
        self.connection.send(h11.EndOfMessage())
        self.events: list[Any] = []
        self.body = b""

    def receive_data(self, data: bytes) -> None:
        if self.events[-1:] != ["ended"]:
            self.connection.receive_data(data)
        while self.events[-1:] != ["ended"]:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                self.events += [str(error), "ended"]
                return
            if isinstance(event, h11.Data):
                self.body += event.data
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            else:
                self.events.append(event)

    @property
    def known(self) -> tuple[Any, ...]:
        # h11 quotes as much of what is there instead as it has.
        events = [_BROKEN if str(event).startswith("malformed chunk footer") else event for event in self.events]
        return events, self.body


class Bypassing(Reading):
    """The same, where a body of plain chunks does not come to h11."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = HeadScanner()
        self.chunks = ChunkDecoder()

    def receive_data(self, data: bytes) -> None:
        if not self.heads.ended:
            end = self.heads.scan(data)
            super().receive_data(data[:end])
            data = data[end:]
            if not data:
                return
        if not self.heads.chunked or self.chunks.rest is not None:
            super().receive_data(data)
        elif self.events[-1:] != ["ended"]:
            self.decode(data)

    def decode(self, data: bytes) -> None:
        try:
            for piece in self.chunks.decode(data):
                self.body += piece
        except h11.RemoteProtocolError as error:
            self.events += [str(error), "ended"]
            return
        if self.chunks.rest:
            super().receive_data(self.chunks.rest)
        if not data:
            super().receive_data(data)


@given(MESSAGES, st.lists(st.integers(0, 500), max_size=8), st.booleans())
@example(CHUNKED + b"1\r\na\r\n1\r\nb\r\n", [], True)
@example(CHUNKED + b"1\r\na\r\n1\r\nb\r\n2\r\nc", [len(CHUNKED) + 13], True)
def test_the_scanner_finds_the_head_that_h11_finds(message: bytes, places: list[int], closed: bool) -> None:
    """After each read, as much is known as h11 alone knows."""
    compare(message, places, closed=closed)


@given(MESSAGES)
def test_each_cut_in_two(message: bytes) -> None:
    """The same holds wherever a response is cut."""
    for place in range(len(message)):
        compare(message, [place], closed=True)


def compare(message: bytes, places: list[int], *, closed: bool) -> None:
    plain, bypassing = Reading(), Bypassing()
    for piece in [*cut(message, places), *([b""] if closed else [])]:
        plain.receive_data(piece)
        bypassing.receive_data(piece)
        assert bypassing.known == plain.known
