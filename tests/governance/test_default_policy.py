"""The built-in policy: its own tests, the same with RE2 and with `re`, and for texts made of what it is about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos_local.governance import Facts, Policy
from hestiaos_local.governance._default_policy import with_literals
from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from tests.support.builtin_policies import POLICIES, TEXT

_WORDS = [
    *(
        "rm",
        "-rf",
        "-r",
        "-f",
        "--force",
        "/",
        "/tmp",
        "/tmp/x",
        "~",
        "$HOME",
        "${HOME}",
        "..",
        "*",
        '"',
    ),
    *(
        "'",
        ",",
        "|",
        ";",
        "\n",
        "dd",
        "of=",
        "/dev/sda",
        "/dev//vda",
        "/dev/null",
        ">",
        "mkfs.ext4",
        "-F",
    ),
    *(
        "drop",
        "table",
        "/**/",
        "--",
        "not",
        "please",
        "send",
        "password",
        "passwords",
        "to",
        "via",
    ),
    *(
        "about",
        "reset",
        "the",
        ".",
        "/etc/",
        "shadow",
        "passwd",
        "./",
        "../",
        ".ssh/id_rsa",
        ".pub",
    ),
    *(
        "bulk",
        "delete",
        "all",
        "find",
        "-delete",
        "chmod",
        "-R",
        "\u017f",
        "K",
        "\u200b",
        "\uff52",
    ),
]
TEXTS = st.lists(st.sampled_from(_WORDS) | st.text(max_size=2), max_size=12).flatmap(
    lambda words: st.sampled_from([" ".join(words), "".join(words)])
)


@pytest.mark.parametrize("engine", [Re2Engine(), ReEngine()], ids=["re2", "re"])
def test_its_own_tests_pass(engine: Engine) -> None:
    assert len(Policy.parse(TEXT, "p", engine=engine).tests) > 100


def test_without_its_tests_it_is_the_same_policy() -> None:
    whole, quick = Policy.default(tests=True), Policy.default()
    assert (quick.hash, quick.name, quick.tests) == (whole.hash, whole.name, ())
    assert [rule.name for rule in quick.rules] == [rule.name for rule in whole.rules]


@given(TEXTS)
def test_both_engines_decide_the_same_with_and_without_literals(text: str) -> None:
    facts = [Facts(command_type=text, texts=(text,)), Facts(tool="shell", arguments={"command": text})]
    for each in facts:
        verdicts = [policy.judge(each) for policy in (*POLICIES, *map(with_literals, POLICIES))]
        assert verdicts == verdicts[:1] * 4


@given(TEXTS, TEXTS)
def test_both_engines_find_the_same_for_each_rule(text: str, start: str) -> None:
    for rules in zip(*(policy.rules for policy in POLICIES), strict=True):
        first, second = (rule.searcher for rule in rules)
        assert first is not None
        assert second is not None
        assert first.search(text) == second.search(text)


@pytest.mark.parametrize(
    "text",
    ["rm ", "rm -r ", "rm -", "rm / ", "dd a=/dd ", "mkfs.", "drop/*", "send secrets ", "/", "find / ", "do not "],
)
def test_any_input_is_judged_in_time(text: str) -> None:
    for policy, length in zip(POLICIES, (1_000_000, 20_000), strict=True):
        assert policy.judge(Facts(texts=(text * (length // len(text)),))).decision in ("ALLOW", "BLOCK")
