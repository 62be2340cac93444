"""Read the tables of a TOML file, and collect all mistakes with their lines and keys."""

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
    """A configuration file cannot be used. `mistakes` has one line for each: its place, the mistake, and a remedy."""

    __module__ = "hestiaos_local"  # where it is imported from, as tracebacks show it

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
    """Read the text of a file. `check` returns why a file with this status must not be used, or None.

    Raises `error` if it must not be used, cannot be read, or is not UTF-8.
    """
    source = os.fspath(path)
    try:
        with open(path, "rb") as file:
            if (mistake := check(os.fstat(file.fileno()))) is not None:
                raise error([f"{source}: {mistake}"])
            data = file.read()
    except FileNotFoundError:
        raise error([f"{source}: there is no such file"]) from None
    except (OSError, ValueError) as fault:  # ValueError: the path cannot be a file's, such as one with a NUL
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise error([f"{source}: the file cannot be read: {why}"]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error([f"{source}, line {line}: this is not UTF-8: save the file in that encoding"]) from None


class TomlFile:
    """A TOML file. `source` is its name in messages.

    Raises `error` with the line if the text is not valid TOML.
    """

    def __init__(
        self, text: str, source: str, error: Callable[[Iterable[str]], Exception] = ConfigurationError
    ) -> None:
        self._source = source
        self._error = error
        self._mistakes: list[tuple[int, str]] = []
        self._lines: KeyLines | None = None
        text = text.replace("\r\n", "\n")  # as tomllib does
        try:
            self.document: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as fault:
            place = _PLACE.search(str(fault))
            line = int(place[1]) if place is not None and place[1] else text.count("\n") + 1
            why = _PLACE.sub("", str(fault))
            raise error([f"{source}, line {line}: this is not TOML: {why}"]) from None
        except (ValueError, RecursionError) as fault:  # a number with thousands of digits, or deeply nested values
            raise error([f"{source}: this cannot be read: {fault}"]) from None
        self._text = text
        self.root: Table = Table(self, self.document, ())

    def refuse(self, path: Path, why: str) -> None:
        """Record a mistake."""
        self._mistakes.append((self.line(path), f"{_shown(path)}{' ' if path else ''}{why}"))

    def line(self, path: Path) -> int:
        """Return the line of a key."""
        if self._lines is None:  # most files have no mistakes
            from hestiaos_local.toml._lines import KeyLines

            self._lines = KeyLines(self._text)
        return self._lines.line(path)

    def check(self) -> None:
        """Raise the error if there are mistakes, in the order of their lines."""
        if self._mistakes:
            raise self._error(
                f"{self._source}, line {line}: {why}" for line, why in sorted(self._mistakes, key=lambda each: each[0])
            )


class Table:
    """A table. Each method reads the value of a key, records a mistake in it, and returns a usable value anyway."""

    def __init__(self, file: TomlFile, values: Mapping[str, Any], path: Path) -> None:
        self._file = file
        self._values = values
        self._path = path
        self._known: list[str] = []

    def refuse(self, key: str, why: str) -> None:
        """Record a mistake in a key."""
        self._file.refuse((*self._path, key), why)

    def refuse_all(self, why: str) -> None:
        """Record a mistake in the table itself."""
        self._file.refuse(self._path, why)

    def constant(self, key: str, expected: int) -> None:
        """Read a required number that has to be this one."""
        value = self._take(key, needed=False)
        if type(value) is not int or value != expected:
            self.refuse(key, f"must be {expected}")

    def text(self, key: str, *, needed: bool = False) -> str | None:
        """Read a string that must not be empty. Return None if it is missing."""
        value = self._take(key, needed)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.refuse(key, "must not be empty" if isinstance(value, str) else f"must be a string, not {_kind(value)}")
        return None

    def string(self, key: str) -> str | None:
        """Read a string that may be empty. Return None if it is missing."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, str):
            return value
        self.refuse(key, f"must be a string, not {_kind(value)}")
        return None

    def number(self, key: str, *, needed: bool = False) -> int | None:
        """Read a whole number of 1 or more. Return None if it is missing."""
        value = self._take(key, needed)
        if value is None or (type(value) is int and value >= 1):
            return value
        self.refuse(key, "must be 1 or more" if type(value) is int else f"must be a whole number, not {_kind(value)}")
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Read a list of strings. Return None if it is missing."""
        value = self._take(key, needed=False)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.refuse(key, 'must be a list of strings: ["search"]')
        return None

    def choice(self, key: str, choices: Collection[str], *, needed: bool = False) -> str | None:
        """Read one of these strings. Return None if it is missing."""
        value = self._take(key, needed)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        self.refuse(key, f"must be {_listed([_quoted(each) for each in choices])}, not {_shown_value(value)}")
        return None

    def choices(self, key: str, choices: Collection[C], *, needed: bool = False) -> tuple[C, ...]:
        """Read a list of some of these strings, and return them in the order of `choices`, or () if it is missing."""
        value = self._take(key, needed)
        if value is None:
            return ()
        if isinstance(value, list) and value and all(isinstance(each, str) and each in choices for each in value):
            return tuple(each for each in choices if each in value)
        listed = _listed([_quoted(each) for each in choices])
        self.refuse(key, f"must be a list that is not empty, of {listed}")
        return ()

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """Read a string or a list of strings, none of them empty. Return () if it is missing."""
        value = self._take(key, needed=False)
        values = [value] if isinstance(value, str) else value
        if value is None or (isinstance(values, list) and values and all(isinstance(e, str) and e for e in values)):
            return tuple(values or ())
        self.refuse(key, f"must be a string, or a list of strings, that is not empty, not {_shown_value(value)}")
        return ()

    def fraction(self, key: str) -> float | None:
        """Read a number from 0 to 1. Return None if it is missing."""
        value = self._take(key, needed=False)
        if value is None:
            return None
        if type(value) in (int, float) and 0 <= value <= 1:
            return float(value)
        self.refuse(
            key, f"must be a number from 0 to 1, not {value if type(value) in (int, float) else _shown_value(value)}"
        )
        return None

    def truth(self, key: str) -> bool:
        """Read a Boolean. Return False if it is missing."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.refuse(key, f"must be true or false, not {_shown_value(value)}")
        return False

    def value(self, key: str) -> Any:
        """Return the value without checks, or None if it is missing."""
        return self._take(key, needed=False)

    def table(self, key: str) -> Table | None:
        """Read a table. Return None if it is missing."""
        value = self._take(key, needed=False)
        if value is None or isinstance(value, dict):
            return None if value is None else Table(self._file, value, (*self._path, key))
        self.refuse(key, f"must be a table, not {_kind(value)}")
        return None

    def keys(self) -> tuple[str, ...]:
        """Return the keys of the table, in order."""
        return tuple(self._values)

    @property
    def line(self) -> int:
        """Return the line at which the table begins."""
        return self._file.line(self._path)

    def tables(self, key: str) -> list[Table]:
        """Read an array of tables."""
        value = self._take(key, needed=False)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.refuse(key, f"must be tables: begin each with [[{key}]]")
            return []
        return [Table(self._file, each, (*self._path, key, index)) for index, each in enumerate(value)]

    def close(self) -> None:
        """Record a mistake for every key that was not read."""
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
