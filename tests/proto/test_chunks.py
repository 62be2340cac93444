"""Plain chunks (RFC 9112, section 7.1), decoded, and where they begin: whole, byte by byte and cut at every place."""

from __future__ import annotations

import h11
import pytest

from hestiaos_proto._connection.chunks import ChunkDecoder, HeadScanner


def decode(pieces: list[bytes]) -> tuple[bytes, bytes | None]:
    """The body, and what is left to h11 from the first chunk that is not plain."""
    decoder, body = ChunkDecoder(), b""
    for place, piece in enumerate(pieces):
        body += b"".join(decoder.decode(piece))
        if decoder.rest is not None:
            return body, decoder.rest + b"".join(pieces[place + 1 :])
    return body, None


@pytest.mark.parametrize(
    ("data", "body", "rest"),
    [
        (b"1\r\na\r\n", b"a", None),
        (b"3\r\nabc\r\n0a\r\n0123456789\r\n", b"abc0123456789", None),
        (b"10\r\n0123456789abcdef\r\n", b"0123456789abcdef", None),
        (b"A\r\n\r\n\r\n\r\n\r\n\r\n\r\n", b"\r\n" * 5, None),
        (b"000000000000001\r\na\r\n", b"a", None),
        (b"1\r\na\r\n2\r\nb", b"ab", None),
        (b"1\r\na\r\n0\r\n\r\n", b"a", b"0\r\n\r\n"),
        (b"1\r\na\r\n00\r\nX: y\r\n\r\n", b"a", b"00\r\nX: y\r\n\r\n"),
        (b"1\r\na\r\n1;x=y\r\nb\r\n", b"a", b"1;x=y\r\nb\r\n"),
        (b"1\r\na\r\n1 \r\nb\r\n", b"a", b"1 \r\nb\r\n"),
        (b"+1\r\na\r\n", b"", b"+1\r\na\r\n"),
        (b"1_0\r\na\r\n", b"", b"1_0\r\na\r\n"),
        (b"0x1\r\na\r\n", b"", b"0x1\r\na\r\n"),
        (b"\r\na\r\n", b"", b"\r\na\r\n"),
        (b"X1\r\na\r\n", b"", b"X1\r\na\r\n"),
        (b"-1\r\na\r\n", b"", b"-1\r\na\r\n"),
        (b"0000000000000001\r\na\r\n", b"", b"0000000000000001\r\na\r\n"),
        (b"x" * 40, b"", b"x" * 40),
    ],
)
def test_plain_chunks_are_decoded_and_the_rest_is_left(cuts, data: bytes, body: bytes, rest: bytes | None) -> None:
    for pieces in cuts(data):
        assert decode(pieces) == (body, rest), pieces


def test_a_chunk_that_is_longer_than_it_says_is_refused_after_what_came_before(cuts) -> None:
    for pieces in cuts(b"1\r\na\r\n2\r\nbcd\r\n"):
        decoder, body = ChunkDecoder(), []
        with pytest.raises(h11.RemoteProtocolError, match="does not have the size that it declares"):
            body.extend(part for piece in pieces for part in decoder.decode(piece))
        assert b"".join(body) == b"abc", pieces


def test_nothing_that_has_been_handed_out_is_kept() -> None:
    decoder = ChunkDecoder()
    assert b"".join(decoder.decode(b"ffffff\r\n" + b"x" * 1000)) == b"x" * 1000
    assert decoder._scanner.line == b""


@pytest.mark.parametrize("data", [b"2\r\nbcde", b"2\r\nbcde1\r\nz\r\n", b"2\r\nbc\r\r"], ids=repr)
def test_it_is_refused_as_soon_as_that_is_seen_and_nothing_after_it_is_read(data: bytes) -> None:
    decoder, body = ChunkDecoder(), []
    with pytest.raises(h11.RemoteProtocolError, match="does not have the size that it declares"):
        body.extend(decoder.decode(data))
    assert body == [b"bc"]


def test_a_first_line_is_waited_for_as_long_as_it_can_be_a_plain_one() -> None:
    decoder = ChunkDecoder()
    assert list(decoder.decode(b"0" * 16)) == []
    assert decoder.rest is None
    assert list(decoder.decode(b"0")) == []
    assert decoder.rest == b"0" * 17


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a-style-sheet-of-some-length.css>; rel=preload; as=style\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "end", "chunked"),
    [
        (HEAD, len(HEAD), True),
        (HEAD + b"1\r\na\r\n", len(HEAD), True),
        (EARLY + HEAD + b"1\r\na\r\n", len(EARLY + HEAD), True),
        (HEAD[:-1], len(HEAD) - 1, False),
        (EARLY, len(EARLY), False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 38, False),
        # What comes after these is not HTTP/1.1, or framed by who knows what.
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + HEAD, 36, False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + HEAD, 19, False),
        (b"x" * 20_000, 20_000, False),
    ],
)
def test_the_end_of_the_heads(cuts, data: bytes, end: int, chunked: bool) -> None:
    for pieces in [[data]] if len(data) > 1000 else cuts(data):
        scanner, found = HeadScanner(), 0
        for piece in pieces:
            found += 0 if scanner.ended else scanner.scan(piece)
        assert (found, scanner.chunked) == (end, chunked), pieces


def test_a_scanner_keeps_no_more_than_a_head() -> None:
    scanner = HeadScanner()
    while not scanner.ended:
        scanner.scan(b"x" * 1024)
    assert len(scanner._head) <= 20 * 1024
    scanner = HeadScanner()
    assert scanner.scan(HEAD + b"x" * 10**6) == len(HEAD)
    assert not scanner._head
