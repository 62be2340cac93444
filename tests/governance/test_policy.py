"""A policy by itself: what it has where nothing is given, and which of its rules judges what."""

from __future__ import annotations

import sys
from hashlib import sha256

import pytest

from hestiaos_local.governance import Bucket, Facts, Policy, PolicyError, Rule, Verdict
from hestiaos_local.governance._default_policy import default_policy
from hestiaos_local.governance._engines import Engine, re2_engine
from hestiaos_local.governance._policy import Decision
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._rules import ShadowHit

ENGINES: list[Engine] = [Re2Engine(), ReEngine()]
by_both = pytest.mark.parametrize("engine", ENGINES, ids=["re2", "re"])

TEXT = """
version = 2
name = "mine"

[[rules]]
name = "agents"
on = "input"
agents = ["x"]
decision = "BLOCK"

[[rules]]
name = "kind"
on = "command"
pattern = "wipe|format"
decision = "THROTTLE"

[[rules]]
name = "both"
on = ["input", "command"]
pattern = "stop"
decision = "BLOCK"

[[rules]]
name = "tool"
on = "tool"
tools = ["shell"]
decision = "BLOCK"
approval = true

[[rules]]
name = "argument"
on = "tool"
path = "command"
pattern = "rm"
decision = "BLOCK"

[[rules]]
name = "any argument"
on = "tool"
pattern = "name-of-tool|wipe"
decision = "THROTTLE"

[[rules]]
name = "tried"
on = ["input", "tool", "command"]
pattern = "odd"
decision = "BLOCK"
risk = 0.25
mode = "shadow"

[[rules]]
name = "hidden"
on = "input"
pattern = "secret"
action = "redact"
"""


def test_what_is_not_given() -> None:
    policy = Policy("n", ())
    assert (policy.version, policy.hash, policy.text, policy.limits, policy.tests) == (2, "", "", (), ())
    assert type(policy.engine) is ReEngine
    assert repr(policy) == "Policy(name='n', version=2, hash='')"
    assert policy == Policy("n", (), text="x", engine=ENGINES[0])
    policy.judge(Facts())
    rules = (Rule(name="r", on=frozenset(["output"]), sources=("a",), redact="", searcher=ENGINES[1].compile(["a"])),)
    policy.rule_set(rules)
    policy.redactor(rules)
    assert policy == Policy("n", ())
    assert policy != Policy("n", (), hash="x")
    for own in ("kinds", "searchers", "rule_sets", "redactors"):
        with pytest.raises(TypeError, match=own):
            Policy("n", (), **{own: {}})  # type: ignore[arg-type]  # it makes them itself


def test_a_decision() -> None:
    assert Decision("ALLOW", 0.0, "x").rule is None
    assert Decision("ALLOW", 0.0, "x", "r").violations == []
    [violation] = Decision("BLOCK", 0.5, "x", "r").violations
    assert violation == {"rule": "r", "decision": "BLOCK", "risk_score": 0.5, "reason": "x"}


def test_a_verdict_has_all_of_its_rule() -> None:
    policy = Policy("n", (), hash="h")
    rule = Rule(
        name="r",
        on=frozenset(["input"]),
        decision="THROTTLE",
        risk=0.5,
        reason="why",
        max_tokens=7,
        bucket=Bucket(1, 2.0),
    )
    hits = (ShadowHit("s", "BLOCK", 0.1),)
    assert policy.verdict(rule, shadow=hits) == Verdict(
        decision="THROTTLE",
        rule="r",
        reason="why",
        risk=0.5,
        shadow=hits,
        policy="h",
        max_tokens=7,
        bucket=Bucket(1, 2.0),
    )
    redacting = Rule(name="r", on=frozenset(["input"]), redact="")
    for none in (redacting, None):
        assert policy.verdict(none, shadow=hits) == Verdict(decision="ALLOW", shadow=hits, policy="h")


