"""Which part of a text each part of its normal form comes from."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given

from hestiaos_local.governance import _mapping, normalized
from hestiaos_local.governance._characters import BLANK, BREAK, LETTERS, WHITE, Kind, compiled, form, kind
from hestiaos_local.governance._mapping import Block, UnitMap, blocks, is_plain, last_unit, shortened
from tests.support.governed_texts import TEXTS

Unit = tuple[str, int, int]

CASES: list[tuple[str, list[Unit]]] = [
    ("", []),
    ("ab c", [("a", 0, 1), ("b", 1, 2), (" ", 2, 3), ("c", 3, 4)]),
    ("a\u200bb\u0301c", [("a", 0, 2), ("b", 2, 4), ("\u0301", 2, 4), ("c", 4, 5)]),
    ("xe\u0301\xad", [("x", 0, 1), ("é", 1, 4)]),
    ("\xad\xada", [("a", 2, 3)]),
    ("\xad\u0301a", [("\u0301", 1, 2), ("a", 2, 3)]),
    ("ａ\ufb01b", [("a", 0, 1), ("f", 1, 2), ("i", 1, 2), ("b", 2, 3)]),
    ("a \t b", [("a", 0, 1), (" ", 1, 4), ("b", 4, 5)]),
    ("a\tb", [("a", 0, 1), (" ", 1, 2), ("b", 2, 3)]),
    ("a \n\u2028 b", [("a", 0, 1), ("\n", 1, 5), ("b", 5, 6)]),
    ("\r\nb", [("\n", 0, 2), ("b", 2, 3)]),
    ("\\\nab", [("a", 2, 3), ("b", 3, 4)]),
    ("a\\\nb", [("a", 0, 1), ("b", 3, 4)]),
    ("a\\\r\nb", [("a", 0, 1), ("b", 4, 5)]),
    ("a\\\n\nb", [("a", 0, 1), ("\n", 1, 4), ("b", 4, 5)]),
    ("a\\\r\r\nb", [("a", 0, 1), ("\n", 1, 5), ("b", 5, 6)]),
    ("a\\\r\xad\nb", [("a", 0, 1), ("b", 5, 6)]),
    ("a\\\r\n\nb", [("a", 0, 1), ("\n", 1, 5), ("b", 5, 6)]),
    ("a\\\r \nb", [("a", 0, 1), ("\n", 1, 5), ("b", 5, 6)]),
    ("a\\\r\\\nb", [("a", 0, 1), ("b", 5, 6)]),
    ("a\\\rb\nc", [("a", 0, 1), ("b", 3, 4), ("\n", 4, 5), ("c", 5, 6)]),
    ("a\\\r\rb", [("a", 0, 1), ("\n", 1, 4), ("b", 4, 5)]),
    ("a\\\r b", [("a", 0, 1), (" ", 1, 4), ("b", 4, 5)]),
    ("a\\ b", [("a", 0, 1), ("\\", 1, 2), (" ", 2, 3), ("b", 3, 4)]),
    ("a\\ \nb", [("a", 0, 1), ("\\", 1, 2), ("\n", 2, 4), ("b", 4, 5)]),
    ("a\\\t\\ b", [("a", 0, 1), ("\\", 1, 2), (" ", 2, 3), ("\\", 3, 4), (" ", 4, 5), ("b", 5, 6)]),
    ("\nb", [("\n", 0, 1), ("b", 1, 2)]),
    ("a \\\n  b", [("a", 0, 1), (" ", 1, 6), ("b", 6, 7)]),
    ("\\ab", [("\\", 0, 1), ("a", 1, 2), ("b", 2, 3)]),
    (" \\a", [(" ", 0, 1), ("\\", 1, 2), ("a", 2, 3)]),
    ("a\\", [("a", 0, 1), ("\\", 1, 2)]),
    ("a\\\\\nb", [("a", 0, 1), ("\\", 1, 2), ("b", 4, 5)]),
    ("\\\xadb", [("\\", 0, 2), ("b", 2, 3)]),
    ("a\\\u0338\nb", [("a", 0, 1), ("\\", 1, 3), ("\u0338", 1, 3), ("\n", 3, 4), ("b", 4, 5)]),
    ("＼b", [("\\", 0, 1), ("b", 1, 2)]),
    (" \u0301a", [(" ", 0, 1), ("\u0301", 1, 2), ("a", 2, 3)]),
    (" \xad \u0301a", [(" ", 0, 3), ("\u0301", 3, 4), ("a", 4, 5)]),
    ("e\\\n\u0301", [("e", 0, 1), ("\u0301", 3, 4)]),
    ("\u1100\u1161\u11a8a", [("각", 0, 3), ("a", 3, 4)]),
    ("abc\u0301d", [("a", 0, 1), ("b", 1, 2), ("ć", 2, 4), ("d", 4, 5)]),
    ("abc\xadd", [("a", 0, 1), ("b", 1, 2), ("c", 2, 4), ("d", 4, 5)]),
    ("中文 a\u0301", [("中", 0, 1), ("文", 1, 2), (" ", 2, 3), ("á", 3, 5)]),
]


@pytest.mark.parametrize(("text", "units"), CASES, ids=[ascii(text) for text, _ in CASES])
def test_units(text: str, units: list[Unit]) -> None:
    found, normal = UnitMap(text), normalized(text)
    assert normal == "".join(unit[0] for unit in units)
    assert found.length == len(units)
    places = range(len(units))
    assert [(normal[each], found.raw_start(each), found.raw_end(each + 1)) for each in places] == units
    assert found.raw_start(len(units)) == len(text)
    for raw in range(len(text) + 1):
        later = (place for place in places if units[place][1] >= raw)
        assert found.norm_start(raw) == next(later, len(units)), raw


@pytest.mark.parametrize(("text", "units"), CASES[1:], ids=[ascii(text) for text, _ in CASES[1:]])
def test_the_last_unit(text: str, units: list[Unit]) -> None:
    """What more text, whatever it is, does not change ends before it."""
    start, unchanged = last_unit(text)
    assert not unchanged or normalized(text[:start]) == text[:start]
    for more in ("a", " ", "\n", "\u0301", "\xad", "\\", "\r\n", "\\\n"):
        assert normalized(text[:start]) + normalized(text[start:] + more) == normalized(text + more), ascii(more)
    assert start == 0 or start in [unit[1] for unit in units] or normalized(text[start:]) == ""


@pytest.mark.parametrize(
    ("text", "start", "unchanged"),
    [
        ("a", 0, False),
        (" ", 0, False),
        ("ab", 1, True),
        ("a ", 1, True),
        (" a\n", 2, True),
        ("ab c", 3, True),
        ("a  b", 3, False),
        ("a  ", 1, False),
        ("a\u3000\u2009", 1, False),
        ("a\xad  ", 2, False),
        ("ab\u0301", 1, False),
        ("ab\xad", 1, False),
        ("a\u0301b\u0301\xad\u0301", 2, False),
        ("\xad\xad", 0, False),
        ("\xad\u0301", 1, False),
        ("\u0301\u0301", 0, False),
        (" \u0301", 1, False),
        (" \xad", 0, False),
        ("a \xad", 1, False),
        ("a\\", 1, False),
        ("a \\", 1, False),  # it may continue the line
        ("a \\\xad", 1, False),
        ("a \\\u0301", 2, False),
        ("a \\\\", 3, False),
        (" \\\n\\", 0, False),
        ("a\\\n \\\n", 1, False),
        ("a\\x", 2, False),
        ("a\\ ", 2, False),
        ("\\", 0, False),
        ("\\\xad", 0, False),
        ("a\x1c ", 2, False),
    ],
    ids=ascii,
)
def test_where_the_last_unit_begins(text: str, start: int, unchanged: bool) -> None:
    assert last_unit(text) == (start, unchanged)


@pytest.mark.parametrize(
    ("text", "start"),
    [("a😀", 1), ("😀", 0), ("😀e\u0301\xad", 1), ("a  ", 1), ("  ", 0), ("  b  ", 3), ("b\u3000\t", 1), ("\\x", 1)],
    ids=ascii,
)
def test_a_usual_last_unit_is_found_from_the_end(text: str, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_mapping, "_last_unit")
    assert last_unit(text) == (start, False)


def test_a_character_with_marks_is_a_block() -> None:
    assert list(blocks("abc\u0301d")) == [
        Block("ab", 0, 2, unchanged=True),
        Block("ć", 2, 4, unchanged=False),
        Block("d", 4, 5, unchanged=True),
    ]


def test_the_last_unit_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mapping, "_AT_ONCE", 4)
    assert [last_unit("abcdefgh"[:size]) for size in (3, 4, 5)] == [(2, True), (3, True), (4, False)]
    assert list(blocks("abcde fgh  i")) == [
        Block("abcd", 0, 4, unchanged=True),
        Block("e fg", 4, 8, unchanged=True),
        Block("h", 8, 9, unchanged=True),
        Block(" ", 9, 11, unchanged=False),
        Block("i", 11, 12, unchanged=True),
    ]


@pytest.mark.parametrize(
    ("unit", "short"),
    [
        ("b", "b"),
        ("b\xad\xad", "b"),
        ("b\u0301\xad", "a"),
        ("\\\u0338", "a"),
        ("\u0301\u0301", "a"),
        ("\xad\xad", "\xad"),
        ("  \n\xad", " "),
        ("\t", " "),
        ("\\\n", " "),
        (" \\", " \\"),
        (" \n \\\xad", " \\\xad"),
        ("\\\xad", "\\\xad"),
    ],
    ids=ascii,
)
def test_what_is_as_good_as_a_unit(unit: str, short: str) -> None:
    assert shortened(unit) == short


@given(TEXTS, TEXTS)
@example(" \\", "\n")
@example("\xad", "\u0301")
def test_more_text_goes_on_from_a_shortened_unit_as_from_the_unit(text: str, more: str) -> None:
    if text and more:
        unit = text[last_unit(text)[0] :]
        short = shortened(unit)
        start, short_start = last_unit(unit + more)[0], last_unit(short + more)[0]
        assert start == (short_start + len(unit) - len(short) if short_start else 0)


@pytest.mark.parametrize("text", ["ab c", "word\nword", "中文 a", "über", "a, b"])
def test_a_text_that_is_its_own_normal_form_is_one_block(text: str) -> None:
    assert list(blocks(text)) == [Block(text, 0, len(text), unchanged=True)]
    assert is_plain(text)


def test_what_is_plain() -> None:
    assert is_plain("ａb c", 1)
    for text in ("ａb c", " b", "b  c", "b ", "b\\", "b\xad", ""):
        assert not is_plain(text)


def test_plain_characters_stand_alone() -> None:
    """None is changed, put in another order, or composed with what stands before it."""
    composed = set()
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            composed.add(chr(int(parts[1], 16)))
    plain = compiled(f"[{LETTERS}]")
    for code in range(0x110000):
        char = chr(code)
        if not 0xD800 <= code < 0xE000 and plain.match(char):
            assert (form(char), kind(char), unicodedata.combining(char)) == (char, Kind.OTHER, 0), hex(code)
            assert char not in composed, hex(code)
            assert not 0x1100 <= code < 0x1200, "a part of a syllable of Hangul"


def test_white_space_is_spelled_out() -> None:
    everything = "".join(map(chr, range(0x110000)))
    assert "".join(compiled(f"[{BLANK}{BREAK}]").findall(everything)) == WHITE
