"""The query of a request's target: optional arguments of the operations that have no body (RFC 3986, section 3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from hestiaos_proto._body_schemas import FieldError, Param

__all__ = ["build_query", "parse_query"]

_WHOLE = re.compile(r"-?[0-9]{1,18}")  # what a signed integer of 64 bits can hold


def build_query(params: tuple[Param, ...], arguments: Mapping[str, Any]) -> str:
    """Return the query with its question mark, without the arguments that are `None`, or `""` if there is none.

    Raises `ValueError` for a lone surrogate.
    """
    given = [(param.name, arguments[param.name]) for param in params if arguments[param.name] is not None]
    return "?" + "&".join(f"{name}={_escape(name, str(value))}" for name, value in given) if given else ""


def _escape(name: str, value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: a lone surrogate at position {error.start} cannot be sent as UTF-8") from None


def parse_query(params: tuple[Param, ...], target: str, problems: list[FieldError]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments in a target's query, by name. What is wrong is added to `problems`.

    If a name occurs twice, the last counts, and an unknown name is ignored. A `+` is a space, as forms
    write it.
    """
    given: dict[str, str] = {}
    for pair in target.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        given[name] = value
    for param in params:
        if param.name not in given:
            yield param.name, param.default
            continue
        try:
            yield param.name, _value(param, given[param.name])
        except ValueError as error:
            problems.append(FieldError(loc=["query", param.name], msg=str(error), type="value_error"))


def _value(param: Param, written: str) -> str | int:
    try:
        text = unquote_to_bytes(written.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if param.kind is str:
        return text
    if not _WHOLE.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)