@by_both
@pytest.mark.parametrize(
    ("facts", "rule", "shadow"),
    [
        (Facts(), None, []),
        (Facts(texts=("a wipe",)), None, []),
        (Facts(texts=("a", "stop it")), "both", []),
        (Facts(texts=("secret",)), None, []),
        (Facts(texts=("odd",)), None, ["tried"]),
        (Facts(texts=("odd stop",)), "both", ["tried"]),
        (Facts(texts=("odd",), agent="x"), "agents", ["tried"]),
        (Facts(agent="y"), None, []),
        (Facts(command_type="Wipe"), "kind", []),
        (Facts(command_type="wiped"), None, []),
        (Facts(command_type="STOP"), "both", []),
        (Facts(command_type="STOP", texts=("stop",)), "both", []),
        (Facts(command_type="odd"), None, ["tried"]),
        (Facts(command_type="wipe", texts=("stop",)), "kind", []),
        (Facts(tool="shell"), "tool", []),
        (Facts(tool="other"), None, []),
        (Facts(tool="other", command_type="wipe", texts=("stop",)), None, []),
        (Facts(tool="other", arguments={"command": "rm x"}), "argument", []),
        (Facts(tool="other", arguments={"command": "ls", "text": "rm x"}), None, []),
        (Facts(tool="other", arguments={"text": "wipe"}), "any argument", []),
        (Facts(tool="other", arguments={"wipe": 1}), "any argument", []),
        (Facts(tool="name-of-tool"), "any argument", []),
        (Facts(tool="odd"), None, ["tried"]),
        (Facts(tool="x", arguments="odd wipe"), "any argument", ["tried"]),
    ],
)
def test_which_rule_decides(engine: Engine, facts: Facts, rule: str | None, shadow: list[str]) -> None:
    policy = Policy.parse(TEXT, "p", engine=engine)
    for _ in range(2):  # its searchers are made once
        verdict = policy.judge(facts)
        assert (verdict.rule, [hit.rule for hit in verdict.shadow]) == (rule, shadow)
        assert all(hit == ShadowHit("tried", "BLOCK", 0.25) for hit in verdict.shadow)
        assert (verdict.decision == "ALLOW") == (rule is None)


@by_both
def test_an_approval_passes_the_rules_that_ask_for_one(engine: Engine) -> None:
    policy = Policy.parse(TEXT, "p", engine=engine)
    for approved, rule in ((False, "tool"), (True, None)):
        assert policy.judge(Facts(tool="shell"), approved=approved).rule == rule
        assert policy.judge_tool_call(Facts(), "shell", "{}", approved=approved).rule == rule
    assert policy.judge_tool_call(Facts(), "shell", '{"command": "rm"}', approved=True).rule == "argument"


def test_a_decision_on_a_command() -> None:
    policy = Policy.parse(TEXT, "p")
    decided = policy.decide("WIPE", "x")
    assert (decided.verdict, decided.rule, decided.risk_score) == ("THROTTLE", "kind", 0.5)
    assert policy.decide("RUN", "a", "stop").rule == "both"


def test_the_hash_is_that_of_the_text() -> None:
    policy = Policy.parse(TEXT, "p")
    assert (policy.text, policy.hash) == (TEXT, sha256(TEXT.encode()).hexdigest())
    again = Policy.parse(TEXT.replace("\n", "\r\n"), "p", tests=False)
    assert (again.text, again.hash, again.name) == (TEXT, policy.hash, "mine")


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_that_says_nothing(version: int) -> None:
    text = f'version = {version} # "\ud800"'
    policy = Policy.parse(text, "p.toml")
    assert (policy.name, policy.version, policy.rules, policy.text) == ("p.toml", version, (), text)
    assert policy.hash == sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def test_the_engine_is_the_given_one_or_re2() -> None:
    for engine in ENGINES:
        assert Policy.parse(TEXT, "p", engine=engine).engine is engine
    assert Policy.parse(TEXT, "p").engine is re2_engine()


def test_the_built_in_policy_needs_no_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    for cached in (re2_engine, default_policy):
        cached.cache_clear()
    policy = Policy.default()
    assert policy.decide("RUN", "rm -rf /").verdict == "BLOCK"
    assert not policy.engine.joins  # it is `re`
    monkeypatch.undo()
    for cached in (re2_engine, default_policy):
        cached.cache_clear()
    assert policy == Policy.default() is Policy.default()
    assert policy.tests == ()
    assert Policy.default().engine.joins


