"""RE2 and `re` find the same, and what a match begins with is found at a text's end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance._engines import END
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._syntax import longest, parse, shortest
from tests.support.governed_texts import TEXTS
from tests.support.re2_patterns import PATTERNS

RE2, RE = Re2Engine(), ReEngine()


@given(
    PATTERNS.filter(lambda pattern: shortest(parse(pattern)) > 0),  # RE2 finds \B inside of a character, too
    TEXTS | st.text("abcermk- \n", max_size=12),
    st.integers(0, 6),
)
def test_both_engines_find_the_same(pattern: str, text: str, start: int) -> None:
    start = min(start, len(text))
    assert RE2.compile([pattern]).search(text, start) == RE.compile([pattern]).search(text, start)


@given(
    PATTERNS.filter(lambda pattern: shortest(parse(pattern)) > 0),
    TEXTS | st.text("abcermk- \n", max_size=30),
    st.integers(0, 6),
)
def test_all_matches_are_those_of_one_search_after_the_other(pattern: str, text: str, start: int) -> None:
    start = min(start, len(text))
    for engine in (RE2, RE):
        searcher = engine.compile([pattern])
        found, place = [], start
        while (span := searcher.search(text, place)) is not None:
            found.append(span)
            place = span[1]
        assert list(searcher.search_all(text, start)) == found


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.text("abcermk- \n", max_size=12))
def test_one_search_finds_the_first_of_several(patterns: list[str], text: str) -> None:
    found = [span for each in patterns if (span := RE2.compile([each]).search(text)) is not None]
    together = RE2.compile(patterns).search(text)
    assert (None if together is None else together[0]) == min((start for start, _ in found), default=None)


@given(PATTERNS, st.text("abcermk- \n", max_size=10), st.text("abcermk- \n", max_size=10))
def test_a_match_over_a_texts_end_begins_in_what_may_become_one(pattern: str, text: str, more: str) -> None:
    """Wherever a match begins that more text makes or changes, the text's end from there on is held."""
    held = [engine.compile_beginnings([pattern]).search(text) for engine in (RE2, RE)]
    assert held[0] == held[1] is not None
    searcher = RE2.compile([pattern])
    before, after = searcher.search(text), searcher.search(text + more)
    if before != after:
        firsts = [span[0] for span in (before, after) if span is not None]
        assert min(firsts) >= held[0][0]


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.text("abcermk- \n", max_size=12), st.integers(0, 6))
def test_the_first_place_is_that_of_a_match_or_of_what_may_become_one(
    patterns: list[str], text: str, start: int
) -> None:
    start = min(start, len(text))
    for engine in (RE2, RE):
        first = engine.compile_first(patterns).search(text + END, start)
        spans = [search(patterns).search(text, start) for search in (engine.compile, engine.compile_beginnings)]
        place = min(span[0] for span in spans if span is not None)
        assert (len(text) if first is None else first[0]) == place
        if first is not None and first[1] > len(text):  # it says which of both it is
            assert spans[1] == (place, len(text))


@pytest.mark.parametrize(
    ("pattern", "span"),
    [
        ("abc", (2, 5)),  # with the end, where more text could make a match
        (r"\babc", (2, 5)),
        ("(?i)(?:ab){1,3}c", (2, 5)),
        ("[ab]{3,4}", (2, 5)),
        ("[ab]{2,3}", (2, 4)),
        ("a", (2, 3)),
        ("a|bc", (2, 3)),
    ],
)
def test_a_match_or_a_beginning_of_one_is_found_first_and_in_other_texts_nothing(
    pattern: str, span: tuple[int, int]
) -> None:
    for engine in (RE2, RE):
        assert engine.compile_first([pattern]).search(f"x y{END}") is None
        assert engine.compile_first([pattern]).search(f"x ab{END}", 2) == span


@given(PATTERNS, st.text("abcermk- \n", max_size=12))
def test_a_match_is_as_long_as_is_said(pattern: str, text: str) -> None:
    span = RE2.compile([pattern]).search(text)
    if span is not None:
        assert shortest(parse(pattern)) <= span[1] - span[0] <= longest(parse(pattern))


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("", 0, 0),
        ("abc", 3, 3),
        ("a|bcd|", 0, 3),
        (r"\bkey=\w{4,20}\b", 8, 24),
        ("(?i)a(?:b|cd)+e", 3, float("inf")),
        ("a*", 0, float("inf")),
        (r"(?:\b)*", 0, 0),
        ("a{3}", 3, 3),
        ("a{2,}", 2, float("inf")),
        ("a{,2}", 5, 5),
        (r"\Qa+b\E+", 3, float("inf")),
        (r"[]a\]\[:alpha:]", 1, 1),
        (r"[[:alpha:]]\pL\p{Greek}\x{10FFFF}\x41\101", 6, 6),
        ("(?P<name>a)(?<other>b)(c)", 3, 3),
        ("(?s).", 1, 1),
        ("é😀", 2, 2),
    ],
)
def test_lengths(pattern: str, least: int, most: float) -> None:
    RE2.compile([pattern])
    assert (shortest(parse(pattern)), longest(parse(pattern))) == (least, most)


@pytest.mark.parametrize("pattern", ["(", ")", "a)", "*", "(?<=a)b", r"(a)\1", "a++", "[a", r"\pX", "a{2000}", "(?x)a"])
def test_what_re2_refuses(pattern: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        RE2.compile([pattern])


@pytest.mark.parametrize(
    ("pattern", "message"), [("(a", "unclosed"), ("a)", "unmatched"), ("*a", "repeat"), (r"\C", "byte")]
)
def test_what_cannot_be_read(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("FORMAT|WIPE", "wipe", True), ("FORMAT|WIPE", "WIPER", False), ("FORMAT|WIPE", "unwipe", False), ("", "", True)],
)
def test_a_whole_text_without_regard_to_case(pattern: str, text: str, matches: bool) -> None:
    for engine in (RE2, RE):
        assert (engine.compile_whole(pattern).search(text) is not None) == matches


def test_surrogates_are_characters_that_no_pattern_names() -> None:
    assert RE2.compile(["a.b"]).search("x\ud800a\ud800b") == (2, 5)


def test_classes_that_only_re2_has() -> None:
    for pattern in (r"\pL", "[[:alpha:]]"):
        with pytest.raises(ValueError, match="needs RE2"):
            RE.compile([pattern])
