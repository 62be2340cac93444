"""The facts that a verdict is about, and the texts that a JSON value holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Facts", "arguments_of", "at_path", "texts_of"]


@frozen(kw_only=True)
class Facts:
    """The facts of an execution, or, where `tool` is given, of a tool's call with these `arguments`.

    `command_type` is its kind (`"RUN"`), `texts` are what it is given; `key` is the name of the caller's API key.
    """

    command_type: str = ""
    texts: tuple[str, ...] = field(default=(), repr=False)
    tool: str | None = None
    arguments: Any = field(default=None, repr=False)
    agent: str | None = None
    session: str | None = None
    key: str | None = None
    model: str | None = None


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object with all its members: readers differ in which of two with the same name they take."""


def arguments_of(text: str) -> Any:
    """The arguments of a tool's call. What is not JSON is given as it is, and once more without its escapes."""
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        plain = _ESCAPE.sub(_unescaped, text)
        return text if plain == text else [text, plain]


_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["\\/bfnrt]))')
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _CONTROLS.get(escape[2], escape[2])


def texts_of(value: Any) -> tuple[str, ...]:
    """Every text in a JSON value, keys included, and how they read as the words of one command and as paths.

    The words are all values in their order, and twice more with the keys: `{"dd": {"of": "x"}}` reads `dd of=x` and
    `dd of x`. The paths are the values one below the other: `{"folder": "/etc", "file": "shadow"}` reads `/etc/shadow`.
    """
    if isinstance(value, str):
        return (value,)
    keys: list[str] = []
    values: list[str] = []
    members: list[list[str]] = []
    for key, leaf in _walked(value):
        if leaf is not None:
            values.append(leaf)
        if key is not None:
            keys.append(key)
        members.append([text for text in (key, leaf) if text])
    words = [" ".join(values), *(" ".join(map(between.join, members)) for between in "= ")]
    return tuple(dict.fromkeys([*values, *keys, *words, *_paths(values)]))


def _paths(values: Sequence[str]) -> Iterator[str]:
    """The paths that values may be parts of: all of them in their order, and each below each that is a folder."""
    names = [value for value in values if _NAME.fullmatch(value)][:_MOST_NAMES]
    if len(names) > 1:
        yield "/".join(names)
    for folder in names:
        if "/" in folder:
            yield "\n".join(f"{folder}/{name}" for name in names)


_NAME = re.compile(r"\S{1,255}")
_MOST_NAMES = 32  # the paths are as many as their square


def _walked(value: Any) -> Iterator[tuple[str | None, str | None]]:
    """Each member and element in its order: its key, if it has one, and its text, if it is not an array or object."""
    waiting: list[Iterator[tuple[str | None, Any]]] = [iter([(None, value)])]
    while waiting:
        key, inner = next(waiting[-1], (None, _END))
        if inner is _END:
            waiting.pop()
        elif (members := _members(inner)) is None:
            yield key, inner if isinstance(inner, str) else json.dumps(inner, default=str)
        else:
            if key is not None:
                yield key, None
            waiting.append(members)


_END = object()


def _members(value: Any) -> Iterator[tuple[str | None, Any]] | None:
    if isinstance(value, Mapping):
        return iter([(str(key), inner) for key, inner in value.items()])
    if isinstance(value, _Pairs):
        return iter(value)
    if isinstance(value, (list, tuple)):
        return iter([(None, inner) for inner in value])
    return None


def at_path(arguments: Any, path: Sequence[str]) -> tuple[Any, ...]:
    """The values at a path of keys and indexes; an array without an index stands for each of its elements.

    Arguments that are not an object have no such places, so that all of them are meant.
    """
    if not isinstance(arguments, (Mapping, _Pairs)):
        return (arguments,)
    found: list[Any] = [arguments]
    for name in path:
        found = [inner for value in found for inner in _inside(value, name)]
    return tuple(found)


def _inside(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, (list, tuple)) and not isinstance(value, _Pairs):
        if name.isdecimal() and name.isascii():
            yield from value[int(name) : int(name) + 1] if len(name) < 10 else ()
        else:
            for each in value:
                yield from _inside(each, name)
    else:
        yield from (inner for key, inner in _members(value) or () if key == name)
