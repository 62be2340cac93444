"""A text that has none of a rule's literals cannot match: nothing is compiled and searched to know that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance import Facts, Policy
from hestiaos_local.governance._default_policy import LITERALS, with_literals
from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._rules import Rule, Subject
from hestiaos_local.governance._secrets import _KEYS, _LITERALS
from hestiaos_local.governance._trusted import TrustingEngine
from tests.support.builtin_policies import POLICIES, TEXT
from tests.support.governed_texts import TEXTS
from tests.support.literals import match_without
from tests.support.re2_patterns import PATTERNS

RE2 = Re2Engine()


@pytest.mark.parametrize("rule", POLICIES[0].rules, ids=lambda rule: rule.name)
def test_each_match_of_the_built_in_policy_has_a_literal(rule: Rule) -> None:
    literals = LITERALS[rule.name]
    assert literals == tuple(literal.casefold() for literal in literals)
    assert [match_without(f"(?i:{source})", literals) for source in rule.sources] == [None] * len(rule.sources)


def test_each_key_has_a_literal() -> None:
    assert [match_without(source, _LITERALS, fold=str) for source in _KEYS] == [None] * len(_KEYS)


@pytest.mark.parametrize(
    ("pattern", "literals", "match"),
    [
        ("ab|cd", ["a", "d"], None),
        ("ab|cd", ["a"], "cd"),
        (r"\bab?\b", ["ab"], "a"),
        ("(?i)ks", ["ks"], None),  # U+212A and U+017F are K and S too
        ("(?:ab){2}", ["abab"], None),
        ("(?:ab){2}", ["ababa"], "abab"),
        ("[^a]b", ["b"], None),
        ("x[^a]", ["xa", "xb", "xc"], "xX"),
        ("a*b{20,}", ["bb"], None),
        ("a*", ["a"], ""),
    ],
)
def test_a_match_without_a_literal(pattern: str, literals: list[str], match: str | None) -> None:
    assert match_without(pattern, literals) == match


@given(
    PATTERNS, st.lists(st.text("abcerk- ", min_size=1, max_size=2), max_size=4), TEXTS | st.text("abcermkK\u212a- \n")
)
def test_a_text_without_literals_has_no_match(pattern: str, literals: list[str], text: str) -> None:
    if match_without(pattern, literals) is None and RE2.compile([pattern]).search(text) is not None:
        assert Subject([text]).has_literal(literals)


@pytest.mark.parametrize("second", ["DROP TABLE x", "another report"])
def test_nothing_is_compiled_for_a_first_text_without_literals(second: str) -> None:
    """From the second on, one search costs less than to look for each literal."""
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(RE2)
        return RE2

    policy = with_literals(Policy.parse(TEXT, "p", engine=TrustingEngine(make), tests=False))
    assert policy.judge(Facts(command_type="RUN", texts=("create a report", "x"))).decision == "ALLOW"
    assert policy.judge(Facts(tool="weather", arguments={"city": "Rome"})).decision == "ALLOW"
    assert engines == []
    rule = policy.judge(Facts(command_type="RUN", texts=(second,))).rule
    assert rule == ("drop-database" if "DROP" in second else None)
    assert engines == [RE2]
