"""The texts of a JSON value."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from hestiaos_local.governance import Facts, texts_of
from hestiaos_local.governance._facts import arguments_of, at_path


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
                *("dd if=x of=y", "cmd=dd args if=x of=y", "cmd dd args if=x of=y", "dd/if=x/of=y"),
            ),
        ),
        (
            {"dd": {"if": "x", "of": "y z"}},
            ("x", "y z", "dd", "if", "of", "x y z", "dd if=x of=y z", "dd if x of y z"),
        ),
        (["rm", 1, None, True, 0.5], ("rm", "1", "null", "true", "0.5", "rm 1 null true 0.5", "rm/1/null/true/0.5")),
        ({"a": []}, ("a", "")),
        (["x", "/y"], ("x", "/y", "x /y", "x//y", "/y/x\n/y//y")),
    ],
)
def test_texts(value: Any, texts: tuple[str, ...]) -> None:
    assert set(texts_of(value)) == set(texts)


def test_only_short_values_without_spaces_are_parts_of_paths_and_not_too_many() -> None:
    short = [f"/{number}" for number in range(40)]
    texts = texts_of(["a b", "c" * 256, *short])
    assert "/".join(short[:32]) in texts
    assert "\n".join(f"{short[31]}/{each}" for each in short[:32]) in texts
    assert not any(text.startswith("/32/") for text in texts)


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
        ('{"a": 1, "a": 2}', {"1", "2", "a", "1 2", "a=1 a=2", "a 1 a 2", "1/2"}),
        ('"x"', {"x"}),
        ("[1.50, null]", {"1.5", "null", "1.5 null", "1.5/null"}),
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
