"""Read the table of one rule of version 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from hestiaos_local.governance._engines import Engine, Searcher
from hestiaos_local.governance._rules import DECISIONS, Bucket, Rule, RuleKind
from hestiaos_local.toml import Table

__all__ = ["MAX_WINDOW", "read_parts", "read_rule", "seconds"]

MAX_WINDOW = 4096
"""The largest window, in characters. Each piece of an output is searched together with the held-back window."""

_KINDS = get_args(RuleKind)
_CONDITIONS = {"tools": "tool", "agents": "agent", "sessions": "session", "keys": "key", "models": "model"}
_RISKS = {"BLOCK": 1.0, "THROTTLE": 0.5}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_parts(table: Table | None) -> dict[str, str]:
    """Read the patterns that others refer to as `(?&name)`. Each may refer to those before it."""
    parts: dict[str, str] = {}
    for name in table.keys() if table is not None else ():
        assert table is not None, "a table with keys is not None"
        parts[name] = "|".join(_filled(table, name, each, parts) for each in table.text_or_texts(name))
    return parts


_LONGEST = 256 * 1024  # maximum length of a pattern, in characters
_PART = re.compile(r"\\.|\(\?&([^)]*)\)", re.DOTALL)


def _filled(table: Table, key: str, pattern: str, parts: Mapping[str, str]) -> str:
    """Replace each `(?&name)` in a pattern by the part with that name."""

    def part(match: re.Match[str]) -> str:
        if match[1] is None:  # an escape, such as of a parenthesis
            return match[0]
        if match[1] not in parts:
            table.refuse(key, f"refers to {match[0]}, but [parts] does not define {match[1]!r} (before it)")
        return f"(?:{parts.get(match[1], '')})"

    filled = _PART.sub(part, pattern)
    if len(filled) > _LONGEST:  # parts that refer to parts may grow exponentially
        table.refuse(key, f"has {len(filled)} characters with its parts inserted: {_LONGEST} is the maximum")
        return ""
    return filled


def read_rule(table: Table, engine: Engine, window: int, parts: Mapping[str, str]) -> Rule:
    """Read a rule. Mistakes are collected in the table's file.

    `window` is the default of the rule's own. Its patterns may refer to `parts`.
    """
    name = table.text("name", needed=True) or ""
    on = _kinds(table)
    sources = tuple(_filled(table, "pattern", each, parts) for each in table.text_or_texts("pattern"))
    conditions = {}
    for key, fact in _CONDITIONS.items():
        if (names := table.texts(key)) is not None:
            conditions[fact] = frozenset(names)
            if not names:
                table.refuse(key, "must not be empty: the rule would never apply")
    if "tool" in conditions and on != {"tool"}:
        table.refuse("tools", 'is for rules with on = "tool" only')
    path = table.text("path")
    if path is not None and on != {"tool"}:
        table.refuse("path", 'is for rules with on = "tool" only')
    decision, redact = _action(table, on)
    if not sources and table.value("pattern") is None and ("output" in on or redact is not None):
        table.refuse_all("needs pattern, which is missing")
    risk, reason = table.fraction("risk"), table.text("reason")
    max_tokens, bucket = table.number("max_tokens"), _bucket(table)
    for key in ("max_tokens", "bucket"):
        if table.value(key) is not None and decision != "THROTTLE":
            table.refuse(key, 'is for decision = "THROTTLE" only')
    approval = table.truth("approval")
    if approval and decision != "BLOCK":
        table.refuse("approval", 'is for decision = "BLOCK" only')
    if approval and "output" in on:
        table.refuse("approval", "is not for outputs: a model does not repeat its output after an approval")
    shadow = table.choice("mode", ("enforce", "shadow")) == "shadow"
    hold = table.choice("hold", ("all",)) is not None
    own_window = table.number("window")
    for key in ("hold", "window"):
        if table.value(key) is not None and "output" not in on:
            table.refuse(key, 'is for rules with on = "output" only')
    if own_window is not None and own_window > MAX_WINDOW:
        table.refuse("window", f"must be {MAX_WINDOW} or less")
    searchers = _compiled(table, engine, sources, on)
    ignored = tuple(_filled(table, "ignore", each, parts) for each in table.text_or_texts("ignore"))
    ignoring = _ignoring(table, engine, ignored)
    if ignored:
        _check_ignored(table, on, sources, redact)
    if searchers is not None and ("output" in on or redact is not None):
        _check_lengths(table, engine, sources, None if hold or "output" not in on else own_window or window)
    table.close()
    return Rule(
        name=name,
        on=frozenset(on),
        sources=sources,
        ignored=ignored,
        decision=decision,  # type: ignore[arg-type]  # `_action` allows decisions only
        redact=redact,
        risk=_RISKS.get(decision or "", 0.0) if risk is None else risk,
        reason=reason or f"the rule {name!r} matches",
        conditions=conditions,
        path=None if path is None else tuple(path.split(".")),
        shadow=shadow,
        approval=approval,
        hold=hold,
        max_tokens=max_tokens,
        bucket=bucket,
        searcher=searchers[0] if searchers else None,
        ignoring=ignoring,
        whole=searchers[1] if searchers else None,
    )


def _kinds(table: Table) -> set[RuleKind]:
    given = table.text_or_texts("on")
    if not given and table.value("on") is None:
        table.refuse_all("needs on, which is missing")
    for kind in given:
        if kind not in _KINDS:
            table.refuse("on", f'must be "input", "output", "tool" or "command", or a list of them, not "{kind}"')
    return {kind for kind in _KINDS if kind in given}


def _action(table: Table, on: set[RuleKind]) -> tuple[str | None, str | None]:
    """Return the decision, or the replacement of matches."""
    decision, action = table.choice("decision", DECISIONS), table.choice("action", ("redact",))
    replacement = table.string("replacement")
    if (table.value("decision") is None) == (table.value("action") is None):
        table.refuse_all('needs either decision or action = "redact"')
    if decision not in (None, "BLOCK") and "output" in on:
        table.refuse("decision", 'must be "BLOCK" on output, or write action = "redact"')
    if action is None:
        if replacement is not None:
            table.refuse("replacement", 'is for action = "redact" only')
        return decision, None
    if not on <= {"input", "output"}:
        table.refuse("action", 'is for rules with on = "input" or "output" only')
    return None, "[redacted]" if replacement is None else replacement


def _bucket(table: Table) -> Bucket | None:
    inner = table.table("bucket")
    if inner is None:
        return None
    requests, per = inner.number("requests", needed=True), seconds(inner, "per", needed=True)
    inner.close()
    return Bucket(requests or 1, per or 1.0)


def seconds(table: Table, key: str, *, needed: bool = False) -> float | None:
    """Read a duration such as `"1m"`, in seconds. Return None if it is missing."""
    text = table.text(key, needed=needed)
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        table.refuse(key, f'must be a time such as "500ms", "30s", "1m", "12h" or "7d", not "{text}"')
        return None
    return int(match[1]) * _UNITS[match[2]]


def _compiled(table: Table, engine: Engine, sources: tuple[str, ...], on: set[RuleKind]) -> tuple[Any, Any] | None:
    if not sources or not _all_are_patterns(table, "pattern", engine, sources):
        return None
    try:
        whole = engine.compile_whole("|".join(f"(?:{each})" for each in sources)) if "command" in on else None
        if "output" in on:
            engine.compile_beginnings(sources)
        return engine.compile(sources), whole
    except ValueError as error:
        table.refuse("pattern", f"cannot be used: {error}")
        return None


def _check_ignored(table: Table, on: set[RuleKind], sources: tuple[str, ...], redact: str | None) -> None:
    if not on <= {"input", "tool"}:
        table.refuse("ignore", 'is for rules with on = "input" or "tool" only')
    elif redact is not None:
        table.refuse("ignore", "is for rules with a decision only")
    elif not sources:
        table.refuse("ignore", "is for rules with a pattern only")


def _ignoring(table: Table, engine: Engine, sources: tuple[str, ...]) -> Searcher | None:
    if not sources or not _all_are_patterns(table, "ignore", engine, sources):
        return None
    _refuse_empty(table, "ignore", engine, sources)
    try:
        return engine.compile(sources)
    except ValueError as error:
        table.refuse("ignore", f"cannot be used: {error}")
        return None


def _all_are_patterns(table: Table, key: str, engine: Engine, sources: tuple[str, ...]) -> bool:
    for source in sources:
        try:
            engine.check(source)
        except ValueError as error:
            table.refuse(key, f"is not a pattern of RE2: {error}: {source}")
            return False
    return True


def _refuse_empty(table: Table, key: str, engine: Engine, sources: tuple[str, ...]) -> None:
    for source in sources:
        if engine.can_be_empty(source):
            table.refuse(key, f"must not match the empty text: {source}")


def _check_lengths(table: Table, engine: Engine, sources: tuple[str, ...], window: int | None) -> None:
    """Refuse patterns that match the empty text, or may match more than the window."""
    from hestiaos_local.governance._syntax import longest, parse  # few rules need it

    _refuse_empty(table, "pattern", engine, sources)
    for source in sources:
        length = longest(parse(source))
        if window is not None and length > window:
            size = "text of any length" if length > 1e9 else f"{int(length)} characters"
            table.refuse(
                "pattern",
                f"may match {size}, but the window is {window}: limit its repetitions, as in {{1,64}}, "
                f'or write hold = "all": {source}',
            )
