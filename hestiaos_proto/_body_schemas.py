"""How a request's JSON body is laid out: as it stands on the wire, with an `Param` wherever an argument goes.

`build` makes the body of the arguments; `parse` takes the arguments out of the body again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from attrs import frozen

__all__ = ["BodySchema", "FieldError", "Param", "build", "params_of", "parse"]

BodySchema = dict[str, Any]

_NEEDED: Any = object()
_CALLED = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object"}


@frozen
class Param:
    """Where an argument stands; `secret` ones never get into a message, `filled` ones may not be empty."""

    name: str
    kind: type
    default: Any = _NEEDED
    secret: bool = False
    filled: bool = False

    def refusal(self, value: object) -> str | None:
        """Why `value` cannot be sent as this argument, without quoting it; `None` where it can."""
        if self.filled and value == "":
            return "it must not be empty"
        if isinstance(value, self.kind) and not (self.kind is int and isinstance(value, bool)):
            return None
        if value is None and self.default is None:
            return None
        return _CALLED[self.kind] + (" or null" if self.default is None else "") + " belongs here"


class FieldError(TypedDict):
    """What is wrong with one field of a body, in the form of a FastAPI server."""

    loc: list[str]
    msg: str
    type: str


def params_of(layout: BodySchema) -> Iterator[Param]:
    """The arguments of a layout."""
    for inner in layout.values():
        if isinstance(inner, Param):
            yield inner
        elif isinstance(inner, dict):
            yield from params_of(inner)


def build(layout: Any, arguments: Mapping[str, Any]) -> Any:
    """The body that a layout becomes with these arguments."""
    if isinstance(layout, Param):
        return arguments[layout.name]
    if isinstance(layout, dict):
        return {key: build(inner, arguments) for key, inner in layout.items()}
    return layout


def parse(layout: BodySchema, body: Any, place: list[str], problems: list[FieldError]) -> Iterator[tuple[str, Any]]:
    """The arguments that a body holds, by name; what is missing or wrong is added to `problems`."""
    if not isinstance(body, dict):
        problems.append(FieldError(loc=place, msg="an object belongs here", type="type_error"))
        return
    for key, inner in layout.items():
        if isinstance(inner, Param):
            value = body.get(key, inner.default)
            if value is _NEEDED:
                problems.append(FieldError(loc=[*place, key], msg="the field is missing", type="missing"))
            elif (refusal := inner.refusal(value)) is not None:
                problems.append(FieldError(loc=[*place, key], msg=refusal, type="value_error"))
            else:
                yield inner.name, value
        elif isinstance(inner, dict):
            nested = body.get(key)
            yield from parse(inner, {} if nested is None else nested, [*place, key], problems)
