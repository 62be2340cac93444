"""The facts that a verdict is based on, and the texts in a JSON value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Facts", "arguments_of", "at_path", "texts_in", "texts_of"]


@frozen(kw_only=True)
class Facts:
    """The facts of an execution or, if `tool` is given, of a call of that tool with these `arguments`.

    `command_type` is the type of the command (`"RUN"`), `texts` are its inputs, `key` is the name of the caller's API
    key.
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
    """A JSON object with all its members, since parsers differ in which of two with the same name they use."""


def arguments_of(text: str) -> Any:
    """Parse the arguments of a tool call. Return invalid JSON as text, with and without its escapes."""
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
    """Return every text in a JSON value, including keys, and the commands and paths that they may form.

    A command is formed of all values in order; of keys and values, joined in two ways, so that `{"dd": {"of": "x"}}`
    yields `dd of=x` and `dd of x`; and with each member that is a word moved to the front, so that
    `{"on": "/dev/x", "do": "mkfs"}` yields `mkfs /dev/x`. A path is formed of directories and names, so that
    `{"folder": "/etc", "file": "shadow"}` yields `/etc/shadow`.
    """
    if isinstance(value, str):
        return (value, *texts_in(value))
    read = _Reading(value)
    inner = (text for leaf in read.values for text in texts_in(leaf))
    return tuple(dict.fromkeys([*read.values, *read.keys, *read.commands(), *read.paths(), *inner]))


def texts_in(text: str) -> tuple[str, ...]:
    """Return the commands and paths that the values of a JSON object or array may form, if the text is one."""
    if len(text) > _LONGEST_JSON or text.strip()[:1] not in ("{", "["):
        return ()
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return ()
    read = _Reading(value)
    inner = (text for leaf in read.values for text in texts_in(leaf))
    return (*read.commands(), *read.paths(), *inner)


_LONGEST_JSON = 2048  # characters, enough for a command with its arguments
_NAME = re.compile(r"\S{1,255}")
_MOST_NAMES = 32  # the number of paths is its square
_MOST_MEMBERS = 16  # each is moved to the front once
_LONGEST_OPERAND = 64 * 1024  # characters; a longer text is not copied into commands
_FOLDERS = frozenset(("cwd", "pwd", "workdir", "work_dir", "working_dir", "workingdirectory", "working_directory"))
"""Keys of the directory in which a command is executed, which is not one of its words."""


class _Reading:
    """The keys and values of a JSON value in order."""

    def __init__(self, value: Any) -> None:
        self.keys: list[str] = []
        self.values: list[str] = []
        self._operands: list[str] = []  # the values that may be words of a command
        self._words: list[str] = []  # keys and values
        self._members: list[list[str]] = []  # key-value pairs
        self._units: list[list[str]] = []  # the values of each member, all elements of an array together
        for key, leaf in _walked(value):
            self._words += [text for text in (key, leaf) if text]
            if key is not None:
                self.keys.append(key)
            if leaf is not None:
                self.values.append(leaf)
                if len(leaf) > _LONGEST_OPERAND or (key or "").lower() in _FOLDERS:
                    continue
            if key is not None or not self._units:
                self._units.append([])
            if leaf is not None:
                self._operands.append(leaf)
                self._units[-1].append(leaf)
            self._members.append([text for text in (key, leaf) if text])

    def commands(self) -> Iterator[str]:
        """Yield the commands of the values without keys, with keys, and with each member moved to the front."""
        yield " ".join(self._operands)
        if self.keys:
            yield from (" ".join(map(between.join, self._members)) for between in "= ")
        units = [unit for unit in self._units if unit and all(map(_NAME.fullmatch, unit))]
        if 1 < len(units) <= _MOST_MEMBERS:
            words = [" ".join(unit) for unit in units]
            yield "\n".join(" ".join(words[first:] + words[:first]) for first in range(1, len(words)))

    def paths(self) -> Iterator[str]:
        """Yield the paths of the values in either order, and of each word below each word with a slash."""
        names = [value for value in self.values if _NAME.fullmatch(value)][:_MOST_NAMES]
        if len(names) > 1:
            yield "/".join(names)
            yield "/".join(reversed(names))
        words = [word for text in self._words for word in text[:_LONGEST_JSON].split() if len(word) < 256][:_MOST_NAMES]
        for folder in words:
            if "/" in folder:
                yield "\n".join(f"{folder}/{name}" for name in words)


def _walked(value: Any) -> Iterator[tuple[str | None, str | None]]:
    """Yield the key (or None) and the text (None for an array or object) of each member and element, in order."""
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
    """Return the values at a path of keys and indexes. An array without an index means each of its elements.

    Arguments that are not an object are returned whole, as a path cannot select in them.
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
