"""Policies of version 2: what a file says, and that all its mistakes are reported at once, each with its line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hestiaos_local.governance import Bucket, Facts, Limit, Policy, PolicyError, ShadowHit
from hestiaos_local.governance import _version2 as documented
from hestiaos_local.toml import TomlFile


def test_the_documented_file_is_one() -> None:
    assert documented.__doc__ is not None
    text = documented.__doc__.split("```")[1].removeprefix("toml\n")
    text = text.replace('mode = "shadow"', '# mode = "shadow"')  # the test of the example expects a block
    policy = Policy.parse(text, "p.toml")
    assert (policy.name, policy.version, len(policy.hash)) == ("team", 2, 64)
    wiping, slowly, cards = policy.rules
    assert (wiping.name, wiping.approval, wiping.path, wiping.risk) == ("no-wiping", True, ("command",), 0.95)
    assert (slowly.max_tokens, slowly.bucket, slowly.risk) == (256, Bucket(10, 60.0), 0.5)
    assert slowly.conditions == {"key": frozenset(["intern"])}
    assert (cards.redact, cards.hold, cards.decision) == ("[card]", True, None)
    assert policy.limits == (Limit(name="per key", per="key", window=60.0, requests=60, tokens=100_000),)
    assert policy.tests[0].facts.arguments == {"command": "rm -rf /"}
    assert Policy.parse(text.replace("0.95", "0.96"), "p.toml").hash != policy.hash
    assert Policy.parse(text.replace("\n", "\r\n"), "p.toml").hash == policy.hash


HEAD = 'version = 2\n[[rules]]\nname = "r"\non = "input"\npattern = "x"\n'
RULE = HEAD + 'decision = "BLOCK"\n'
OUTPUT = RULE.replace('"input"', '"output"')
TOOL = RULE.replace('"input"', '"tool"')


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("version = 2\nname = 3", 2, "name must be a string"),
        ("version = 2\nnam = 'x'", 2, "nam is not known: write version, name, window, parts, rules, limits or tests"),
        ("version = 2\nwindow = 5000", 2, "window must be 4096 or less"),
        ("version = 2\nwindow = 0", 2, "window must be 1 or more"),
        ("version = 2\nrules = 1", 2, "begin each with [[rules]]"),
        (RULE.replace('name = "r"\n', ""), 2, "needs name"),
        (RULE.replace('on = "input"\n', ""), 2, "needs on"),
        (RULE.replace('"input"', '"inputs"'), 4, 'must be "input", "output", "tool" or "command"'),
        (RULE.replace('"input"', "[]"), 4, "must be a string, or a list of strings, that is not empty"),
        (RULE.replace('"x"', '"(x"'), 5, "is not a pattern of RE2: missing ): (x: (x"),
        (RULE.replace('"x"', r"'(a)\1'"), 5, "invalid escape sequence"),
        (RULE.replace('"x"', "5"), 5, "must be a string, or a list of strings"),
        (RULE.replace('"x"', r"'\C'"), 5, "matches a byte"),
        (RULE.replace('"x"', "'(?&no)'"), 5, "refers to (?&no), but [parts] does not define 'no'"),
        (RULE.replace("BLOCK", "block"), 6, 'must be "ALLOW", "THROTTLE" or "BLOCK", not "block"'),
        (HEAD, 2, 'needs either decision or action = "redact"'),
        (RULE + 'action = "redact"\n', 2, "needs either decision"),
        (HEAD + 'action = "drop"\n', 6, 'must be "redact", not "drop"'),
        (RULE + 'replacement = "x"\n', 7, "is for action"),
        (TOOL.replace('decision = "BLOCK"', 'action = "redact"'), 6, 'on = "input" or "output" only'),
        (OUTPUT.replace("BLOCK", "ALLOW"), 6, 'must be "BLOCK" on output'),
        (OUTPUT.replace('pattern = "x"\n', ""), 2, "needs pattern"),
        (OUTPUT.replace('"x"', "'x?'"), 5, "must not match the empty text: x?"),
        (OUTPUT.replace('"x"', "'xy+'"), 5, "may match text of any length, but the window is 256"),
        (OUTPUT.replace('"x"', "'x{257}'"), 5, "may match 257 characters, but the window is 256"),
        (OUTPUT.replace('"x"', "'x{9}'") + "window = 8\n", 5, "the window is 8"),
        (OUTPUT + "window = 5000\n", 7, "must be 4096 or less"),
        (OUTPUT + 'hold = "some"\n', 7, 'must be "all", not "some"'),
        (RULE + 'hold = "all"\n', 7, 'is for rules with on = "output" only'),
        (RULE + "ignore = '('\n", 7, "ignore is not a pattern of RE2"),
        (RULE + "ignore = 'x?'\n", 7, "must not match the empty text: x?"),
        (RULE.replace('pattern = "x"\n', "") + "ignore = 'x'\n", 6, "is for rules with a pattern only"),
        (RULE.replace('"input"', '"command"') + "ignore = 'x'\n", 7, 'is for rules with on = "input" or "tool" only'),
        (OUTPUT + "ignore = 'x'\n", 7, 'is for rules with on = "input" or "tool" only'),
        (
            RULE.replace('decision = "BLOCK"', 'action = "redact"') + "ignore = 'x'\n",
            7,
            "is for rules with a decision only",
        ),
        (RULE + "risk = 1.5\n", 7, "must be a number from 0 to 1, not 1.5"),
        (RULE + "risk = true\n", 7, "must be a number from 0 to 1, not true or false"),
        (RULE + "tools = ['a']\n", 7, 'is for rules with on = "tool" only'),
        (RULE + "path = 'a'\n", 7, 'is for rules with on = "tool" only'),
        (RULE + "keys = 'a'\n", 7, "must be a list of strings"),
        (RULE + "keys = []\n", 7, "must not be empty: the rule would never apply"),
        (RULE + "approval = 1\n", 7, "must be true or false"),
        (RULE.replace("BLOCK", "ALLOW") + "approval = true\n", 7, 'is for decision = "BLOCK" only'),
        (RULE + "max_tokens = 5\n", 7, 'is for decision = "THROTTLE" only'),
        (RULE.replace("BLOCK", "THROTTLE") + "bucket = { requests = 1 }\n", 7, "needs per"),
        (RULE.replace("BLOCK", "THROTTLE") + 'bucket = { requests = 1, per = "1y" }\n', 7, "must be a time such as"),
        (RULE.replace("BLOCK", "THROTTLE") + "bucket = 1\n", 7, "must be a table, not a number"),
        (RULE + 'mode = "quiet"\n', 7, 'must be "enforce" or "shadow"'),
        (RULE + "colour = 1\n", 7, "colour is not known"),
        (RULE + RULE.removeprefix("version = 2\n"), 8, "must be unique: 'r' is used already"),
        ('version = 2\n[[limits]]\nname = "l"\nper = "all"\nwindow = "1m"\n', 2, "needs requests or tokens"),
        ('version = 2\n[[limits]]\nname = "l"\nper = "me"\nwindow = "1m"\nrequests = 1\n', 4, 'must be "key", "agent"'),
        ('version = 2\n[[limits]]\nname = "l"\nper = "all"\nwindow = "0m"\nrequests = 1\n', 5, "must be a time"),
        ('version = 2\n[[tests]]\nexpect = "BLOCK"\n', 2, "needs one of input, output, tool and command"),
        ('version = 2\n[[tests]]\ninput = "x"\noutput = "y"\nexpect = "BLOCK"\n', 2, "needs one of"),
        ('version = 2\n[[tests]]\ninput = "x"\n', 2, "needs expect"),
        ('version = 2\n[[tests]]\ninput = "x"\nexpect = "NO"\n', 4, "must be"),
        ('version = 2\n[[tests]]\ninput = "x"\nexpect = "ALLOW"\nrule = "q"\n', 5, "no rule has that name"),
        ('version = 2\n[[tests]]\ninput = "x"\narguments = {}\nexpect = "ALLOW"\n', 4, "needs tool, which"),
        ('version = 2\n[[tests]]\ninput = "x"\nexpect = "BLOCK"\n', 2, "the test expects BLOCK, not ALLOW"),
        ('version = 2\n[parts]\na = "(?&b)"\nb = "x"\n', 3, "[parts] does not define 'b'"),
        (f'version = 2\n[parts]\na = "{"x" * 140_000}"\nb = "(?&a)(?&a)"\n', 4, "262144 is the maximum"),
        (RULE.replace("x", "(" * 101 + "x" + ")" * 101), 5, "more than 100 nested groups"),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_what_would_be_right(text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.parse(text, "team.toml")
    [mistake] = caught.value.mistakes
    assert mistake.startswith(f"team.toml, line {line}: ")
    assert message in mistake


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 5000])
def test_a_value_that_python_cannot_read(value: str) -> None:
    with pytest.raises(PolicyError, match=r"^team\.toml: this cannot be read: "):
        Policy.parse(f"version = 2\nname = {value}", "team.toml")


def test_all_mistakes_are_told_at_once() -> None:
    text = RULE.replace('"x"', '"("').replace("BLOCK", "NO") + "colour = 1\nrisk = 2\n[[tests]]\nexpect = 3\n"
    with pytest.raises(PolicyError) as caught:
        Policy.parse(text, "p")
    assert [mistake.split(":")[0] for mistake in caught.value.mistakes] == [
        f"p, line {line}" for line in (5, 6, 7, 8, 9, 10)
    ]
    assert pickle.loads(pickle.dumps(caught.value)).mistakes == caught.value.mistakes


def test_every_failing_test_is_told(tmp_path: Path) -> None:
    tests = '[[tests]]\ninput = "x"\nexpect = "ALLOW"\n[[tests]]\ninput = "y"\nexpect = "BLOCK"\nrule = "r"\n'
    file = tmp_path / "p.toml"
    file.write_text(RULE + tests)
    with pytest.raises(PolicyError) as caught:
        Policy.load(file)
    assert caught.value.mistakes == (
        f"{file}, line 7: the test expects ALLOW, not BLOCK by 'r'",
        f"{file}, line 10: the test expects BLOCK by 'r', not ALLOW",
    )


def test_without_re2_the_command_that_installs_it_is_told() -> None:
    with pytest.raises(PolicyError) as caught:
        documented.read_version2(TomlFile("version = 2\n\nname = 'x'", "p", PolicyError), "p", None)
    assert caught.value.mistakes == (
        "p, line 1: version 2 needs RE2, which is not installed: pip install 'hestiaos[platform]'",
    )


LIVE = """
version = 2
[parts]
end = '\\b'
wiping = 'wipe(?&end)'
[[rules]]
name = "tried"
on = ["input", "tool", "command"]
pattern = ['(?&wiping)', 'burn']
decision = "THROTTLE"
risk = 0.3
mode = "shadow"
[[rules]]
name = "trusted"
on = "tool"
tools = ["shell"]
agents = ["root"]
decision = "ALLOW"
[[rules]]
name = "shell"
on = "tool"
tools = ["shell"]
path = "run.0.command"
pattern = 'wipe'
decision = "BLOCK"
approval = true
[[rules]]
name = "kinds"
on = "command"
pattern = 'Wipe|FORMAT'
decision = "BLOCK"
risk = 0.9
[[rules]]
name = "words"
on = "input"
pattern = 'wipe'
decision = "THROTTLE"
max_tokens = 10
[[rules]]
name = "gone"
on = ["input", "output"]
pattern = 'key=\\w{1,20}'
action = "redact"
[[tests]]
input = "my key=abc"
expect = "redact"
rule = "gone"
[[tests]]
output = "my key=abc"
expect = "redact"
[[tests]]
command = "wipe"
expect = "BLOCK"
rule = "kinds"
"""


@pytest.mark.parametrize(
    ("facts", "decision", "rule", "shadow"),
    [
        (Facts(command_type="RUN", texts=("hello",)), "ALLOW", None, False),
        (Facts(command_type="RUN", texts=("hello", "wi\u200bpe it")), "THROTTLE", "words", True),
        (Facts(command_type="RUN", texts=("burn",)), "ALLOW", None, True),
        (Facts(command_type="ｗipe", texts=("wiped",)), "BLOCK", "kinds", True),
        (Facts(command_type="WIPED", texts=()), "ALLOW", None, False),
        (Facts(tool="shell", arguments={"run": [{"command": "wiped"}]}), "BLOCK", "shell", False),
        (Facts(tool="shell", arguments={"run": {"command": "wiped"}}), "ALLOW", None, False),
        (Facts(tool="shell", arguments={"run": [{"command": ["x", "wipe"]}]}, agent="root"), "ALLOW", "trusted", True),
        (Facts(tool="wipe", arguments={}), "ALLOW", None, True),
        (Facts(tool="other", arguments={"wipe": 1}), "ALLOW", None, True),
        (Facts(tool="shell", arguments="wiped"), "BLOCK", "shell", False),
    ],
)
def test_verdicts(facts: Facts, decision: str, rule: str | None, shadow: bool) -> None:
    policy = Policy.parse(LIVE, "p")
    verdict = policy.judge(facts)
    assert (verdict.decision, verdict.rule) == (decision, rule)
    assert verdict.shadow == ((ShadowHit("tried", "THROTTLE", 0.3),) if shadow else ())
    assert verdict.policy == policy.hash
    assert verdict == policy.judge(facts)
    assert (verdict.approval, verdict.max_tokens) == (
        ("shell",) if rule == "shell" else (),
        10 if rule == "words" else None,
    )


@pytest.mark.parametrize(
    ("arguments", "blocked"),
    [
        ('{"run": [{"command": "w\\u0069pe"}]}', True),
        ('{"run": [{"command": "wipe", "command": "ls"}]}', True),
        ('{"run": [{"command": "ls", "command": "wipe"}]}', True),
        ('{"run": [{"command": "w\\u0069pe"', True),  # what is not JSON may be mended by the tool
        ('{"run": [{"command": "ls"}], "note": "wipe"}', False),
        ("", False),
        ("[" * 100_000 + "wipe", True),
    ],
)
def test_the_arguments_of_a_tool_as_a_model_wrote_them(arguments: str, blocked: bool) -> None:
    verdict = Policy.parse(LIVE, "p").judge_tool_call(Facts(), "shell", arguments)
    assert (verdict.decision == "BLOCK") == blocked


def test_a_rule_that_redacts_in_shadow_mode_is_noted() -> None:
    text = RULE.replace('decision = "BLOCK"', 'action = "redact"\nmode = "shadow"')
    verdict = Policy.parse(text, "p").judge(Facts(texts=("x",)))
    assert (verdict.decision, verdict.shadow) == ("ALLOW", (ShadowHit("r", "redact", 0.0),))
    verdict = Policy.parse(text.replace('mode = "shadow"', ""), "p").judge(Facts(texts=("x",)))
    assert (verdict.decision, verdict.reason, verdict.risk, verdict.shadow) == ("ALLOW", "no rule matches", 0.0, ())


def test_a_policy_of_version_1_sees_the_texts_as_they_are() -> None:
    policy = Policy.parse(
        RULE.replace("2", "1", 1).replace('"x"', '"a\\nb"') + 'risk = 1\nreason = "no"\n',
        "p",
    )
    assert policy.judge(Facts(texts=("a", "b"))).decision == "BLOCK"
    assert policy.judge(Facts(texts=("ａ", "b"))).decision == "ALLOW"
    assert (policy.version, policy.run_tests()) == (1, [])
