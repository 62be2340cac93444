"""Bytes to lines: line ends, the byte order mark, the line that has not ended, and the limit."""

from __future__ import annotations

import pytest

from hestiaos_proto import LocalProtocolError, RemoteProtocolError
from hestiaos_proto._lines import LineDecoder


def test_the_rest_is_what_has_no_end_yet() -> None:
    lines = LineDecoder()
    lines.receive_data(b"\xef\xbb\xbfa\nb\rc")
    assert list(lines.events()) == [b"a", b"b"]
    assert lines.rest == b"c"


def test_the_rest_of_a_first_line_has_no_bom(cuts) -> None:
    for pieces in cuts(b"\xef\xbb\xbfabc"):
        lines = LineDecoder()
        for piece in pieces:
            lines.receive_data(piece)
        assert lines.rest == b"abc"


def test_a_line_that_has_ended_is_not_a_part_of_the_rest() -> None:
    lines = LineDecoder()
    lines.receive_data(b"a\rb\rc")
    assert list(lines.events()) == [b"a", b"b"]
    assert lines.rest == b"c"


def test_a_bom_after_the_first_line_stays_in_the_rest() -> None:
    lines = LineDecoder()
    lines.receive_data(b"\n\xef\xbb\xbfabc")
    assert lines.rest == b"\xef\xbb\xbfabc"


@pytest.mark.parametrize("pieces", [[b"a\n"], [b"a\r\n"], [b"a\r", b"\n"], [b"a\r", b"b\n"]], ids=repr)
def test_a_line_end_in_a_piece_of_its_own_is_an_empty_line(pieces: list[bytes]) -> None:
    lines = LineDecoder()
    for piece in pieces:
        lines.receive_data(piece)
    before = list(lines.events())
    for end in (b"\n", b"\r", b"\n", b"\n", b"c\n"):
        lines.receive_data(end)
    assert list(lines.events()) == [b"", b"", b"", b"c"]
    assert before == b"".join(pieces).splitlines()


@pytest.mark.parametrize(
    ("wrong", "good"), [(b"678\n", []), (b"678", []), (b"a\n678\n", [b"a"]), (b"678\na\n", [])], ids=repr
)
def test_what_comes_after_a_line_that_is_too_long_is_not_looked_at(wrong: bytes, good: list[bytes]) -> None:
    lines = LineDecoder(2)
    lines.receive_data(b"1\n")
    lines.receive_data(wrong)
    lines.receive_data(b"b\n")
    before: list[bytes] = []
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="longer than 2 bytes"):
            before.extend(lines.events())
        lines.receive_data(b"c\n")
    assert before == [b"1", *good]


def test_nothing_comes_after_the_end() -> None:
    lines = LineDecoder()
    lines.receive_data(b"")
    for data in (b"x", b""):
        with pytest.raises(LocalProtocolError, match="after the end of the stream"):
            lines.receive_data(data)


@pytest.mark.parametrize("size", [2**24, 2**24 + 1], ids=["16 MiB", "a byte more"])
def test_the_default_limit_is_16_mib(size: int) -> None:
    lines = LineDecoder()
    lines.receive_data(bytes(size))
    if size > 2**24:
        with pytest.raises(RemoteProtocolError, match="longer than 16777216 bytes"):
            list(lines.events())
    assert lines.rest == (bytes(size) if size == 2**24 else b"")


def test_memory_is_bounded_while_a_line_does_not_end() -> None:
    lines = LineDecoder(1000)
    for _ in range(10_000):
        lines.receive_data(b"x" * 100)
    assert len(lines.rest) <= 1000
    with pytest.raises(RemoteProtocolError, match="longer than 1000 bytes"):
        list(lines.events())


def test_blocks_are_lines_that_came_together(cuts) -> None:
    data = b"\xef\xbb\xbfa\r\nb\n\rc\nd"
    for pieces in cuts(data):
        lines = LineDecoder()
        blocks = lines.blocks()
        found: list[bytes] = []
        for piece in pieces:
            lines.receive_data(piece)
            while (block := next(blocks)) is not None:
                found.append(block)
        lines.receive_data(b"")
        assert list(blocks) == []
        assert [line for block in found for line in block.splitlines()] == [b"a", b"b", b"", b"c"]
        assert lines.rest == b"d"


def test_blocks_go_up_to_a_line_that_is_too_long() -> None:
    lines = LineDecoder(3)
    lines.receive_data(b"a\r\nbcd\nefgh\ni\n")
    blocks = lines.blocks()
    assert next(blocks) == b"a\r\nbcd\n"
    with pytest.raises(RemoteProtocolError, match="longer than 3 bytes"):
        next(blocks)
    with pytest.raises(RemoteProtocolError, match="longer than 3 bytes"):
        list(lines.events())


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
@pytest.mark.parametrize("line", [b"a  ", b"XaX", b" X "], ids=repr)
def test_a_line_may_be_as_long_as_the_limit_whatever_it_ends_with(line: bytes, end: bytes) -> None:
    lines = LineDecoder(3)
    for piece in (line + end, b"b\n", line + end):
        lines.receive_data(piece)
    assert list(lines.events()) == [line, b"b", line]
    for each in (b" ", b"X"):
        longer = LineDecoder(3)
        longer.receive_data(b"1\n")
        longer.receive_data(line + each + end)
        found: list[bytes] = []
        with pytest.raises(RemoteProtocolError, match="longer than 3 bytes"):
            found.extend(longer.events())
        assert found == [b"1"]


def test_a_bom_does_not_count_for_the_first_line_and_does_for_any_other() -> None:
    bom = b"\xef\xbb\xbf"
    for data in (bom + b"abc", bom + b"abc\n"):
        lines = LineDecoder(3)
        lines.receive_data(data)
        assert [*lines.events(), lines.rest][0] == b"abc"
    for data in (b"\n" + bom, b"\n" + bom + b"\n"):  # as long as the limit by itself
        lines = LineDecoder(3)
        lines.receive_data(data)
        assert bom in [*lines.events(), lines.rest]
        lines.receive_data(b"x" if data.endswith(bom) else bom + b"x")
        with pytest.raises(RemoteProtocolError, match="longer than 3 bytes"):
            list(lines.events())


def test_a_bom_that_begins_a_later_block_stays() -> None:
    lines = LineDecoder()
    for piece in (b"a\n", b"b", b"\n", b"\xef\xbb\xbfc", b"\n"):
        lines.receive_data(piece)
    assert list(lines.events()) == [b"a", b"b", b"\xef\xbb\xbfc"]


def test_after_a_line_that_is_too_long_nothing_is_kept() -> None:
    lines = LineDecoder(3)
    lines.receive_data(b"abcd\nef")
    assert lines.rest == b""


def test_the_end_of_the_stream_ends_the_lines_and_leaves_the_rest() -> None:
    lines = LineDecoder()
    lines.receive_data(b"a\nb")
    lines.receive_data(b"")
    assert list(lines.events()) == [b"a"]
    assert list(lines.events()) == []
    assert (lines.rest, lines.closed) == (b"b", True)
