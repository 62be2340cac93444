"""The engine of the built-in policy compiles what it is given, and does so when it is searched."""

from __future__ import annotations

import pytest

from hestiaos_local.governance import Policy
from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._trusted import TrustingEngine

ENGINES: list[Engine] = [Re2Engine(), ReEngine()]


@pytest.mark.parametrize("engine", ENGINES, ids=["RE2", "re"])
def test_it_finds_what_its_engine_finds(engine: Engine) -> None:
    trusting = TrustingEngine(lambda: engine)
    assert trusting.joins == engine.joins
    for name in ("compile", "compile_first", "compile_beginnings"):
        made, late = getattr(engine, name)(["ab", "b+c"]), getattr(trusting, name)(["ab", "b+c"])
        for text in ("", "a", "xabbcb", "bbc ab"):
            assert late.search(text) == made.search(text)
    assert trusting.compile_whole("ab").search("AB") == (0, 2)
    assert [*trusting.compile(["b"]).search_all("abb")] == [(1, 2), (2, 3)]


@pytest.mark.parametrize("engine", ENGINES, ids=["RE2", "re"])
def test_it_compiles_when_it_is_searched(engine: Engine) -> None:
    trusting = TrustingEngine(lambda: engine)
    trusting.check("(")
    assert not trusting.can_be_empty("(")
    late = trusting.compile(["("])
    with pytest.raises(ValueError, match=r"missing|unclosed"):
        late.search("x")


def test_the_built_in_policy_is_the_same_when_it_is_checked() -> None:
    checked, trusted = Policy.default(tests=True), Policy.default()
    assert not isinstance(checked.engine, TrustingEngine)
    assert isinstance(trusted.engine, TrustingEngine)
    assert checked.rules == trusted.rules
