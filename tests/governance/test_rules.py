"""The parts of a policy: what they are where nothing is given."""

from __future__ import annotations

from attrs import asdict

from hestiaos_local.governance import Facts, Limit, Rule, Verdict
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._rules import PolicyTest


def test_a_verdict() -> None:
    assert asdict(Verdict(decision="ALLOW")) == {
        "decision": "ALLOW",
        "rule": None,
        "reason": "no rule matches",
        "risk": 0.0,
        "shadow": (),
        "policy": "",
        "approval": (),
        "max_tokens": None,
        "bucket": None,
    }


def test_a_rule() -> None:
    rule = Rule(name="r", on=frozenset(["input"]))
    assert asdict(rule) == {
        "name": "r",
        "on": {"input"},
        "sources": (),
        "ignored": (),
        "literals": (),
        "decision": None,
        "redact": None,
        "risk": 0.0,
        "reason": "",
        "conditions": {},
        "path": None,
        "shadow": False,
        "approval": False,
        "hold": False,
        "max_tokens": None,
        "bucket": None,
        "searcher": None,
        "ignoring": None,
        "whole": None,
    }
    assert rule.fits(Facts())


def test_two_rules_are_the_same_where_they_are_written_alike() -> None:
    engine = ReEngine()
    first, second = (
        Rule(name="r", on=frozenset(["input"]), searcher=engine.compile(["a"]), whole=engine.compile_whole("a"))
        for _ in range(2)
    )
    assert first == second
    assert "earcher" not in repr(first)


def test_a_limit_and_a_test() -> None:
    limit = Limit(name="l", per="key", window=1.0)
    assert (limit.requests, limit.tokens) == (None, None)
    test = PolicyTest(facts=Facts(), expect="ALLOW")
    assert (test.output, test.rule) == (None, None)
