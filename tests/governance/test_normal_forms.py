"""The normal form of a text: the same whole and in pieces, and each part of it comes from a known part of the text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_local.governance import _normal, normalized
from hestiaos_local.governance._characters import BLANK, BREAK, DROPPED, Kind, kind
from hestiaos_local.governance._mapping import UnitMap, blocks, last_unit
from tests.support.governed_texts import CUTS, TEXTS, pieces


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("as it is", "as it is"),
        ("ｒｍ －ｒｆ", "rm -rf"),
        ("r\u200bm\0 \xadx\ufe0f", "rm x"),
        ("a  b\t\tc\x0bd", "a b c d"),
        ("a \n\n b\r\nc\u2028d", "a\nb\nc\nd"),
        ("a\u3000 \xa0b", "a b"),
        ("r\\\nm \\\r\n  -rf", "rm -rf"),
        ("\\\\\n\n", "\\\n"),
        ("＼\nx", "x"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        ("e\\\n\u0301", "e\u0301"),
        ("\u1100\u1161\u11a8", "각"),
        ("\\x\\", "\\x\\"),
        ("X \\\n X", "X X"),
        ("X\\\nX", "XX"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert normalized(text) == normal
    assert normalized(f"\u2014{text}") == f"\u2014{normal}"  # not the way of ASCII


@pytest.mark.parametrize("white", ["  ", " \n", "\n ", "\n\n", "\t", "\r", "\r\n", " \n \n ", "\x0b\x0c"])
@pytest.mark.parametrize("first", ["X", "é"])
def test_white_space_of_each_kind_is_one(first: str, white: str) -> None:
    normal = "\n" if set(white) & {"\n", "\r"} else " "
    assert normalized(f"{first}{white}X{white}X") == f"{first}{normal}X{normal}X"


@pytest.mark.parametrize("first", ["a", "é"])
def test_each_character_of_ascii(first: str) -> None:
    for code in range(0x80):
        char = chr(code)
        normal = (
            "\n" if char in "\n\r" else " " if char in "\t\x0b\x0c " else char if code > 0x20 and code != 0x7F else ""
        )
        assert normalized(f"{first}{char}b") == f"{first}{normal}b", hex(code)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("é\U000e0041x", "éx"),
        ("é\U0001f600\U000e0041x", "é\U0001f600x"),
        ("é\U0001f600", "é\U0001f600"),
        ("é\ud800\U000e0041", "é\ud800"),
        ("é\ud800", "é\ud800"),
        ("ﬁ\U0001f600", "fi\U0001f600"),
    ],
)
def test_characters_beyond_ffff(text: str, normal: str) -> None:
    assert normalized(text) == normal


@given(TEXTS, CUTS)
def test_pieces_have_the_normal_form_of_the_whole(text: str, cuts: list[int]) -> None:
    """Each but for its last unit, with which the next one begins."""
    known, unit = "", ""
    for piece in filter(None, pieces(text, cuts)):
        unit += piece
        start, unchanged = last_unit(unit)
        known += unit[:start] if unchanged else normalized(unit[:start])
        unit = unit[start:]
    assert known + normalized(unit) == normalized(text) == "".join(block.norm for block in blocks(text))


@given(TEXTS, st.integers(0, 100), st.integers(1, 5))
def test_a_part_of_the_normal_form_comes_from_its_part_of_the_text(text: str, place: int, length: int) -> None:
    normal, units = normalized(text), UnitMap(text)
    start, end = place % (len(normal) + 1), min(len(normal), place % (len(normal) + 1) + length)
    if start == end:
        return
    raw = text[units.raw_start(start) : units.raw_end(end)]
    assert normal[start:end] in normalized(raw)
    assert units.norm_start(units.raw_start(start)) <= start


def test_a_long_text_is_normalised_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ab ｃｄ  e\u0301\\\n fg\u200bhi\r\n\r\nj中文字" * 20
    whole = normalized(text)
    monkeypatch.setattr(_normal, "_CHUNK", 7)
    assert normalized(text) == whole


@example(" \n\\\r\xa8")
@given(TEXTS | st.text("a \n\\\r\u0308\xa8\u200b", max_size=12))
def test_a_text_is_normalised_as_its_chunks_are(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_normal, "_CHUNK", 10_000)
        whole = normalized(text)
        for size in (1, 2, 3):
            patch.setattr(_normal, "_CHUNK", size)
            assert normalized(text) == whole


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("abcdefgh", ["abcd", "efgh"]),
        ("ABCDEFGHIJ", ["ABCD", "EFGH", "IJ"]),
        ("01234567", ["0123", "4567"]),
        ("中中中中中", ["中中中中", "中"]),
        ("ab  cd  e", ["ab  c", "d  e"]),
        ("Zz9中Zz9中Zz", ["Zz9中", "Zz9中", "Zz"]),
        ("a b c d e f", ["a b c d e f"]),
        ("a \n \n \nb", ["a \n ", "\n \nb"]),
    ],
)
def test_a_long_text_is_cut_between_two_letters(text: str, chunks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_normal, "_CHUNK", 3)
    assert list(_normal._chunks(text)) == chunks


def test_this_unicode_has_no_other_characters_to_drop_fold_or_compose() -> None:
    """The classes are written out; another version of Unicode may need more."""
    dropped, white = re.compile(f"[{DROPPED}]"), re.compile(f"[{BLANK}{BREAK}]")
    for code in [*range(0xD800), *range(0xE000, 0x110000)]:
        char = chr(code)
        decomposed = unicodedata.normalize("NFKD", char)
        assert dropped.match(char) or (unicodedata.category(char) != "Cf" and not dropped.search(decomposed)), hex(code)
        assert white.match(char) or dropped.match(char) or not char.isspace(), hex(code)
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and parts[0][0] != "<" and unicodedata.normalize("NFC", decomposed) == char:
            assert kind(chr(int(parts[1], 16))) is Kind.MARK, hex(code)
        assert not unicodedata.combining(decomposed[0]) or kind(char) in (Kind.MARK, Kind.DROPPED), hex(code)
