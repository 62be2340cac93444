"""The errors for a field that is missing or wrong: they have its name and the kinds, never its value."""

from __future__ import annotations

from types import NoneType
from typing import Any

import pytest

from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._fields import object_of, wrong_field

KINDS: list[tuple[Any, str]] = [
    ("hunter2", "a string"),
    (1.5, "a number"),
    (1, "a number"),
    (True, "a boolean"),
    ([], "a list"),
    (None, "null"),
]


def test_an_object_is_handed_on() -> None:
    body = {"a": 1}
    assert object_of("Model", body) is body


@pytest.mark.parametrize(("value", "called"), KINDS, ids=repr)
def test_anything_else_is_called_by_its_kind(value: Any, called: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        object_of("Model", value)
    assert caught.value.message == f"Model must be an object, not {called}"


@pytest.mark.parametrize(("value", "called"), [*KINDS, ({}, "an object")], ids=repr)
def test_a_wrong_field(value: Any, called: str) -> None:
    error = wrong_field("Model", "size", value, (str,))
    assert error.message == f"Model: the field 'size' must be a string, not {called}"


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((str, NoneType), "a string or null"),
        ((float, int), "a number"),
        ((float, int, NoneType), "a number or null"),
        ((dict, list, str, bool), "an object or a list or a string or a boolean"),
    ],
    ids=str,
)
def test_what_belongs_there_is_said_once(types: tuple[type, ...], wanted: str) -> None:
    assert wrong_field("Model", "size", b"", types, missing=True).message == "Model: the field 'size' is missing"
    assert wrong_field("Model", "size", [], types).message.endswith(f"must be {wanted}, not a list")
