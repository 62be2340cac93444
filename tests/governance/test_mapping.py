"""Which part of a text each part of its normal form comes from."""

from __future__ import annotations

import unicodedata

import pytest

from hestiaos_local.governance._mapping import _PLAIN, StreamNormalizer, _compiled

Unit = tuple[str, int, int]

CASES: list[tuple[str, list[Unit]]] = [
    ("", []),
    ("ab c", [("a", 0, 1), ("b", 1, 2), (" ", 2, 3), ("c", 3, 4)]),
    ("a\u200bb\u0301c", [("a", 0, 2), ("b", 2, 4), ("\u0301", 2, 4), ("c", 4, 5)]),
    ("xe\u0301\xad", [("x", 0, 1), ("é", 1, 4)]),
    ("\xad\xada", [("a", 2, 3)]),
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
    ("e\\\n\u0301", [("e", 0, 1), ("\u0301", 3, 4)]),
    ("\u1100\u1161\u11a8a", [("각", 0, 3), ("a", 3, 4)]),
    ("abc\u0301d", [("a", 0, 1), ("b", 1, 2), ("ć", 2, 4), ("d", 4, 5)]),
    ("中文 a\u0301", [("中", 0, 1), ("文", 1, 2), (" ", 2, 3), ("á", 3, 5)]),
]


def normalized_in(pieces: list[str]) -> tuple[StreamNormalizer, str]:
    normalizer = StreamNormalizer()
    return normalizer, "".join(map(normalizer.receive_text, pieces)) + normalizer.end()


@pytest.mark.parametrize(("text", "units"), CASES, ids=[ascii(text) for text, _ in CASES])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_units(text: str, units: list[Unit], size: int) -> None:
    normalizer, normal = normalized_in([text[place : place + size] for place in range(0, len(text), size)])
    places = range(len(units))
    found = [(normal[each], normalizer.raw_start(each), normalizer.raw_end(each + 1)) for each in places]
    assert (normal, found) == ("".join(unit[0] for unit in units), units)
    assert normalizer.raw_start(len(units)) == len(text)
    for raw in range(len(text) + 1):
        later = (place for place in places if units[place][1] >= raw)
        assert normalizer.norm_start(raw) == next(later, len(units)), raw
    for place in places:
        changed = [each for each in units[max(0, place - 1) :] if text[each[1] : each[2]] != each[0]]
        together = units[-1][1] - units[max(0, place - 1)][1] == len(units) - 1 - max(0, place - 1)
        assert not normalizer.is_unchanged_from(place) or (together and not changed), place
    for place in places:
        normalizer.forget(place)
        assert [(normal[e], normalizer.raw_start(e), normalizer.raw_end(e + 1)) for e in places[place:]] == units[
            place:
        ]


@pytest.mark.parametrize("text", ["ab c", "word\nword", "中文 a", "über", "a, b"])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_text_that_is_its_own_normal_form_is_one_block(text: str, size: int) -> None:
    normalizer, _ = normalized_in([text[place : place + size] for place in range(0, len(text), size)])
    assert all(normalizer.is_unchanged_from(place) for place in range(len(text)))
    assert len(normalizer._norms) == 1


def test_from_where_a_text_is_unchanged() -> None:
    normalizer, _ = normalized_in(["a  bc"])
    assert [normalizer.is_unchanged_from(place) for place in range(5)] == [False, False, False, True, True]
    assert not StreamNormalizer().is_unchanged_from(0)


def test_what_is_known_ends_before_the_last_unit() -> None:
    normalizer = StreamNormalizer()
    assert normalizer.receive_text("ab") == "a"
    assert (normalizer.length, normalizer.raw_start(1)) == (1, 1)
    assert normalizer.receive_text(" ") == "b"
    assert normalizer.receive_text(" ") == ""
    assert normalizer.receive_text("\\") == ""
    assert normalizer.receive_text("c") == " \\"
    assert normalizer.end() == "c"
    assert normalizer.length == 5


def test_blocks_that_are_over_are_forgotten() -> None:
    normalizer, _ = normalized_in(["ａａａａ"])
    assert len(normalizer._norms) == 4
    normalizer.forget(2)
    assert (normalizer._norms, normalizer._raws, normalizer._ends) == ([2, 3], [2, 3], [3, 4])


def test_plain_characters_stand_alone() -> None:
    """None is changed, put in another order, or composed with what stands before it."""
    composed = set()
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<":
            composed.add(chr(int(parts[1], 16)))
    plain = _compiled(_PLAIN)
    for code in range(0x110000):
        char = chr(code)
        if not 0xD800 <= code < 0xE000 and plain.match(char):
            _, normal = normalized_in([char])
            assert (normal, unicodedata.combining(char)) == (char, 0), hex(code)
            assert char not in composed, hex(code)
            assert not 0x1100 <= code < 0x1200, "a part of a syllable of Hangul"
