"""Read policies of version 1, whose patterns are those of Python's `re` and are applied to texts as given.

```toml
version = 1

[[rules]]
name = "bulk-operation"
on = "input"                 # search in the input's text; "command": match the whole type
pattern = '(?i)\\bbulk\\b'     # a Python regular expression
decision = "THROTTLE"        # ALLOW, THROTTLE or BLOCK
risk = 0.5                   # from 0 to 1
reason = "bulk operations are slowed down"
```

The first rule that matches decides. If no rule matches, the decision is ALLOW.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any, NoReturn

from hestiaos_local.governance._errors import PolicyError
from hestiaos_local.governance._re_engine import WholeSearcher, WindowedSearcher
from hestiaos_local.governance._rules import DECISIONS, Rule

__all__ = ["read_version1"]


def read_version1(document: Mapping[str, Any], text: str, source: str) -> tuple[str, tuple[Rule, ...]]:
    """Return the name and the rules of a policy. Raises `PolicyError` for the first mistake."""
    return _Reader(text, source).read(document)


_RULES_HEADER = re.compile(r"""\s*\[\[\s*["']?rules["']?\s*\]\]""")
_TOP_KEYS = ("version", "name", "rules")
_RULE_KEYS = ("name", "on", "pattern", "decision", "risk", "reason")


class _Reader:
    """Reads one policy file, and finds the lines of mistakes, since `tomllib` does not report positions."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._lines = text.split("\n")
        headers = [number for number, line in enumerate(self._lines, 1) if _RULES_HEADER.match(line)]
        self._sections = [1, *headers, len(self._lines) + 1]  # the first lines of the parts

    def read(self, document: Mapping[str, Any]) -> tuple[str, tuple[Rule, ...]]:
        """Return the policy's name and rules."""
        self._check_keys(document, _TOP_KEYS, {"version"}, "a policy", None)
        if type(document["version"]) is not int or document["version"] != 1:
            self._refuse(self._line("version"), f"version {document['version']!r} is not known: write version = 1 or 2")
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
        if table["decision"] not in DECISIONS:
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
        on_input = table["on"] == "input"
        return Rule(
            name=table["name"],
            on=frozenset([table["on"]]),
            sources=(table["pattern"],),
            decision=table["decision"],
            risk=float(table["risk"]),
            reason=table["reason"],
            searcher=WindowedSearcher(pattern) if on_input else None,
            whole=None if on_input else WholeSearcher(pattern),
        )

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
        """Find the line of a key of the document or of a rule, or else the first line of its table."""
        section = 0 if rule is None else rule + 1
        if section >= len(self._sections) - 1:  # the rules are not written as [[rules]]
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
        raise PolicyError([f"{self._source}, line {line}: {why}"]) from None


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
