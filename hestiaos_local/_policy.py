"""Governance's policy: rules in order, each a pattern on the input or on the command type, read from a TOML file.

```toml
version = 1

[[rules]]
name = "bulk-operation"
on = "input"                 # the pattern is searched in the input's text; "command": it must fit the whole type
pattern = '(?i)\\bbulk\\b'     # a Python regular expression
decision = "THROTTLE"        # ALLOW, THROTTLE or BLOCK
risk = 0.5                   # from 0 to 1
reason = "bulk operations are slowed down"
```

The first rule that matches decides; what no rule matches is allowed. The same input always gets the same decision.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Set
from functools import lru_cache
from pathlib import Path
from pkgutil import get_data
from typing import Any, Literal, NoReturn, Self, get_args

from attrs import field, frozen

__all__ = ["Decision", "Policy", "PolicyError", "Rule", "Verdict"]

Verdict = Literal["ALLOW", "THROTTLE", "BLOCK"]


class PolicyError(ValueError):
    """A policy file cannot be used; the message says in one line where and why, and what would be right."""


@frozen
class Decision:
    """What governance decided; `risk_score` goes from 0 to 1, `rule` is `None` where no rule matched."""

    verdict: Verdict
    risk_score: float
    reason: str
    rule: str | None = None

    @property
    def violations(self) -> list[dict[str, Any]]:
        """The rules that were violated, as the wire has them: empty for ALLOW."""
        if self.verdict == "ALLOW":
            return []
        return [{"rule": self.rule, "decision": self.verdict, "risk_score": self.risk_score, "reason": self.reason}]


_WINDOW = 64 * 1024  # at so many places of a text, in characters, a pattern is tried at once
_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")


@lru_cache(maxsize=256)
def _windowed(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """A pattern that matches at a place where `pattern` does at that place or at one of the next `_WINDOW`.

    `re` holds the interpreter's lock while it searches, for seconds in a long text. It is free between two windows.
    """
    flags = _FLAGS.match(pattern.pattern)  # they stand at the beginning or nowhere, and `pattern.flags` has them
    inner = pattern.pattern[flags.end() if flags is not None else 0 :]
    end = "\n" if pattern.flags & re.VERBOSE else ""  # the end of a comment
    return re.compile(f"(?s:.{{0,{_WINDOW - 1}}}?)(?:{inner}{end})", pattern.flags)


_NO_RULE = Decision("ALLOW", 0.0, "no rule matches")


@frozen
class Rule:
    """One rule: what it looks at, and what it decides."""

    name: str
    on: Literal["input", "command"]
    pattern: re.Pattern[str]
    decision: Verdict
    risk: float
    reason: str

    def matches(self, command_type: str, text: str) -> bool:
        """Whether this rule decides on the command."""
        if self.on == "command":
            return self.pattern.fullmatch(command_type) is not None
        if len(text) <= _WINDOW:
            return self.pattern.search(text) is not None
        windowed = _windowed(self.pattern)
        return any(windowed.match(text, start) for start in range(0, len(text) + 1, _WINDOW))


@frozen
class Policy:
    """Rules in order, under a name."""

    name: str
    rules: tuple[Rule, ...] = field(repr=False)

    def decide(self, command_type: str, text: str) -> Decision:
        """The decision on a command of this type (`"RUN"`) with this input."""
        for rule in self.rules:
            if rule.matches(command_type, text):
                return Decision(rule.decision, rule.risk, rule.reason, rule.name)
        return _NO_RULE

    @classmethod
    def default(cls) -> Self:
        """The policy that comes with this package, `default_policy.toml`."""
        data = get_data("hestiaos_local", "default_policy.toml")  # importlib.resources takes 20 ms to import
        assert data is not None, "the file is part of this package"
        return cls.parse(data.decode(), "default_policy.toml")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a policy file. Raises `PolicyError` for a mistake in it, and where it cannot be read."""
        source = os.fspath(path)
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            raise PolicyError(f"{source}: there is no such file") from None
        except (OSError, ValueError) as error:  # a ValueError for a path that no file can have
            why = error.strerror if isinstance(error, OSError) else error
            raise PolicyError(f"{source}: the file cannot be read: {why}") from None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise PolicyError(f"{source}, line {line}: this is not UTF-8: save the file in that encoding") from None
        return cls.parse(text, source)

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read a policy's text; `source` is what a `PolicyError` calls it, and its name where it gives none."""
        return cls(*_Reader(text, source).read())


