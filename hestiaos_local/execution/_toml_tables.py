"""Reads the tables of a TOML file, and gathers all mistakes in it, each with its line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from hestiaos_local.execution._toml_lines import KeyLines, Path

__all__ = ["ConfigurationError", "Table", "TomlFile"]

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigurationError(ValueError):
    """A configuration file cannot be used. `mistakes` has a line for each: where, what, and what would be right."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes: tuple[str, ...] = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)


class TomlFile:
    """The text of a file; `source` is what mistakes call it. Raises `ConfigurationError` for what is not TOML."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._mistakes: list[tuple[int, str]] = []
        text = text.replace("\r\n", "\n")  # as TOML has it, and tomllib
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _PLACE.search(str(error))
            line = int(place[1]) if place is not None and place[1] else text.count("\n") + 1
            why = _PLACE.sub("", str(error))
            raise ConfigurationError([f"{source}, line {line}: this is not TOML: {why}"]) from None
        self._lines = KeyLines(text)
        self.root = Table(self, document, ())

    def refuse(self, path: Path, why: str) -> None:
        """Note a mistake."""
        self._mistakes.append((self._lines.line(path), f"{_shown(path)}{' ' if path else ''}{why}"))

    def check(self) -> None:
        """Raise `ConfigurationError` where there are mistakes, in the order of their lines."""
        if self._mistakes:
            raise ConfigurationError(
                f"{self._source}, line {line}: {why}" for line, why in sorted(self._mistakes, key=lambda each: each[0])
            )


class Table:
    """One table: each method takes a key's value, notes a mistake in it, and gives a value to go on with."""

    def __init__(self, file: TomlFile, values: Mapping[str, Any], path: Path) -> None:
        self._file = file
        self._values = values
        self._path = path
        self._known: list[str] = []

    def refuse(self, key: str, why: str) -> None:
        """Note a mistake in a key."""
        self._file.refuse((*self._path, key), why)

    def constant(self, key: str, expected: int) -> None:
        """A number that has to be there, and has to be this one."""
        value = self._take(key, needed=False)
        if type(value) is not int or value != expected:
            self.refuse(key, f"must be {expected}")

    def text(self, key: str, *, needed: bool = False) -> str | None:
        """A text that is not empty; `None` where there is none."""
        value = self._take(key, needed)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.refuse(key, "must not be empty" if isinstance(value, str) else f"must be a string, not {_kind(value)}")
        return None

    def number(self, key: str) -> int | None:
        """A whole number from 1 on; `None` where there is none."""
        value = self._take(key, needed=False)
        if value is None or (type(value) is int and value >= 1):
            return value
        self.refuse(key, "must be 1 or more" if type(value) is int else f"must be a whole number, not {_kind(value)}")
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; `None` where there is none."""
        value = self._take(key, needed=False)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.refuse(key, 'must be a list of strings: ["search"]')
        return None

    def tables(self, key: str) -> list[Table]:
        """The tables of an array."""
        value = self._take(key, needed=False)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.refuse(key, f"must be tables: begin each with [[{key}]]")
            return []
        return [Table(self._file, each, (*self._path, key, index)) for index, each in enumerate(value)]

    def close(self) -> None:
        """Note every key that nobody has asked for."""
        for key in self._values:
            if key not in self._known:
                self.refuse(key, f"is not known: write {_listed(self._known)}")

    def _take(self, key: str, needed: bool) -> Any:
        self._known.append(key)
        if needed and key not in self._values:
            self._file.refuse(self._path, f"needs {key}, which is missing")
        return self._values.get(key)


def _shown(path: Path) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix(".")


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def _listed(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
