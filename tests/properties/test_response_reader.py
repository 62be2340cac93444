"""Properties of `ResponseReader`: what is read without h11 is what h11 reads, and nothing that llhttp refuses."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.pieces import cut, cut_after_head
from tests.support.response_readers import check

PLAIN = {
    "status line": [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 Not Found",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 599  x",
    ],
    "framing": [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"content-length:005", b"Content-Length: 0"],
    "field": [
        b"Content-Type: text/event-stream",
        b"Connection: close",
        b"Connection: keep-alive",
        b"connection:Keep-Alive",
        b"Keep-Alive: timeout=5",
        b"X:",
        b"X:   a b  c",
    ],
    "line end": [b"\r\n"],
    "body": [b"hello", b"hell", b"", b"hello" * 9],
    "chunk": [b"5\r\nhello\r\n", b"1\r\na\r\n", b"A\r\n0123456789\r\n", b"0005\r\nhello\r\n"],
}
ODD = {
    "status line": [
        b"HTTP/1.1 200 \t x",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200 OK",
        b" HTTP/1.1 200 OK",
        b"\r\nHTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.2 200 OK",
        b"HTTP/2.0 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 200 \xe9\x01",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\rK",
        b"ICY 200 OK",
        b"",
    ],
    "framing": [
        b"X: y",
        b"CONTENT-LENGTH: \t 5 \t",
        b"Content-Length:   5 ",
        b"Content-Length: 5\t",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 5, 5",
        b"Content-Length: 5,",
        b"Content-Length: 5 5",
        b"Content-Length: 5_0",
        b"Content-Length: 0x5",
        b"Content-Length: 5.0",
        b"Content-Length: \xb2",
        b"Content-Length:",
        b"Content-Length: 999999999999999",
        b"Content-Length: 18446744073709551616",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b" Content-Length: 5",
        b"Content-Length: 5\r\nContent-Length : 7",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: Chunked",
        b"TRANSFER-ENCODING:chunked\t",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: chunked ",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked;q=1",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding:",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: chunked\r\n\tx",
        b"X: y\r\n Transfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\x00\r\nContent-Length: 5",
        b"Transfer_Encoding: chunked",
    ],
    "field": [
        b"Connection: close, x",
        b"Connection: Upgrade",
        b"Connection: Upgrade\r\nUpgrade: h2c",
        b"Connection: keep-alive\r\nConnection: close",
        b"Connection:",
        b"Proxy-Connection: close",
        b"Upgrade: h2c",
        b"Trailer: X",
        b"X: ",
        b"X: a ",
        b"X:\ta\tb\t",
        b"X: \xe9",
        b"X: \x01",
        b"X: \x7f",
        b"X: \x0b",
        b": y",
        b"no colon",
        b"X(: y",
        b"X\xe9: y",
    ],
    "line end": [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n", b"\x00\r\n"],
    "body": [b"hello more", b"5\r\nhello\r\n", b"helloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    "chunk": [
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0;x\r\n\r\n",
        b"000\r\n\r\n",
        b"0\n\n",
        b"5;a=b\r\nhello\r\n",
        b'5;a="b\r\n"\r\nhello\r\n',
        b"5 \r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\rhello\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello",
        b"5\r\nhelloo\r\n",
        b"\r\n",
        b"g\r\n",
        b"ffffffffffffffff\r\nx",
        b"fffffffffffffffff\r\nx",
        b"fffffffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
}
BYTES = st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b"0", b"5", b"\xff", b";"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A plain response, or one that is odd in up to two ways and has up to two bytes damaged."""
    odd = draw(st.sets(st.sampled_from(sorted(ODD)), max_size=2))

    def part(kind: str) -> bytes:
        return draw(st.sampled_from(ODD[kind] if kind in odd and draw(st.booleans()) else PLAIN[kind]))

    fields = [part("field") for _ in range(draw(st.integers(0, 3)))]
    fields.insert(draw(st.integers(0, len(fields))), framing := part("framing"))
    head = b"".join(line + part("line end") for line in [part("status line"), *fields])
    if b"chunked" in framing:
        body = b"".join(part("chunk") for _ in range(draw(st.integers(0, 5)))) + draw(
            st.sampled_from([b"0\r\n\r\n", b""])
        )
    else:
        body = part("body")
    data = bytearray(head + part("line end") + body)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 2))] = draw(BYTES)
    return bytes(data)


PLACES = st.lists(st.integers(0, 400), max_size=4)


@given(responses(), PLACES)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", [])  # the end comes inside the body, in a read of its own
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [])
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", [])
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r", [])
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5", [])
def test_the_reader_reads_what_h11_and_llhttp_read(data: bytes, places: list[int]) -> None:
    """However a response is cut, we know after each read what h11 alone knows; and if h11 had no part in it, llhttp
    knows the same."""
    check([*cut(data, places), b""])
    check([*cut_after_head(data, places), b""])