_RULES_HEADER = re.compile(r"""\s*\[\[\s*["']?rules["']?\s*\]\]""")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TOP_KEYS = ("version", "name", "rules")
_RULE_KEYS = ("name", "on", "pattern", "decision", "risk", "reason")


class _Reader:
    """Reads one policy file, and knows the line of whatever is wrong, which `tomllib` does not tell."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._lines = text.split("\n")
        headers = [number for number, line in enumerate(self._lines, 1) if _RULES_HEADER.match(line)]
        self._sections = [1, *headers, len(self._lines) + 1]  # where the document, each rule and what follows begin

    def read(self) -> tuple[str, tuple[Rule, ...]]:
        """The policy's name and rules."""
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line = int(place[1]) if place is not None and place[1] else len(self._lines)
            self._refuse(line, f"{_TOML_PLACE.sub('', str(error))}: this is not TOML")
        self._check_keys(document, _TOP_KEYS, {"version"}, "a policy", None)
        if type(document["version"]) is not int or document["version"] != 1:
            self._refuse(self._line("version"), f"version {document['version']!r} is not known: write version = 1")
        name = document.get("name", self._source)
        if not isinstance(name, str):
            self._refuse(self._line("name"), "name must be a string")
        tables = document.get("rules", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._refuse(self._line("rules"), "rules must be tables: begin each with [[rules]]")
        return name, tuple(self._rule(table, index) for index, table in enumerate(tables))

    def _rule(self, table: Mapping[str, Any], index: int) -> Rule:
        self._check_keys(table, _RULE_KEYS, set(_RULE_KEYS), "a rule", index)
        for key in ("name", "on", "pattern", "decision", "reason"):
            if not isinstance(table[key], str):
                self._refuse(self._line(key, index), f"{key} must be a string")
        if table["on"] not in ("input", "command"):
            self._refuse(self._line("on", index), f'on = {table["on"]!r} is not known: write "input" or "command"')
        if table["decision"] not in get_args(Verdict):
            self._refuse(
                self._line("decision", index),
                f'decision = {table["decision"]!r} is not known: write "ALLOW", "THROTTLE" or "BLOCK"',
            )
        if type(table["risk"]) not in (int, float) or not 0 <= table["risk"] <= 1:
            self._refuse(self._line("risk", index), f"risk must be a number from 0 to 1, not {table['risk']!r}")
        try:
            pattern = re.compile(table["pattern"])
        except (re.error, OverflowError, RecursionError) as error:
            self._refuse(self._line("pattern", index), f"pattern is not a regular expression of Python: {error}")
        return Rule(table["name"], table["on"], pattern, table["decision"], float(table["risk"]), table["reason"])

    def _check_keys(
        self, table: Mapping[str, Any], known: tuple[str, ...], needed: Set[str], what: str, rule: int | None
    ) -> None:
        for key in table:
            if key not in known:
                self._refuse(self._line(key, rule), f"the key {key!r} is not known: {what} has {_listed(known)}")
        for key in known:
            if key in needed and key not in table:
                self._refuse(self._line(None, rule), f"{key} is missing: {what} needs {_listed(tuple(sorted(needed)))}")

    def _line(self, key: str | None, rule: int | None = None) -> int:
        """The line of a key of the document or of a rule; where it cannot be found, the one its table begins at."""
        section = 0 if rule is None else rule + 1
        if section >= len(self._sections) - 1:  # rules that are not written as [[rules]]
            return self._line("rules")
        first, end = self._sections[section : section + 2]
        if key is not None:
            written = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
            table = re.compile(rf"""\s*\[+\s*["']?{re.escape(key)}["']?\s*[\].]""")
            for number, line in enumerate(self._lines, 1):
                if (first <= number < end and written.match(line)) or (rule is None and table.match(line)):
                    return number
        return first

    def _refuse(self, line: int, why: str) -> NoReturn:
        raise PolicyError(f"{self._source}, line {line}: {why}") from None


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
