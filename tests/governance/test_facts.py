"""The texts of a JSON value."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local.governance import texts_of


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("x", ("x",)),
        ({}, ("",)),
        (
            {"cmd": "dd", "args": ["if=x", "of=y"]},
            ("dd", "if=x", "of=y", "cmd", "args", "dd if=x of=y", "cmd=dd args if=x of=y"),
        ),
        ({"dd": {"if": "x", "of": "y"}}, ("x", "y", "dd", "if", "of", "x y", "dd if=x of=y")),
        (["rm", 1, None, True, 0.5], ("rm", "1", "null", "true", "0.5", "rm 1 null true 0.5")),
        ({"a": []}, ("a", "")),
    ],
)
def test_texts(value: Any, texts: tuple[str, ...]) -> None:
    assert set(texts_of(value)) == set(texts)


def test_a_deep_value_needs_no_deep_stack() -> None:
    value: Any = "end"
    for _ in range(100_000):
        value = [value]
    assert texts_of(value) == ("end",)
