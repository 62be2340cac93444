"""Content codings, undone piece by piece however the body is cut, damaged or blown up."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from hestiaos_proto import RemoteProtocolError
from hestiaos_proto._content_codings import ACCEPT_ENCODING, ContentDecoder

TEXT = '{"result": "é😀"}'.encode() * 3


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


CODED = {
    "gzip": ("gzip", gzip.compress(TEXT, mtime=0)),
    "x-gzip": ("x-gzip", gzip.compress(TEXT, mtime=0)),
    "gzip in capitals": (" GZip ", gzip.compress(TEXT, mtime=0)),
    "deflate, in the zlib format": ("deflate", zlib.compress(TEXT)),
    "deflate, raw as some servers send it": ("deflate", raw_deflate(TEXT)),
    "gzip of two members": ("gzip", gzip.compress(TEXT[:20], mtime=0) + gzip.compress(TEXT[20:], mtime=0)),
    "gzip with an empty member": ("gzip", gzip.compress(b"", mtime=0) + gzip.compress(TEXT, mtime=0)),
    "identity": ("identity", TEXT),
    "none": ("", TEXT),
}
coded = pytest.mark.parametrize(("coding", "body"), CODED.values(), ids=CODED)
compressed = pytest.mark.parametrize(("coding", "body"), list(CODED.values())[:-2], ids=list(CODED)[:-2])


def decode_all(decoder: ContentDecoder, pieces: Iterable[bytes]) -> bytes:
    return b"".join(out for piece in pieces for out in decoder.decode(piece))


def decode(coding: str, pieces: Iterable[bytes]) -> bytes:
    return decode_all(ContentDecoder(coding), [*pieces, b""])


@coded
def test_every_cut(cuts, coding: str, body: bytes) -> None:
    for pieces in cuts(body):
        assert decode(coding, pieces) == TEXT


@coded
def test_the_end_is_handed_on_once_and_nothing_empty_before_it(coding: str, body: bytes) -> None:
    decoder = ContentDecoder(coding)
    before = [out for i in range(len(body)) for out in decoder.decode(body[i : i + 1])]
    assert all(before)
    assert list(decoder.decode(b"")) == [b""]


@coded
def test_no_body_at_all(coding: str, body: bytes) -> None:
    assert decode(coding, []) == b""


@compressed
def test_cut_short_at_every_place(coding: str, body: bytes) -> None:
    ends = {len(gzip.compress(part, mtime=0)) for part in (b"", TEXT[:20])} if body[:2] == b"\x1f\x8b" else set()
    for cut in range(1, len(body)):
        if cut in ends and gzip_member_ends(body[:cut]):
            continue  # between two members
        with pytest.raises(RemoteProtocolError, match="ends inside its compressed data"):
            decode(coding, [body[:cut]])


def gzip_member_ends(data: bytes) -> bool:
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    member.decompress(data)
    return member.eof


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", zlib.compress(TEXT)),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        ("gzip", gzip.compress(TEXT) + b"garbage"),
        ("deflate", b"\x78\x9c" + b"\xff" * 20),
        ("deflate", zlib.compress(TEXT)[:-4] + b"\0" * 4),
        ("deflate", b"\xff" * 20),
        ("deflate", gzip.compress(TEXT)),
    ],
    ids=[
        "text as gzip",
        "zlib as gzip",
        "gzip checksum",
        "after the last member",
        "zlib data",
        "zlib checksum",
        "raw data",
        "gzip as deflate",
    ],
)
def test_damaged_data(coding: str, body: bytes) -> None:
    for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
        with pytest.raises(RemoteProtocolError, match="compressed body is damaged"):
            decode(coding, pieces)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "aws-chunked"])
def test_a_coding_that_was_not_asked_for_is_named(coding: str) -> None:
    assert coding not in ACCEPT_ENCODING.split(", ")
    with pytest.raises(RemoteProtocolError) as caught:
        decode(coding, [b"data"])
    assert repr(coding) in str(caught.value)


@pytest.mark.parametrize("coding", ACCEPT_ENCODING.split(", "))
def test_what_is_asked_for_is_undone(coding: str) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    assert decode(coding, [compress(TEXT)]) == TEXT


def bomb(wbits: int, mebibytes: int) -> bytes:
    """So many MiB of zeros, in about a thousandth of that."""
    packer, zeros = zlib.compressobj(wbits=wbits), bytes(1024 * 1024)
    return b"".join([*(packer.compress(zeros) for _ in range(mebibytes)), packer.flush()])


@pytest.mark.parametrize(
    ("coding", "wbits"),
    [("gzip", 16 + zlib.MAX_WBITS), ("deflate", zlib.MAX_WBITS), ("deflate", -zlib.MAX_WBITS)],
    ids=["gzip", "zlib", "raw"],
)
def test_a_bomb_comes_out_in_small_pieces_of_which_none_is_made_before_it_is_asked_for(coding: str, wbits: int) -> None:
    data = bomb(wbits, 64)
    tracemalloc.start()
    try:
        pieces = [len(piece) for piece, _ in zip(ContentDecoder(coding).decode(data), range(100), strict=False)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pieces) == 100
    assert max(pieces) <= 64 * 1024
    assert peak < 4 * len(data) + 1024 * 1024


def test_no_piece_is_over_64_kib_and_a_full_one_is_not_the_last() -> None:
    for size in (64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 3 * 64 * 1024):
        pieces = list(ContentDecoder("gzip").decode(gzip.compress(bytes(size))))
        assert sum(map(len, pieces)) == size
        assert max(map(len, pieces)) <= 64 * 1024


def test_nothing_that_can_be_had_is_held_back_at_the_end_of_a_full_piece() -> None:
    """zlib may have taken all input and still owe output, which must come even where the input comes byte by byte."""
    body = gzip.compress(bytes(64 * 1024 + 200), mtime=0)
    for cut in range(1, len(body)):
        unlimited = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body[:cut])
        assert b"".join(ContentDecoder("gzip").decode(body[:cut])) == unlimited


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("step", [1, 1000], ids=["byte by byte", "whole"])
def test_what_came_before_the_fault_is_handed_out(coding: str, step: int) -> None:
    body = gzip.compress(TEXT, mtime=0)[:-8] + bytes(8) if coding == "gzip" else zlib.compress(TEXT)[:-4] + bytes(4)
    decoder = ContentDecoder(coding)
    out: list[bytes] = []
    with pytest.raises(RemoteProtocolError, match="body is damaged"):
        out.extend(x for place in range(0, len(body), step) for x in decoder.decode(body[place : place + step]))
    assert b"".join(out) == TEXT


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (raw_deflate(b""), b""),  # two bytes
        (b"\x08\x03\x00\xfc\xffabc\x01\x00\x00\xff\xff", b"abc"),  # its first byte might begin the zlib format
    ],
    ids=["empty", "stored"],
)
def test_deflate_that_is_as_short_as_can_be_or_looks_like_the_zlib_format(cuts, body: bytes, text: bytes) -> None:
    for pieces in cuts(body):
        assert decode("deflate", pieces) == text


LONG = b"".join(b"%d of many; " % number for number in range(20_000))


def decoded_until_the_fault(decoder: ContentDecoder, pieces: Iterable[bytes]) -> bytes:
    """What comes out of damaged data before it is refused."""
    out: list[bytes] = []
    with pytest.raises(RemoteProtocolError, match="body is damaged"):
        out.extend(piece for data in pieces for piece in decoder.decode(data))
    return b"".join(out)


@pytest.mark.parametrize("size", [1, 3000, 30_000, len(LONG)])
@pytest.mark.parametrize("step", [1, 100, 4096, 10**6])
def test_what_came_before_a_fault_far_inside_is_handed_out_once(size: int, step: int) -> None:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    good = packer.compress(LONG[:size]) + packer.flush(zlib.Z_SYNC_FLUSH)
    body = good + b"\x07" * 3000  # no such type of block
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    assert decoded_until_the_fault(ContentDecoder("gzip"), pieces) == LONG[:size]


class TestCost:
    """What a byte costs is bounded: counted is what zlib is given, and how often its state is made or copied."""

    GZIP_HEAD = b"\x1f\x8b\x08\x00\0\0\0\0\0\xff"
    FLUSH = b"\0\0\0\xff\xff"  # a stored block that is empty: what Z_SYNC_FLUSH writes

    @pytest.mark.parametrize(
        ("data", "coding"),
        [
            (gzip.compress(b"", mtime=0) * 10_000, "gzip"),
            (GZIP_HEAD + FLUSH * 40_000, "gzip"),
            (b"\x78\x9c" + FLUSH * 40_000, "deflate"),
            (FLUSH * 40_000, "deflate"),
            (GZIP_HEAD[:3] + b"\x08" + GZIP_HEAD[4:] + b"x" * 200_000, "gzip"),
        ],
        ids=["empty members", "empty blocks", "empty blocks, zlib", "empty blocks, raw", "a name without end"],
    )
    @pytest.mark.parametrize("step", [100, 65536, 10**6])
    def test_data_that_stands_for_nothing_ends_in_an_error(self, data: bytes, coding: str, step: int) -> None:
        decoder = ContentDecoder(coding)
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        for piece in pieces[: 131_072 // step]:
            assert list(decoder.decode(piece)) == []
        with pytest.raises(
            RemoteProtocolError, match="more than 131072 bytes of the response's body decode to nothing"
        ):
            decode_all(decoder, pieces[131_072 // step : 200_000 // step + 1])

    def test_a_member_with_output_restarts_the_count(self) -> None:
        empty, member = gzip.compress(b"", mtime=0), gzip.compress(b"a", mtime=0)
        data = (empty * 6000 + member) * 3
        assert decode("gzip", [data]) == b"aaa"
        assert decode("gzip", [data[start : start + 50] for start in range(0, len(data), 50)]) == b"aaa"

    @pytest.mark.parametrize("step", [1, 1000, 10**7])
    @pytest.mark.parametrize(
        "data",
        [
            gzip.compress(b"a", mtime=0) * 3000,
            (gzip.compress(b"", mtime=0) * 100 + gzip.compress(b"a", mtime=0)) * 30,
            gzip.compress(LONG, mtime=0),
            bomb(16 + zlib.MAX_WBITS, 64),
        ],
        ids=["a byte a member", "mostly empty members", "text", "a bomb"],
    )
    def test_zlib_is_given_each_byte_a_few_times(self, monkeypatch: pytest.MonkeyPatch, data: bytes, step: int) -> None:
        given = copies = 0
        made = zlib.decompressobj

        class Counting:
            def __init__(self, inflater: Any) -> None:
                self._inflater = inflater

            def __getattr__(self, name: str) -> Any:
                return getattr(self._inflater, name)

            def decompress(self, data: bytes, most: int) -> bytes:
                nonlocal given
                given += len(data)
                return self._inflater.decompress(data, most)

            def copy(self) -> Counting:
                nonlocal copies
                copies += 1
                return Counting(self._inflater.copy())

        monkeypatch.setattr(zlib, "decompressobj", lambda wbits: Counting(made(wbits)))
        decoder, out = ContentDecoder("gzip"), 0
        for start in range(0, len(data), step):
            out += sum(map(len, decoder.decode(data[start : start + step])))
        # A member that begins takes 256 bytes at most that are another's; each full piece leaves 16 KiB at most.
        members = data.count(self.GZIP_HEAD[:4])
        assert given <= 2 * len(data) + 256 * members + out / 4
        assert copies <= len(data) / 4096

    def test_what_has_been_undone_is_not_kept(self) -> None:
        data = gzip.compress(bytes(hashlib.sha256(b"%d" % number).digest()[0] for number in range(200_000)), mtime=0)
        decoder = ContentDecoder("gzip")
        tracemalloc.start()
        try:
            for start in range(0, len(data), 1000):
                for _ in decoder.decode(data[start : start + 1000]):
                    pass
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < len(data) / 2
