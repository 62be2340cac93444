"""Find the lines of keys in a TOML document, which `tomllib` does not report (TOML 1.0.0)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

__all__ = ["KeyLines", "Path"]

Path = tuple[str | int, ...]
"""The path of a value: `("models", 0, "url")`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
# The tokens of a value: multi-line strings first, since their quotes begin like those of other strings.
_TOKEN = re.compile(
    r""""{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{}]|\n|[^"'#\[\]{}\n]+""",
    re.DOTALL,
)


class KeyLines:
    """The lines of the keys of a document. `text` must be valid TOML."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # for each array of tables, the index of its last table
        self._counted = (0, 1)  # a position in the text, and its line
        table: Path = ()
        while self._skip(_BLANK) < len(text):
            line = self._line()
            if text.startswith("[", self._place):
                table = self._header(line)
            else:
                self._note((*table, *self._key()), line)
                self._value()

    def line(self, path: Path) -> int:
        """Return the line of a key. For a key inside a value, such as an inline table, it is the line of the value."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _header(self, line: int) -> Path:
        array = self._text.startswith("[[", self._place)
        self._place += 2 if array else 1
        path: Path = ()
        parts = self._key()
        for number, part in enumerate(parts, 1):
            path = (*path, part)
            if array and number == len(parts):
                self._counts[path] = self._counts.get(path, -1) + 1
                self._lines.setdefault(path, line)
            if path in self._counts:
                path = (*path, self._counts[path])
        self._place += 2 if array else 1
        self._note(path, line)
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            match = _KEY_PART.match(self._text, self._place)
            assert match is not None, "the text is valid TOML"
            self._place = match.end()
            written = match[1]
            parts.append(tomllib.loads(f"key = {written}")["key"] if written[0] in "\"'" else written)
            if not self._text.startswith(".", self._place):
                return parts
            self._place += 1

    def _value(self) -> None:
        depth = 0
        self._place += 1  # the equals sign
        while (match := _TOKEN.match(self._text, self._place)) is not None:
            if match[0] == "\n" and depth == 0:
                return
            self._place = match.end()
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)

    def _note(self, path: Sequence[str | int], line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(tuple(path[:length]), line)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._place)
        assert match is not None, "the pattern matches the empty text"
        self._place = match.end()
        return self._place

    def _line(self) -> int:
        place, line = self._counted
        self._counted = (self._place, line + self._text.count("\n", place, self._place))
        return self._counted[1]
