"""The texts of a JSON value."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from hestiaos_local.governance import Facts, texts_of
from hestiaos_local.governance._facts import arguments_of, at_path, texts_in


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("x", ("x",)),
        ({}, ("",)),
        ({"a": "b c"}, ("b c", "a", "a=b c", "a b c")),
        (
            {"cmd": "dd", "args": ["if=x", "of=y"]},
            (
                *("dd", "if=x", "of=y", "cmd", "args"),
                *("dd if=x of=y", "cmd=dd args if=x of=y", "cmd dd args if=x of=y", "if=x of=y dd"),
                *("dd/if=x/of=y", "of=y/if=x/dd"),
            ),
        ),
        (
            {"dd": {"if": "x", "of": "y z"}},
            ("x", "y z", "dd", "if", "of", "x y z", "dd if=x of=y z", "dd if x of y z"),
        ),
        (
            ["rm", 1, None, True, 0.5],
            ("rm", "1", "null", "true", "0.5", "rm 1 null true 0.5", "rm/1/null/true/0.5", "0.5/true/null/1/rm"),
        ),
        ({"a": []}, ("a", "")),
        (["x", "/y"], ("x", "/y", "x /y", "x//y", "/y/x", "/y/x\n/y//y")),
        (
            {"on": "/d", "do": "f"},
            (
                "/d",
                "f",
                "on",
                "do",
                "/d f",
                "on=/d do=f",
                "on /d do f",
                "f /d",
                "/d/f",
                "f//d",
                "/d/on\n/d//d\n/d/do\n/d/f",
            ),
        ),
        (
            {"cwd": "/x", "cmd": "rm y"},
            ("/x", "rm y", "cwd", "cmd", "rm y", "cmd=rm y", "cmd rm y", "/x/cwd\n/x//x\n/x/cmd\n/x/rm\n/x/y"),
        ),
    ],
)
def test_texts(value: Any, texts: tuple[str, ...]) -> None:
    assert set(texts_of(value)) == set(texts)


def test_only_short_words_are_parts_of_paths_and_not_too_many() -> None:
    short = [f"/{number}" for number in range(40)]
    texts = texts_of(["a b", "c" * 256, *short])
    assert "/".join(short[:32]) in texts
    assert "/".join(reversed(short[:32])) in texts
    assert "\n".join(f"{short[29]}/{each}" for each in ["a", "b", *short[:30]]) in texts
    assert not any(text.startswith(("/30/", "/32/")) for text in texts)


def test_a_long_text_is_not_a_word_of_a_command() -> None:
    long = "x" * (64 * 1024 + 1)
    texts = texts_of({"do": "rm", "text": long, "args": ["-rf", "/"]})
    assert "rm -rf /" in texts
    assert [text for text in texts if len(text) > 64 * 1024] == [long]


def test_members_are_in_front_where_each_is_a_word_and_there_are_not_too_many() -> None:
    assert "y z u x\nu x y z" in texts_of({"a": "x", "b": ["y", "z"], "c": "v w", "d": "u"})
    assert "y x" in texts_of({"a": "x", "b": "y"})
    assert not any("15 0" in text for text in texts_of({str(number): str(number) for number in range(17)}))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"args": ["-rf", "/"], "do": "rm"}', "rm -rf /"),
        (' [{"args": "x", "do": "rm"}]', "rm x"),
        ('{"path": "/etc", "file": "x"}', "/etc/x"),
        (json.dumps({"input": json.dumps({"on": "x", "do": "rm"})}), "rm x"),
    ],
)
def test_a_text_that_is_json_is_read_as_what_it_says(text: str, read: str) -> None:
    assert read in texts_in(text)
    assert set(texts_of(text)) == {text, *texts_in(text)}
    assert read in texts_of({"input": text})


@pytest.mark.parametrize("text", ["rm", '"rm"', "{rm}", "[" * 2000, json.dumps(["x" * 2048]), ""])
def test_other_texts_are_read_as_they_are(text: str) -> None:
    assert texts_in(text) == ()


def test_a_deep_value_needs_no_deep_stack() -> None:
    value: Any = "end"
    for _ in range(100_000):
        value = [value]
    assert texts_of(value) == ("end",)


def test_facts_that_are_not_given_are_not_known() -> None:
    facts = Facts(texts=("secret",), arguments="secret")
    assert (facts.command_type, Facts().texts) == ("", ())
    assert [facts.tool, facts.agent, facts.session, facts.key, facts.model, Facts().arguments] == [None] * 6
    assert "secret" not in repr(facts)


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ('{"a": 1, "a": 2}', {"1", "2", "a", "1 2", "a=1 a=2", "a 1 a 2", "2 1", "1/2", "2/1"}),
        ('"x"', {"x"}),
        ("[1.50, null]", {"1.5", "null", "1.5 null", "1.5/null", "null/1.5"}),
        ("not JSON", {"not JSON"}),
    ],
)
def test_arguments_as_they_are_written(written: str, texts: set[str]) -> None:
    assert set(texts_of(arguments_of(written))) == texts


def test_what_is_not_json_is_given_twice_where_it_has_escapes() -> None:
    assert arguments_of("{x") == "{x"
    assert arguments_of(r"{\u0078") == [r"{\u0078", "{x"]
    [_, plain] = arguments_of(r"""\u004A\u004b\n\t\r\b\f\/\"\\x""")
    assert plain == 'JK\n\t\r\b\f/"\\x'


ARGUMENTS = {"run": [{"command": "a"}, {"command": ["b", "c"], "1": "d"}], "0": "e", "deep": {"run": "f"}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("0", ("e",)),
        ("deep.run", ("f",)),
        ("run.command", ("a", ["b", "c"])),
        ("run.0.command", ("a",)),
        ("run.1.command.0", ("b",)),
        ("run.2.command", ()),
        ("run.1.1", ("d",)),
        ("run.9999999999999999999999", ()),
        (f"run.{'9' * 5000}", ()),
        ("run.\u0661.command", ()),
        ("command", ()),
        ("0.x", ()),
    ],
)
def test_what_stands_at_a_path(path: str, found: tuple[Any, ...]) -> None:
    assert at_path(ARGUMENTS, path.split(".")) == found


def test_arguments_that_are_not_an_object_are_meant_whole() -> None:
    assert at_path(["a", "b"], ["x"]) == (["a", "b"],)


def test_what_json_lacks_has_a_text_too() -> None:
    assert texts_of({"at": date(2026, 1, 2)}) == texts_of({"at": '"2026-01-02"'})
