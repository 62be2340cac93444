"""How a body is laid out: what `build` writes, `parse` takes out again, and names all that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_proto._body_schemas import FieldError, Param, build, params_of, parse

LAYOUT: dict[str, Any] = {
    "name": Param("name", str, filled=True),
    "inner": {
        "count": Param("count", int, 3),
        "flag": Param("flag", bool, False),
        "deep": {"map": Param("map", dict, None)},
    },
    "fixed": ["*"],
}
ARGUMENTS = {"name": "n", "count": 1, "flag": True, "map": {"a": 1}}
BODY = {"name": "n", "inner": {"count": 1, "flag": True, "deep": {"map": {"a": 1}}}, "fixed": ["*"]}
DEFAULTS = {"name": "n", "count": 3, "flag": False, "map": None}


def taken(body: object) -> tuple[dict[str, Any], list[FieldError]]:
    problems: list[FieldError] = []
    return dict(parse(LAYOUT, body, ["body"], problems)), problems


def test_args_finds_those_of_the_inner_objects_too() -> None:
    assert [arg.name for arg in params_of(LAYOUT)] == ["name", "count", "flag", "map"]


def test_what_is_built_is_parsed_again() -> None:
    assert build(LAYOUT, ARGUMENTS) == BODY
    assert taken(BODY) == (ARGUMENTS, [])


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n"},
        {"name": "n", "inner": None},
        {"name": "n", "inner": {}},
        {"name": "n", "inner": {"deep": None}},
        {"name": "n", "inner": {"deep": {"map": None}}, "unknown": 1, "fixed": 7},
    ],
    ids=str,
)
def test_what_is_missing_has_its_default_and_what_is_unknown_is_ignored(body: dict[str, Any]) -> None:
    assert taken(body) == (DEFAULTS, [])


def test_every_problem_is_named_with_its_place() -> None:
    arguments, problems = taken({"inner": {"count": True, "flag": 1, "deep": {"map": []}}})
    assert arguments == {}
    assert [(".".join(problem["loc"]), problem["msg"], problem["type"]) for problem in problems] == [
        ("body.name", "the field is missing", "missing"),
        ("body.inner.count", "must be a whole number, not a boolean", "value_error"),
        ("body.inner.flag", "must be a boolean, not a whole number", "value_error"),
        ("body.inner.deep.map", "must be an object or null, not a list", "value_error"),
    ]


@pytest.mark.parametrize(("written", "message"), [("1.0", None), ("1e2", None), ("1.5", "a number with a fraction")])
def test_a_whole_number_may_be_written_with_a_point(written: str, message: str | None) -> None:
    problems: list[FieldError] = []
    arguments = dict(parse({"n": Param("n", int)}, json.loads(f'{{"n": {written}}}'), ["body"], problems))
    if message is None:
        assert (type(arguments["n"]), problems) == (int, [])
    else:
        assert problems[0]["msg"] == f"must be a whole number, not {message}"


@pytest.mark.parametrize("body", [[], "x", 1, None, True], ids=repr)
def test_a_body_that_is_not_an_object(body: object) -> None:
    arguments, [problem] = taken(body)
    assert arguments == {}
    assert (problem["loc"], problem["type"]) == (["body"], "type_error")
    assert problem["msg"].startswith("must be an object, not ")


def test_an_inner_object_that_is_none() -> None:
    _, problems = taken({"name": "n", "inner": [1]})
    assert problems == [FieldError(loc=["body", "inner"], msg="must be an object, not a list", type="type_error")]


@pytest.mark.parametrize(
    ("arg", "value", "message"),
    [
        (Param("a", str), "", None),
        (Param("a", str), 1, "must be a str, not int"),
        (Param("a", str), None, "must be a str, not None"),
        (Param("a", str), b"x", "must be a str, not bytes"),
        (Param("a", str, None), None, None),
        (Param("a", str, None), 1, "must be a str or None, not int"),
        (Param("a", str, "x"), None, "must be a str, not None"),
        (Param("a", str, filled=True), "", "must not be empty"),
        (Param("a", int), 0, None),
        (Param("a", int), True, "must be an int, not bool"),
        (Param("a", int), 1.0, "must be an int, not float"),
        (Param("a", bool), True, None),
        (Param("a", bool), 1, "must be a bool, not int"),
        (Param("a", dict), {}, None),
        (Param("a", dict), [], "must be a dict, not list"),
    ],
    ids=repr,
)
def test_values_that_a_param_refuses(arg: Param, value: object, message: str | None) -> None:
    assert arg.accepts(value) == (message is None)
    assert message is None or arg.refusal(value) == message


def test_an_argument_is_not_a_secret_and_may_be_empty_unless_it_says_so() -> None:
    arg = Param("name", str)
    assert (arg.secret, arg.filled) == (False, False)
    assert arg.accepts("")
