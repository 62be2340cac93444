"""Plain chunks (RFC 9112, section 7.1), decoded and joined: whole, byte by byte and cut at every place."""

from __future__ import annotations

import h11
import pytest

from hestiaos_proto._connection.chunks import ChunkDecoder, ChunkJoiner


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


def test_a_chunk_that_is_longer_than_it_says_is_refused_behind_what_came_before(cuts) -> None:
    for pieces in cuts(b"1\r\na\r\n2\r\nbcd\r\n"):
        decoder, body = ChunkDecoder(), []
        with pytest.raises(h11.RemoteProtocolError, match="does not end where its size says"):
            body.extend(part for piece in pieces for part in decoder.decode(piece))
        assert b"".join(body) == b"abc", pieces


def test_nothing_that_has_been_handed_out_is_kept() -> None:
    decoder = ChunkDecoder()
    assert b"".join(decoder.decode(b"ffffff\r\n" + b"x" * 1000)) == b"x" * 1000
    assert decoder._scanner.line == b""


@pytest.mark.parametrize("data", [b"2\r\nbcde", b"2\r\nbcde1\r\nz\r\n", b"2\r\nbc\r\r"], ids=repr)
def test_it_is_refused_as_soon_as_that_is_seen_and_nothing_behind_it_is_read(data: bytes) -> None:
    decoder, body = ChunkDecoder(), []
    with pytest.raises(h11.RemoteProtocolError, match="does not end where its size says"):
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
    ("reads", "joined"),
    [
        ([HEAD + b"1\r\na\r\n1\r\nb\r\n"], [HEAD + b"2\r\nab\r\n"]),
        ([HEAD[:-1], HEAD[-1:] + b"1\r\na\r\n1\r\nb\r\n"], [HEAD[:-1], HEAD[-1:] + b"2\r\nab\r\n"]),
        (
            [EARLY[:-1], EARLY[-1:] + HEAD + b"1\r\na\r\n1\r\nb\r\n"],
            [EARLY[:-1], EARLY[-1:] + HEAD + b"2\r\nab\r\n"],
        ),
        ([HEAD[:9], HEAD[9:], b"1\r\na\r\n1\r\nb\r\n"], [HEAD[:9], HEAD[9:], b"2\r\nab\r\n"]),
        ([HEAD, b"1\r\na\r\n", b"1\r\nb\r\n"], [HEAD, b"1\r\na\r\n", b"1\r\nb\r\n"]),
        # The last chunk goes on in the next read.
        ([HEAD, b"1\r\na\r\n8\r\nbc", b"defghi\r\n1\r\nj\r\n"], [HEAD, b"9\r\nabc", b"defghi\r\n1\r\nj\r\n"]),
        ([HEAD, b"1\r\na\r\n1\r\nb", b"\r", b"\n1\r\nc\r\n"], [HEAD, b"2\r\nab", b"\r", b"\n1\r\nc\r\n"]),
        # A first line that is cut has been passed on, and its chunk cannot be joined to another.
        (
            [HEAD, b"1\r\na\r\n1\r\nb\r\n1", b"\r\nc\r\n1\r\nd\r\n1\r\ne\r\n"],
            [HEAD, b"2\r\nab\r\n1", b"\r\nc\r\n2\r\nde\r\n"],
        ),
        # What is not plain passes, and everything after it.
        (
            [HEAD, b"1\r\na\r\n1\r\nb\r\n1;x\r\nc\r\n1\r\nd\r\n1\r\ne\r\n"],
            [HEAD, b"2\r\nab\r\n1;x\r\nc\r\n1\r\nd\r\n1\r\ne\r\n"],
        ),
        ([HEAD, b"1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\n\r\n"], [HEAD, b"2\r\nab\r\n0\r\nX: y\r\n\r\n"]),
        ([HEAD, b"1\r\na\r\n1\r\nbXX1\r\nc\r\n"], [HEAD, b"2\r\nabXX1\r\nc\r\n"]),
        ([b"HTTP/1.1 200 OK\r\n\r\n", b"1\r\na\r\n1\r\nb\r\n"], [b"HTTP/1.1 200 OK\r\n\r\n", b"1\r\na\r\n1\r\nb\r\n"]),
        (
            [b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD, b"1\r\na\r\n1\r\nb\r\n"],
            [b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD, b"2\r\nab\r\n"],
        ),
    ],
)
def test_chunks_of_one_read_are_joined(reads: list[bytes], joined: list[bytes]) -> None:
    joiner = ChunkJoiner()
    assert [joiner.join(read) for read in reads] == joined
    assert joiner.join(b"") == b""


def test_the_joiner_is_told_of_the_next_response() -> None:
    joiner, chunks = ChunkJoiner(), b"1\r\na\r\n1\r\nb\r\n"
    assert joiner.join(HEAD + chunks + b"0\r\n\r\n") == HEAD + b"2\r\nab\r\n0\r\n\r\n"
    assert joiner.join(HEAD + chunks) == HEAD + chunks
    joiner.next_response()
    assert joiner.join(HEAD + chunks) == HEAD + b"2\r\nab\r\n"


@pytest.mark.parametrize("first", [b"x" * 1024, HEAD + b"x" * 1024])
def test_the_joiner_keeps_no_more_than_a_head(first: bytes) -> None:
    joiner = ChunkJoiner()
    for _ in range(100):
        joiner.join(first)
    assert len(joiner._head) <= 20 * 1024
    joiner.next_response()
    joiner.join(HEAD + b"x" * 10**6)
    assert not joiner._head