def test_sets_of_rules_are_made_once() -> None:
    policy = Policy.parse(TEXT.replace('on = "input"\npattern', 'on = ["input", "output"]\npattern'), "p")
    rules = tuple(rule for rule in policy.rules if "output" in rule.on)
    assert policy.rule_set(rules) is policy.rule_set(rules)
    assert policy.rule_set(rules).rules == rules
    assert policy.redactor(rules) is policy.redactor(rules)
    assert policy.redactor(rules) is not policy.redactor(rules[:0])
    others = tuple(rule for rule in policy.rules if rule.name == "both")
    assert policy.rule_set(others).rules == others


def test_the_facts_that_a_policy_depends_on() -> None:
    policy = Policy.parse(TEXT, "p")
    assert [policy.depends_on(fact) for fact in ("agent", "tool", "key", "model")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ('input = "x"\nexpect = "BLOCK"', "the test expects BLOCK, not ALLOW"),
        ('input = "stop"\nexpect = "ALLOW"', "the test expects ALLOW, not BLOCK by 'both'"),
        (
            'input = "stop"\nexpect = "BLOCK"\nrule = "tool"',
            "the test expects BLOCK by 'tool', not BLOCK by 'both'",
        ),
        ('input = "secret"\nexpect = "ALLOW"', "the test expects ALLOW, not redact by 'hidden'"),
    ],
)
def test_a_test_that_fails(test: str, why: str) -> None:
    text = f"{TEXT}\n[[tests]]\ninput = 'stop'\nexpect = 'BLOCK'\n\n[[tests]]\n{test}\n"
    line = text[: text.index(test)].count("\n")
    policy, failures = Policy.parse_and_test(text, "p")
    assert failures == (f"p, line {line}: {why}",)
    assert policy.run_tests() == [(1, why)]
    with pytest.raises(PolicyError, match="the test expects"):
        Policy.parse(text, "p")
    assert Policy.parse(text, "p", tests=False).tests == ()


IGNORING = """
version = 2
[[rules]]
name = "drop"
on = ["input", "tool"]
pattern = 'drop \\w+'
ignore = ['not drop \\w+', 'raindrop']
decision = "BLOCK"
"""


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("drop it", "BLOCK"),
        ("do not drop it", "ALLOW"),
        ("do not drop it; drop that", "BLOCK"),
        ("do not drop it, nor a raindrop here", "ALLOW"),
        ("do not\u200b drop it", "BLOCK"),  # each form is looked at by itself
        ("drnot drop xop it", "ALLOW"),  # what is left is not joined
    ],
)
def test_what_is_ignored_is_left_out_before_a_text_is_searched(text: str, decision: str) -> None:
    policy = Policy.parse(IGNORING, "p")
    assert policy.judge(Facts(texts=(text,))).decision == decision
    assert policy.judge(Facts(tool="t", arguments={"x": text})).decision == decision


ASKING = """
version = 2
[[rules]]
name = "first"
on = "input"
pattern = 'a'
decision = "BLOCK"
approval = true
[[rules]]
name = "second"
on = "input"
pattern = 'b'
decision = "BLOCK"
approval = true
[[rules]]
name = "no"
on = "input"
pattern = 'c'
decision = "BLOCK"
[[rules]]
name = "third"
on = "input"
pattern = 'd'
decision = "BLOCK"
approval = true
"""


@pytest.mark.parametrize(
    ("text", "rule", "asking", "passed"),
    [
        ("x", None, (), None),
        ("a", "first", ("first",), None),
        ("ab", "first", ("first", "second"), None),
        ("bc", "second", ("second",), "no"),
        ("c", "no", (), "no"),
        ("cd", "no", (), "no"),
        ("bcd", "second", ("second",), "no"),
        ("abd", "first", ("first", "second", "third"), None),
    ],
)
def test_a_verdict_names_the_rules_that_ask(text: str, rule: str | None, asking: tuple[str, ...], passed: str) -> None:
    policy = Policy.parse(ASKING, "p")
    verdict = policy.judge(Facts(texts=(text,)))
    assert (verdict.rule, verdict.approval) == (rule, asking)
    approved = policy.judge(Facts(texts=(text,)), approved=True)
    assert (approved.rule, approved.approval) == (passed, ())
