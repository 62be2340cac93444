"""The output governor: for every cutting it releases what a judge of the whole text would.

The judge of these properties finds all matches in the whole text and its normal form, and has no notion of pieces.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_local.governance import (
    Blocked,
    Facts,
    OutputGovernor,
    Policy,
    Redaction,
    ReleasedText,
    ReleasedToolCall,
    redact_input,
)
from hestiaos_local.governance._engines import Engine, Searcher
from hestiaos_local.governance._re2_engine import Re2Engine
from hestiaos_local.governance._re_engine import ReEngine
from hestiaos_local.governance._scanner import Decided, Match, Scanner
from hestiaos_local.governance._syntax import longest, parse, shortest
from tests.support.governed_outputs import governed, judged, policy_of, rule_of
from tests.support.governed_texts import CUTS, TEXTS, pieces
from tests.support.re2_patterns import PATTERNS

ENGINES: dict[str, Engine] = {"re2": Re2Engine(), "re": ReEngine()}
TOLD = TEXTS | st.text("abcermk- \n", max_size=30)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    engine = ENGINES[draw(st.sampled_from(["re2", "re2", "re"]))]
    rules = []
    for number, pattern in enumerate(draw(st.lists(PATTERNS.filter(lambda p: shortest(parse(p)) > 0), max_size=3))):
        how = draw(st.sampled_from([{"decision": "BLOCK"}, {"redact": "[gone]"}, {"redact": ""}]))
        shadow, hold = draw(st.integers(0, 4)) == 0, draw(st.integers(0, 9)) == 0
        rules.append(rule_of(f"r{number}", pattern, engine, shadow=shadow, hold=hold, **how))
    return policy_of(rules, engine)


@given(policies(), TOLD, CUTS)
def test_every_cutting_is_governed_as_the_whole_is_judged(policy: Policy, text: str, cuts: list[int]) -> None:
    wanted = judged(policy, text)
    for parts in (pieces(text, cuts), list(text), [text]):
        assert governed(policy, parts) == wanted


@given(policies(), TOLD, st.integers(0, 30))
@example(policy_of([rule_of("r", "a", ENGINES["re2"], decision="BLOCK")], ENGINES["re2"]), "\tb\\\na", 5)
def test_what_is_released_depends_on_what_was_received_alone(policy: Policy, text: str, place: int) -> None:
    first, second = OutputGovernor(policy, Facts()), OutputGovernor(policy, Facts())
    first.receive_text(text[:place])
    for char in text[:place]:
        second.receive_text(char)
    released = ["".join(e.text for e in each.events() if isinstance(e, ReleasedText)) for each in (first, second)]
    assert released[0] == released[1]
    assert first.verdict == second.verdict


@given(PATTERNS.filter(lambda p: shortest(parse(p)) > 0), st.text("abcermk", max_size=40))
def test_a_character_is_late_by_the_longest_match_at_most(pattern: str, text: str) -> None:
    policy = policy_of([rule_of("r", pattern, ENGINES["re2"], redact="")], ENGINES["re2"])
    governor = OutputGovernor(policy, Facts())
    for count, char in enumerate(text, 1):
        governor.receive_text(char)
        assert governor._decided >= count - longest(parse(pattern)) - 1


POLICY = """
version = 2
[[rules]]
name = "secret"
on = "output"
pattern = 'sk-[a-z]{4,8}'
action = "redact"
[[rules]]
name = "wiping"
on = ["output", "tool"]
pattern = '(?i)\\brm -rf /'
decision = "BLOCK"
risk = 0.9
reason = "no wiping"
[[rules]]
name = "seen"
on = "output"
pattern = 'odd'
decision = "BLOCK"
mode = "shadow"
"""

BLOCK: dict[str, Any] = {"decision": "BLOCK"}
GONE: dict[str, Any] = {"redact": "[gone]"}


def released(governor: OutputGovernor) -> list[str]:
    return [event.text for event in governor.events() if isinstance(event, ReleasedText)]


def test_text_comes_as_soon_as_it_can_be_no_match() -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    governor.receive_text("Hello, world")
    assert released(governor) == ["Hello, worl"]
    governor.receive_text(". My key is sk-")
    assert released(governor) == ["d. My key is "]
    governor.receive_text("abcd")
    assert released(governor) == []
    governor.receive_text(" and")
    assert released(governor) == ["[redacted] an"]
    governor.end()
    assert released(governor) == ["d"]
    assert governor.redactions == [Redaction("secret", 24, 31)]
    assert governor.verdict.decision == "ALLOW"


def test_a_match_that_more_text_cannot_change_comes_at_once() -> None:
    engine = ENGINES["re2"]
    governor = OutputGovernor(policy_of([rule_of("r", "ab", engine, **GONE)], engine), Facts())
    governor.receive_text("xab.")
    assert released(governor) == ["x[gone]"]


def test_what_is_decided_is_not_looked_at_again() -> None:
    """The last character that is decided is kept for the boundary after it, before which nothing is known any more."""
    engine = ENGINES["re2"]
    rules = [rule_of("r", r"\bcdef", engine, **GONE), rule_of("s", "d", engine, **GONE)]
    for count, wanted in ((1, "d"), (2, "[gone]")):
        governor = OutputGovernor(policy_of(rules[:count], engine), Facts())
        governor.receive_text("xcd")
        assert released(governor) == ["xc"]
        governor.receive_text("e")
        assert released(governor) == [wanted]


def test_a_block_is_the_last_event() -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    for piece in ["it is odd: r", "\u200bm  -r", "f /", " and more"]:
        governor.receive_text(piece)
    *texts, blocked = governor.events()
    assert texts == [ReleasedText("it is odd: ")]
    assert isinstance(blocked, Blocked)
    assert (blocked.verdict.rule, blocked.verdict.reason, blocked.verdict.risk) == ("wiping", "no wiping", 0.9)
    assert governor.finished
    assert [hit.rule for hit in governor.verdict.shadow] == ["seen"]
    governor.receive_text("more")
    governor.receive_tool_call("1", "shell", "{}")
    governor.end()
    assert list(governor.events()) == []


@pytest.mark.parametrize(("before", "after", "text"), [("rm -", "i!", "rm -i"), ("sk-ab", "cd. .", "[redacted]. ")])
def test_a_tool_call_waits_for_the_text_before_it(before: str, after: str, text: str) -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    governor.receive_text(f"go {before}")
    governor.receive_tool_call("1", "look", "{}")
    assert list(governor.events()) == [ReleasedText("go ")]
    governor.receive_text(after)
    assert list(governor.events()) == [ReleasedText(text), ReleasedToolCall("1", "look", "{}")]


def test_a_tool_call_after_what_is_blocked_is_not_released() -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    governor.receive_text("rm -")
    governor.receive_tool_call("1", "look", "{}")
    governor.receive_text("rf /")
    governor.end()
    [blocked] = governor.events()
    assert isinstance(blocked, Blocked)


def test_a_tool_call_is_judged_whole() -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    governor.receive_tool_call("1", "shell", '{"command": "ls"}')
    governor.receive_tool_call("2", "shell", '{"command": "rm  \\u002drf /"}')
    governor.receive_tool_call("3", "shell", '{"command": "ls"}')
    first, blocked = governor.events()
    assert first == ReleasedToolCall("1", "shell", '{"command": "ls"}')
    assert isinstance(blocked, Blocked)
    assert blocked.verdict.rule == "wiping"


def test_a_tool_call_is_not_approved_unless_it_is_said() -> None:
    text = POLICY.replace('on = ["output", "tool"]', 'on = "tool"\napproval = true')
    policy = Policy.parse(text, "p")
    for how, kind in (({}, Blocked), ({"approved": False}, Blocked), ({"approved": True}, ReleasedToolCall)):
        governor = OutputGovernor(policy, Facts())
        governor.receive_tool_call("1", "shell", '{"command": "rm -rf /"}', **how)
        assert [type(event) for event in governor.events()] == [kind]


def test_the_halves_of_a_character_are_joined() -> None:
    policy = Policy.parse(
        'version = 2\n[[rules]]\nname = "r"\non = "output"\npattern = "rm x"\naction = "redact"\n', "p"
    )
    governor = OutputGovernor(policy, Facts())
    for piece in ["\ud835", "\udc2b", "m x", "\ud800"]:  # 𝐫
        governor.receive_text(piece)
    governor.end()
    assert "".join(released(governor)) == "[redacted]\ufffd"


def test_a_policy_without_rules_for_outputs_releases_at_once() -> None:
    governor = OutputGovernor(Policy.parse("version = 2", "p"), Facts())
    governor.receive_text("a")
    assert released(governor) == ["a"]
    governor.receive_text("")
    governor.end()
    assert released(governor) == []


def test_a_rule_with_conditions_holds_for_its_own() -> None:
    policy = Policy.parse(POLICY.replace("action =", 'agents = ["a"]\naction ='), "p")
    for agent, text in [("a", "[redacted]"), ("b", "sk-abcd")]:
        governor = OutputGovernor(policy, Facts(agent=agent))
        governor.receive_text("sk-abcd")
        governor.end()
        assert "".join(released(governor)) == text


@pytest.mark.parametrize("text", ["a sk-abcd b", "a ｓk-abcd b", "a s\u200bk-abcd b"])
def test_an_input_is_redacted(text: str) -> None:
    policy = Policy.parse(POLICY.replace('on = "output"', 'on = ["input", "output"]', 1), "p")
    result, [redaction] = redact_input(policy, Facts(), text)
    assert (result, redaction.rule) == ("a [redacted] b", "secret")
    assert redact_input(policy, Facts(), "nothing") == ("nothing", ())


def test_what_comes_after_a_block_is_not_noted_either() -> None:
    """In one piece with the block, or before it in another."""
    policy = Policy.parse(POLICY, "p")
    for pieces_of in (["well, rm -rf / odd odd "], ["well, ", "rm -rf / odd odd "], list("well, rm -rf / odd ")):
        outcome = governed(policy, pieces_of)
        assert (outcome.released, outcome.blocked_by, outcome.shadow) == ("well, ", "wiping", frozenset())


def test_what_comes_after_a_block_far_into_a_text_is_not_noted() -> None:
    policy = Policy.parse(POLICY, "p")
    outcome = governed(policy, ["well, " * 20, "rm -rf / odd odd "])
    assert (outcome.released, outcome.blocked_by, outcome.shadow) == ("well, " * 20, "wiping", frozenset())


def test_a_text_that_its_end_blocks_is_over_once() -> None:
    """The rules in shadow mode do not see the last character before it twice."""
    engine = ENGINES["re2"]
    rules = [rule_of("r", "é", engine, **BLOCK), rule_of("s", "bb", engine, shadow=True, **GONE)]
    outcome = governed(policy_of(rules, engine), list("abé"))
    assert (outcome.released, outcome.blocked_by, outcome.shadow) == ("ab", "r", frozenset())


def test_what_is_redacted_before_a_block_is_told() -> None:
    policy = Policy.parse(POLICY, "p")
    for pieces_of in (["sk-abcdefgh rm -rf / x"], ["sk-abcd", "efgh rm", " -rf / x"]):
        outcome = governed(policy, pieces_of)
        assert (outcome.released, outcome.blocked_by) == ("[redacted] ", "wiping")
        assert outcome.redactions == (Redaction("secret", 0, 11),)


def test_texts_are_in_no_repr() -> None:
    assert "secret" not in repr([ReleasedText("secret"), ReleasedToolCall("1", "name", "secret")])


def test_an_input_is_redacted_by_the_rules_for_it_alone() -> None:
    policy = Policy.parse(
        """
        version = 2
        [[rules]]
        name = "numbers"
        on = "input"
        pattern = '\\d+'
        action = "redact"
        replacement = "#"
        keys = ["team"]
        [[rules]]
        name = "blocked"
        on = "input"
        pattern = 'a'
        decision = "BLOCK"
        [[rules]]
        name = "tried"
        on = "input"
        pattern = 'b'
        action = "redact"
        mode = "shadow"
        [[rules]]
        name = "elsewhere"
        on = "output"
        pattern = 'c'
        action = "redact"
        """,
        "p",
    )
    text = "a b c " + "1" * 1000 + " d 2"
    assert redact_input(policy, Facts(key="team"), text) == (
        "a b c # d #",
        (Redaction("numbers", 6, 1006), Redaction("numbers", 1009, 1010)),
    )
    assert redact_input(policy, Facts(key="other"), text) == (text, ())


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([(r"\w{3}", GONE)], "abcde fgh"),  # what a match has used is not used again
        ([(r"\w{3}", GONE)], "ａbcde  fgh"),
        ([(r"\w{3}", GONE)], "x  bcdefg hi  jklmno ｐqrstu"),
        ([("bb", GONE), (r"b-{1,3}x", GONE)], "abbb--x bbbb"),
        ([("key=[a-z]{2,4}", GONE)], "ａ  bc key=ab, rest key=abcdef"),
        ([("key=[a-z]{2,4}", GONE)], "x\u200b key=ab\u200b, ke\xady=ab plain key=cd and so on"),
        ([("stop", BLOCK), ("key", GONE), ("ke", GONE)], "a key, a key, stop, key"),
        ([("late", GONE), ("key", GONE)], "key lat key late"),
        ([("abcdef", BLOCK), ("cd", GONE)], "abcdex abcdef"),
        ([("cd", GONE), ("bcde", GONE), ("efg", GONE)], "abcdefg abcd"),
        ([("ab", GONE), ("b", BLOCK)], "xaby"),
        ([(r"\bb", GONE), ("^a", GONE), ("(?m:^)c", GONE), ("d$", GONE)], "ab b a\nc a d d"),
        ([(r"\n\n#", GONE), (" x", GONE)], "a\n\n#  x"),
        ([("a.c", {**GONE, "hold": True}), ("d", GONE)], "abc d ab"),
        ([("a+", {**BLOCK, "hold": True})], "bbb aaa"),
        ([("ab", {**BLOCK, "shadow": True}), ("cd", {**BLOCK, "shadow": True}), ("ef", BLOCK)], "ab c ef cd"),
        ([(r"\bcd", BLOCK), ("zz", GONE)], "acd e zz"),  # what is decided is not looked at again, but for a boundary
        ([(r"\bcd", GONE), (r"\bc", GONE), ("cde", GONE)], "acd acde cd"),
    ],
)
def test_what_is_told_whole_and_in_pieces(rules: list[tuple[str, dict[str, Any]]], text: str) -> None:
    for engine in ENGINES.values():
        made = [rule_of(f"r{number}", pattern, engine, **how) for number, (pattern, how) in enumerate(rules)]
        policy = policy_of(made, engine)
        wanted = judged(policy, text)
        assert wanted.released != text or wanted.shadow
        for size in (1, 2, 3, 5, 100):
            assert governed(policy, [text[place : place + size] for place in range(0, len(text), size)]) == wanted
        for place in range(len(text)):
            assert governed(policy, [text[:place], text[place:]]) == wanted


def test_a_rule_that_holds_all_releases_at_the_end() -> None:
    engine = ENGINES["re2"]
    governor = OutputGovernor(policy_of([rule_of("r", "a+b", engine, hold=True, **GONE)], engine), Facts())
    governor.receive_text("plain text, ")
    governor.receive_text("a" * 1000)
    assert released(governor) == []
    governor.receive_text("b.")
    governor.end()
    assert released(governor) == ["plain text, [gone]."]


def test_nothing_is_decided_of_a_text_that_is_held() -> None:
    engine = ENGINES["re2"]
    policy = policy_of([rule_of("r", "ab", engine, hold=True, **GONE)], engine)
    scanner = Scanner(policy.rule_set(policy.rules))
    for _ in range(2):
        assert scanner.receive_text("ab c") == Decided("", 0, ())
    assert scanner.end() == Decided("ab cab c", 0, [Match(0, 0, 2), Match(4, 0, 6)])


def test_what_is_kept_of_a_long_text_is_short() -> None:
    governor = OutputGovernor(Policy.parse(POLICY, "p"), Facts())
    assert governor._scanner is not None
    for piece in ["some words, and ", "ｆｕｌｌ  ones\n\n", "\u4e2d\u6587 \xad"] * 300:
        governor.receive_text(piece)
        scanner = governor._scanner
        assert len(scanner._raw.text) + len(scanner._norm.text) + len(scanner._unit) < 40
    assert "".join(released(governor)).startswith("some words, and ｆｕｌｌ  ones")


def test_many_rules_are_judged_as_few_are() -> None:
    """Their beginnings are searched in groups."""
    engine = ENGINES["re2"]
    rules = [rule_of(f"r{number}", f"w{number:02d}[a-f]{{3,{number}}}z", engine, redact="-") for number in range(3, 99)]
    policy = policy_of(rules, engine)
    text = "w50abcw98abcdz w03abcz w40abcdefabcdefz w97abcdefw50aaaz"
    assert judged(policy, text).released == "w50abc- - - w97abcdef-"
    for size in (1, 2, 3, 7):
        assert governed(policy, [text[place : place + size] for place in range(0, len(text), size)]) == judged(
            policy, text
        )


class Counting(Re2Engine):
    """Counts what it compiles."""

    compiled = 0

    def _searcher(self, pattern: str) -> Searcher:
        self.compiled += 1
        return super()._searcher(pattern)


@pytest.mark.parametrize(("more", "prepared"), [("", True), ('agents = ["a"]\n', False)])
def test_what_judges_outputs_is_made_as_a_policy_is_read(more: str, prepared: bool) -> None:
    """The first output does not wait for it; under conditions it is made as an execution is decided."""
    engine, facts = Counting(), Facts(agent="a")
    policy = Policy.parse(POLICY + more, "p", engine=engine)
    read = engine.compiled
    policy.prepare(facts)
    assert (engine.compiled == read) == prepared
    read = engine.compiled
    governor = OutputGovernor(policy, facts)
    for piece in ("it is sk-ab", "cd sk-"):
        governor.receive_text(piece)
    governor.end()
    assert [event.text for event in governor.events() if isinstance(event, ReleasedText)][-1] == "sk-"
    assert engine.compiled == read
