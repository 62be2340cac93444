"""The loop over plain chunks (RFC 9112, section 7.1): whole, byte by byte and cut at every place."""

from __future__ import annotations

import h11
import pytest

from hestiaos_proto.connection.chunks import ChunkDecoder


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
        (b"0000000000000001\r\na\r\n", b"a", None),
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
        (b"00000000000000001\r\na\r\n", b"", b"00000000000000001\r\na\r\n"),
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
    assert decoder._kept == b""


@pytest.mark.parametrize("data", [b"2\r\nbcde", b"2\r\nbcde1\r\nz\r\n", b"2\r\nbc\r\r"], ids=repr)
def test_it_is_refused_as_soon_as_that_is_seen_and_nothing_behind_it_is_read(data: bytes) -> None:
    decoder, body = ChunkDecoder(), []
    with pytest.raises(h11.RemoteProtocolError, match="does not end where its size says"):
        body.extend(decoder.decode(data))
    assert body == [b"bc"]


def test_a_first_line_is_waited_for_as_long_as_it_can_be_a_plain_one() -> None:
    decoder = ChunkDecoder()
    assert list(decoder.decode(b"0" * 17)) == []
    assert decoder.rest is None
    assert list(decoder.decode(b"0")) == []
    assert decoder.rest == b"0" * 18
