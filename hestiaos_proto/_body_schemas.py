"""The layout of a request's JSON body: as it is on the wire, with a `Param` in the place of each argument.

`build` makes the body from the arguments; `parse` reads the arguments from a body.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, TypedDict

from attrs import frozen

from hestiaos_proto._arguments import type_name

__all__ = ["BodySchema", "FieldError", "Param", "build", "params_of", "parse"]

BodySchema = dict[str, Any]

_NEEDED: Any = object()
_IN_PYTHON = {str: "a str", int: "an int", bool: "a bool", dict: "a dict", NoneType: "None"}
_IN_JSON = {
    str: "a string",
    int: "a whole number",
    float: "a number with a fraction",
    bool: "a boolean",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}


@frozen
class Param:
    """The place of an argument. A `secret` one must not get into a message, a `filled` one must not be empty."""

    name: str
    kind: type
    default: Any = _NEEDED
    secret: bool = False
    filled: bool = False

    def accepts(self, value: object) -> bool:
        """Return whether `value` can be sent as this argument."""
        if isinstance(value, self.kind):
            return not (self.filled and value == "") and not (self.kind is int and isinstance(value, bool))
        return value is None and self.default is None

    def refusal(self, value: object) -> str:
        """Return why a caller cannot send `value`, which is not accepted, without quoting it."""
        return self._refusal(value, _IN_PYTHON, type_name(value))

    def json_refusal(self, value: object) -> str:
        """Return why `value`, which was read from JSON, is not accepted, like `refusal`."""
        return self._refusal(value, _IN_JSON, _IN_JSON[type(value)])

    def _refusal(self, value: object, names: Mapping[type, str], given: str) -> str:
        if self.filled and value == "":
            return "must not be empty"
        return f"must be {names[self.kind]}{f' or {names[NoneType]}' if self.default is None else ''}, not {given}"


class FieldError(TypedDict):
    """A mistake in one field of a body, in the form of a FastAPI server."""

    loc: list[str]
    msg: str
    type: str


def params_of(layout: BodySchema) -> Iterator[Param]:
    """Yield the arguments of a layout."""
    for inner in layout.values():
        if isinstance(inner, Param):
            yield inner
        elif isinstance(inner, dict):
            yield from params_of(inner)


def build(layout: Any, arguments: Mapping[str, Any]) -> Any:
    """Return the body with these arguments."""
    if isinstance(layout, Param):
        return arguments[layout.name]
    if isinstance(layout, dict):
        return {key: build(inner, arguments) for key, inner in layout.items()}
    return layout


def parse(layout: BodySchema, body: Any, place: list[str], problems: list[FieldError]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments in a body, by name. What is missing or wrong is added to `problems`."""
    if not isinstance(body, dict):
        problems.append(FieldError(loc=place, msg=f"must be an object, not {_IN_JSON[type(body)]}", type="type_error"))
        return
    for key, inner in layout.items():
        if isinstance(inner, Param):
            value = body.get(key, inner.default)
            if inner.kind is int and type(value) is float and value.is_integer():  # JSON writes 1 as 1.0 too
                value = int(value)
            if value is _NEEDED:
                problems.append(FieldError(loc=[*place, key], msg="the field is missing", type="missing"))
            elif not inner.accepts(value):
                problems.append(FieldError(loc=[*place, key], msg=inner.json_refusal(value), type="value_error"))
            else:
                yield inner.name, value
        elif isinstance(inner, dict):
            nested = body.get(key)
            yield from parse(inner, {} if nested is None else nested, [*place, key], problems)
