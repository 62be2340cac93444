"""What the scanner looks for first, so that most texts cost little: it must never miss where a match may begin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance import _scanner
from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._rule_sets import RuleSet
from hestiaos_local.governance._scanner import Scanner
from hestiaos_local.governance._syntax import firsts, parse, shortest
from tests.support.governed_outputs import governed, judged, policy_of, rule_of
from tests.support.governed_texts import CUTS, TEXTS, pieces
from tests.support.re2_patterns import PATTERNS

RE2, RE = Re2Engine(), ReEngine()


def rule_set(*patterns: str, engine: Engine = RE2, **how: Any) -> RuleSet:
    return RuleSet([rule_of(f"r{i}", pattern, engine, redact="-", **how) for i, pattern in enumerate(patterns)], engine)


@pytest.mark.parametrize(
    ("pattern", "chars"),
    [
        ("abc", "a"),
        ("a|bc|", "ab"),
        (r"\ba?(?:b|c*)[d-f]g", "abc[d-f]"),
        ("a{0}b", "b"),
        ("(?:a{0,2}|x)b", "axb"),
        ("a+b", "a"),
        ("^$", ""),
    ],
)
def test_with_what_a_match_may_begin(pattern: str, chars: str) -> None:
    assert "".join(char.source for char in firsts(parse(pattern))) == chars


@pytest.mark.parametrize(
    "pattern",
    [
        *("a", "(?i)k", "[^a]", ".", r"\W", r"\s", r"\x41", "é", "[а-я]"),
        *("(?i)é", "(?i)[а-я]", r"(?i)\xe9", r"(?i)\351", r"(?i)\x{430}", "(?i)[^é]"),
        *(r"\pL", r"\p{Greek}", "[[:alpha:]]"),
    ],
)
def test_a_character_with_which_a_match_may_begin_is_seen(pattern: str) -> None:
    rules = rule_set("zz", pattern)
    searcher = RE2.compile([pattern])
    for char in map(chr, range(0x2200)):
        assert rules.opening.search(char) or not searcher.search(char), ascii(char)


def test_of_simple_patterns_few_characters_are_seen() -> None:
    opening = rule_set(r"\bsk-\w{4}", "(?i)key=", "[0-9]{4}x").opening
    assert "".join(filter(opening.search, map(chr, range(0x3000)))) == "0123456789Kks\u212a"


@given(st.lists(PATTERNS.filter(lambda p: shortest(parse(p)) > 0), min_size=1, max_size=2), TEXTS)
def test_every_match_begins_with_such_a_character(patterns: list[str], text: str) -> None:
    rules = rule_set(*patterns)
    found = [span for searcher in rules.searchers for span in searcher.search_all(text)]
    assert all(rules.opening.search(text[start]) for start, _ in found)


@pytest.mark.parametrize("engine", [RE2, RE], ids=["re2", "re"])
def test_where_nothing_begins_nothing_is_searched(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = rule_set("xy", "é", engine=engine)
    scanner = Scanner(rules)
    for piece in ("a", "b"):  # the beginning of a text is always searched
        scanner.receive_text(piece)
    monkeypatch.setattr(rules, "_first", None)
    monkeypatch.setattr(rules, "_engine", None)
    texts = ["c d", "  e", "，f", "\xad", "\xad", "…\n\n", "gh"]
    decided = ["bc ", "d  ", "e，", "", "", "f\xad\xad…", "\n\ng"]
    assert [scanner.receive_text(text).text for text in texts] == decided
    with pytest.raises(AttributeError):
        scanner.receive_text("ix.")


def test_in_a_long_text_no_such_character_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scanner, "_LONG", 4)
    rules = rule_set("xy")
    monkeypatch.setattr(rules, "_opening", re.compile("(?!)"))  # wrongly, there is none
    for text, matches in (("bxy.", 1), ("xy.", 0)):
        scanner = Scanner(rules)
        for piece in ("a", "b", "c"):
            assert scanner.receive_text(piece).matches == ()
        assert len(scanner.receive_text(text).matches) == matches


@given(
    st.lists(PATTERNS.filter(lambda p: shortest(parse(p)) > 0), min_size=1, max_size=2),
    TEXTS | st.text(" \n\\a\u0301\xad", max_size=30),
    CUTS,
)
def test_a_long_unit_is_as_a_short_one(patterns: list[str], text: str, cuts: list[int]) -> None:
    policy = policy_of([rule_of(f"r{i}", each, RE2, redact="-") for i, each in enumerate(patterns)], RE2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_scanner, "_SHORT", 1)
        for parts in (list(text), pieces(text, cuts)):
            assert governed(policy, parts) == judged(policy, text)


def test_the_cost_of_a_unit_without_end_is_in_its_pieces() -> None:
    """A run of white space, or a character with marks, of any length: what is looked at again is short."""
    for begin, more in (("a", "\u0301"), ("a", "\xad"), (" ", " \n"), ("", "\\\n"), (" ", "\t\xad")):
        scanner = Scanner(rule_set("xy"))
        scanner.receive_text("b" + begin)
        for _ in range(100):
            scanner.receive_text(more)
            assert len(scanner._head) <= 18
        assert scanner.receive_text("c").text.endswith(more * 100)
