"""The searchers of both engines: where they begin, what they find in other than ASCII, and what is not a pattern."""

from __future__ import annotations

import re
import sys

import pytest

from hestiaos_local.governance import _re_engine
from hestiaos_local.governance._engines import INSTALL, Engine, re2_engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine, WholeSearcher, WindowedSearcher

ENGINES: list[Engine] = [Re2Engine(), ReEngine()]
by_both = pytest.mark.parametrize("engine", ENGINES, ids=["re2", "re"])


@by_both
@pytest.mark.parametrize(
    ("text", "start", "span"),
    [
        ("xab", 0, (1, 3)),
        ("abab", 1, (2, 4)),
        ("abab", 2, (2, 4)),
        ("abab", 3, None),
        ("éabab", 0, (1, 3)),
        ("éabab", 1, (1, 3)),
        ("éabab", 2, (3, 5)),
        ("😀éab", 1, (2, 4)),
        ("éx", 0, None),
        ("\ud800ab", 1, (1, 3)),
        ("", 0, None),
    ],
)
def test_where_the_first_match_is(engine: Engine, text: str, start: int, span: tuple[int, int] | None) -> None:
    assert engine.compile(["ab"]).search(text, start) == span
    assert engine.compile(["zz", "ab"]).search(text, start) == span
    if start == 0:
        assert engine.compile(["ab"]).search(text) == span


@by_both
def test_a_match_of_other_than_ascii(engine: Engine) -> None:
    assert engine.compile(["é.😀"]).search("xé😀😀y") == (1, 4)
    assert engine.compile(["a|é", "b"]).search("öéb") == (1, 2)  # each is a pattern by itself
    assert engine.compile(["é|b", "c"]).search("öc") == (1, 2)
    assert engine.compile(["a|b"]).search("b") == (0, 1)


@by_both
def test_all_matches(engine: Engine) -> None:
    searcher = engine.compile(["ab", "é"])
    assert list(searcher.search_all("abxab")) == [(0, 2), (3, 5)]
    assert list(searcher.search_all("abxéab", 1)) == [(3, 4), (4, 6)]
    assert list(searcher.search_all("x")) == []


@by_both
def test_what_stands_before_the_start_is_seen(engine: Engine) -> None:
    assert engine.compile([r"\bab"]).search("xab", 1) is None
    assert engine.compile([r"\bab"]).search(" ab", 1) == (1, 3)
    assert engine.compile(["^ab"]).search("xab", 1) is None


@by_both
def test_a_whole_text(engine: Engine) -> None:
    whole = engine.compile_whole("ab|cd")
    assert [whole.search(text) for text in ("AB", "cD", "abx", "xcd", "abcd", "ab\n")] == [
        (0, 2),
        (0, 2),
        None,
        None,
        None,
        None,
    ]


@by_both
@pytest.mark.parametrize("pattern", ["a)(?:b", "(", "a)|(b", "*"])
def test_what_is_not_a_pattern_by_itself(engine: Engine, pattern: str) -> None:
    for compile_it in (engine.check, engine.compile_whole, lambda each: engine.compile([each])):
        with pytest.raises(ValueError, match=r"\w"):
            compile_it(pattern)
    engine.check("a(?:b)")


def test_the_message_for_what_re2_refuses_is_its_own() -> None:
    with pytest.raises(ValueError, match=r"^missing \): \(é$"):
        ENGINES[0].check("(é")


def test_re2_writes_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="missing"):
        Re2Engine().check("(never seen before")
    assert capfd.readouterr() == ("", "")


def test_how_re2_is_installed() -> None:
    assert INSTALL == "pip install 'hestiaos[platform]'"


def test_what_re_refuses() -> None:
    with pytest.raises(ValueError, match="repeat"):
        ENGINES[1].compile(["a{5,2}"])


@by_both
def test_the_longest_piece_that_may_become_a_match(engine: Engine) -> None:
    searcher = engine.compile_beginnings(["abc", "b{1,3}d"])
    for text, span in (
        ("xab", (1, 3)),
        ("xbb", (1, 3)),
        ("xabc", (4, 4)),
        ("x", (1, 1)),
        ("", (0, 0)),
        ("éab", (1, 3)),
    ):
        assert searcher.search(text) == span


def test_one_search_for_many_patterns_is_faster_with_re2_alone() -> None:
    """Which a policy goes by."""
    assert [engine.joins for engine in ENGINES] == [True, False]


def test_re2_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re2_engine() is re2_engine() is not None
    monkeypatch.setitem(sys.modules, "re2", None)
    re2_engine.cache_clear()
    assert re2_engine() is None
    monkeypatch.undo()
    re2_engine.cache_clear()
    assert isinstance(re2_engine(), Re2Engine)


@pytest.mark.parametrize("flags", ["", "(?x)", "(?i)", "(?s)", "(?imsx)"])
@pytest.mark.parametrize("place", [0, 1, 6, 7, 8, 13, 20])
def test_a_long_text_is_searched_in_windows(flags: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_re_engine, "_WINDOW", 7)
    _re_engine._windowed.cache_clear()
    searcher = WindowedSearcher(re.compile(f"{flags}ab|c  # x" if "x" in flags else f"{flags}ab|c"))
    text = "\n" * place + "ab" + "\n" * 10 + "c"
    assert searcher.search(text) == (place, place + 2)
    assert searcher.search(text, place) == (place, place + 2)
    assert searcher.search(text, place + 1) == (place + 12, place + 13)
    assert searcher.search("\n" * 30) is None
    assert searcher.search("\n" * 30 + "c") == (30, 31)
    assert searcher.search("\n" * 3 + "c", 1) == (3, 4)
    _re_engine._windowed.cache_clear()


def test_a_window_is_tried_where_a_search_is_long_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of a window's length is searched at once; from there on `re` is asked at every window."""
    monkeypatch.setattr(_re_engine, "_WINDOW", 7)
    _re_engine._windowed.cache_clear()
    searcher = WindowedSearcher(re.compile("z"))
    assert searcher.search("x" * 7) is None
    assert searcher.search("x" * 9, 2) is None
    assert _re_engine._windowed.cache_info().misses == 0
    assert searcher.search("x" * 8) is None
    assert _re_engine._windowed.cache_info().misses == 1
    _re_engine._windowed.cache_clear()


def test_a_pattern_that_fits_a_whole_text() -> None:
    searcher = WholeSearcher(re.compile("a+"))
    assert [searcher.search(text) for text in ("aa", "ab", "ba", "")] == [(0, 2), None, None, None]
    assert searcher.search("baa", 1) == (1, 3)
