"""Reads the tables of a TOML file, and gathers all mistakes in it, each with its line and key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from hestiaos_local.toml._lines import KeyLines, Path

__all__ = ["ConfigurationError", "Table", "TomlFile", "read_text"]

C = TypeVar("C", bound=str)

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigurationError(ValueError):
    """A configuration file cannot be used. `mistakes` has a line for each: where, what, and what would be right."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes: tuple[str, ...] = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)


def read_text(
    path: str | os.PathLike[str],
    error: Callable[[Iterable[str]], Exception] = ConfigurationError,
    *,
    check: Callable[[os.stat_result], str | None] = lambda status: None,
) -> str:
    """The text of a file. `check` says why a file with this status may not be used.

    Raises `error` then, and where the file cannot be read, or is not UTF-8.
    """
    source = os.fspath(path)
    try:
        with open(path, "rb") as file:
            if (mistake := check(os.fstat(file.fileno()))) is not None:
                raise error([f"{source}: {mistake}"])
            data = file.read()
    except FileNotFoundError:
        raise error([f"{source}: there is no such file"]) from None
    except (OSError, ValueError) as fault:  # a ValueError for a path that no file can have
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise error([f"{source}: the file cannot be read: {why}"]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error([f"{source}, line {line}: this is not UTF-8: save the file in that encoding"]) from None


class TomlFile:
    """The text of a file; `source` is what mistakes call it.

    Raises `error` for what is not TOML, with the line that says so.
    """

    def __init__(
        self, text: str, source: str, error: Callable[[Iterable[str]], Exception] = ConfigurationError
    ) -> None:
        self._source = source
        self._error = error
        self._mistakes: list[tuple[int, str]] = []
        self._lines: KeyLines | None = None
        text = text.replace("\r\n", "\n")  # as TOML has it, and tomllib
        try:
            self.document: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as fault:
            place = _PLACE.search(str(fault))
            line = int(place[1]) if place is not None and place[1] else text.count("\n") + 1
            why = _PLACE.sub("", str(fault))
            raise error([f"{source}, line {line}: this is not TOML: {why}"]) from None
        except (ValueError, RecursionError) as fault:  # a number of thousands of digits, or values inside each other
            raise error([f"{source}: this cannot be read: {fault}"]) from None
        self._text = text
        self.root: Table = Table(self, self.document, ())

    def refuse(self, path: Path, why: str) -> None:
        """Note a mistake."""
        self._mistakes.append((self.line(path), f"{_shown(path)}{' ' if path else ''}{why}"))

    def line(self, path: Path) -> int:
        """The line of a key."""
        if self._lines is None:  # most files have no mistakes
            from hestiaos_local.toml._lines import KeyLines

            self._lines = KeyLines(self._text)
        return self._lines.line(path)

    def check(self) -> None:
        """Raise the error where there are mistakes, in the order of their lines."""
        if self._mistakes:
            raise self._error(
                f"{self._source}, line {line}: {why}" for line, why in sorted(self._mistakes, key=lambda each: each[0])
            )


class Table:
    """One table: each method takes a key's value, notes a mistake in it, and returns a value to continue with."""

    def __init__(self, file: TomlFile, values: Mapping[str, Any], path: Path) -> None:
        self._file = file
        self._values = values
        self._path = path
        self._known: list[str] = []

    def refuse(self, key: str, why: str) -> None:
        """Note a mistake in a key."""
        self._file.refuse((*self._path, key), why)

    def refuse_all(self, why: str) -> None:
        """Note a mistake in the table itself."""
        self._file.refuse(self._path, why)

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

    def string(self, key: str) -> str | None:
        """A text that may be empty; `None` where there is none."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, str):
            return value
        self.refuse(key, f"must be a string, not {_kind(value)}")
        return None

    def number(self, key: str, *, needed: bool = False) -> int | None:
        """A whole number from 1 on; `None` where there is none."""
        value = self._take(key, needed)
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

    def choice(self, key: str, choices: Collection[str], *, needed: bool = False) -> str | None:
        """One of these texts; `None` where there is none."""
        value = self._take(key, needed)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        self.refuse(key, f"must be {_listed([_quoted(each) for each in choices])}, not {_shown_value(value)}")
        return None

    def choices(self, key: str, choices: Collection[C], *, needed: bool = False) -> tuple[C, ...]:
        """A list of some of these texts, in their order; `()` where there is none."""
        value = self._take(key, needed)
        if value is None:
            return ()
        if isinstance(value, list) and value and all(isinstance(each, str) and each in choices for each in value):
            return tuple(each for each in choices if each in value)
        listed = _listed([_quoted(each) for each in choices])
        self.refuse(key, f"must be a list that is not empty, of {listed}")
        return ()

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of them, none of them empty; `()` where there is none."""
        value = self._take(key, needed=False)
        values = [value] if isinstance(value, str) else value
        if value is None or (isinstance(values, list) and values and all(isinstance(e, str) and e for e in values)):
            return tuple(values or ())
        self.refuse(key, f"must be a string, or a list of strings, that is not empty, not {_shown_value(value)}")
        return ()

    def fraction(self, key: str) -> float | None:
        """A number from 0 to 1; `None` where there is none."""
        value = self._take(key, needed=False)
        if value is None:
            return None
        if type(value) in (int, float) and 0 <= value <= 1:
            return float(value)
        self.refuse(key, f"must be a number from 0 to 1, not {_shown_value(value)}")
        return None

    def truth(self, key: str) -> bool:
        """A Boolean; false if it is missing."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(key, f"must be true or false, not {_shown_value(value)}")
        return False

    def value(self, key: str) -> Any:
        """Whatever is there; `None` where nothing is."""
        return self._take(key, needed=False)

    def table(self, key: str) -> Table | None:
        """A table; `None` where there is none."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, dict):
            return None if value is None else Table(self._file, value, (*self._path, key))
        self.refuse(key, f"must be a table, not {_kind(value)}")
        return None

    def keys(self) -> tuple[str, ...]:
        """The keys that are there, in their order."""
        return tuple(self._values)

    @property
    def line(self) -> int:
        """The line that the table begins at."""
        return self._file.line(self._path)

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
        """Note every key that was not asked for."""
        for key in self._values:
            if key not in self._known:
                self.refuse(key, f"is not known: write {_listed(self._known)}")

    def _take(self, key: str, needed: bool) -> Any:
        if key not in self._known:
            self._known.append(key)
        if needed and key not in self._values:
            self._file.refuse(self._path, f"needs {key}, which is missing")
        return self._values.get(key)


def _shown(path: Path) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix(".")


def _quoted(text: str) -> str:
    return f'"{text}"'


def _shown_value(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) and len(value) <= 40 and value.isprintable() else _kind(value)


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
