"""Read policies of version 2, with patterns in RE2's syntax. All mistakes are reported, with lines and keys.

```toml
version = 2
name = "team"
window = 256                  # how many characters of an output may be held back; this is the default

[parts]                       # patterns that others refer to
flag = '-\\w*[rf]'

[[rules]]
name = "no-wiping"
on = "tool"                   # input, output, tool or command, or a list of them
tools = ["shell"]             # conditions, all optional: tools, agents, sessions, keys, models
path = "command"              # which argument, such as "options.command"; by default every text in them
pattern = '\\brm\\s+(?&flag)'   # or a list of patterns, one of which has to match
ignore = 'rm -rf build\\b'      # removed from the text before, on input and tool; or a list
decision = "BLOCK"            # BLOCK, THROTTLE or ALLOW; or action = "redact", on input and output
risk = 0.95                   # from 0 to 1
reason = "destroys files"
approval = true               # a blocked call may be approved
mode = "shadow"               # the rule does not decide, but its matches are recorded

[[rules]]
name = "slowly"
on = "input"
keys = ["intern"]
decision = "THROTTLE"
max_tokens = 256
bucket = { requests = 10, per = "1m" }

[[rules]]
name = "card-numbers"
on = ["input", "output"]
pattern = '\\b(?:\\d{4} ){3}\\d{4}\\b'
action = "redact"
replacement = "[card]"        # the default is "[redacted]"
hold = "all"                  # hold back the whole output, as a match may be longer than the window

[[limits]]
name = "per key"
per = "key"                   # key, agent, session or all
requests = 60
tokens = 100_000
window = "1m"

[[tests]]                     # input, output, tool (with arguments) or command; agent, session, key, model
tool = "shell"
arguments = { command = "rm -rf /" }
expect = "BLOCK"              # ALLOW, THROTTLE, BLOCK or redact
rule = "no-wiping"            # optional
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hestiaos_local.governance._engines import INSTALL, Engine
from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._rule_tables import MAX_WINDOW, read_parts, read_rule, seconds
from hestiaos_local.governance._rules import DECISIONS, Limit, PolicyTest, Rule
from hestiaos_local.toml import Table, TomlFile

__all__ = ["Version2", "read_version2"]

_WINDOW = 256


class Version2(NamedTuple):
    """The contents of a file of version 2; `test_line` returns the line at which a test begins."""

    name: str
    engine: Engine
    rules: tuple[Rule, ...]
    limits: tuple[Limit, ...]
    tests: tuple[PolicyTest, ...]
    test_line: Callable[[int], int]


def read_version2(file: TomlFile, source: str, engine: Engine | None) -> Version2:
    """Read a policy. Raises `PolicyError` with all mistakes in it, or if there is no engine."""
    root = file.root
    root.constant("version", 2)
    if engine is None:
        root.refuse("version", f"2 needs RE2, which is not installed: {INSTALL}")
        file.check()
    assert engine is not None, "`root.check` raises without an engine"
    name = root.text("name") or source
    window = root.number("window") or _WINDOW
    if window > MAX_WINDOW:
        root.refuse("window", f"must be {MAX_WINDOW} or less")
        window = _WINDOW
    parts = read_parts(root.table("parts"))
    rules = [read_rule(table, engine, window, parts) for table in root.tables("rules")]
    _refuse_repeated(file, "rules", [rule.name for rule in rules])
    limits = [_limit(table) for table in root.tables("limits")]
    _refuse_repeated(file, "limits", [limit.name for limit in limits])
    tables = root.tables("tests")
    tests = [_test(table, {rule.name for rule in rules}) for table in tables]
    root.close()
    file.check()
    return Version2(name, engine, tuple(rules), tuple(limits), tuple(tests), lambda index: tables[index].line)


def _refuse_repeated(file: TomlFile, key: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name and name in names[:index]:
            file.refuse((key, index, "name"), f"must be unique: {name!r} is used already")


def _limit(table: Table) -> Limit:
    name = table.text("name", needed=True) or ""
    per = table.choice("per", ("key", "agent", "session", "all"), needed=True) or "all"
    requests, tokens = table.number("requests"), table.number("tokens")
    window = seconds(table, "window", needed=True) or 1.0
    if table.value("requests") is None and table.value("tokens") is None:
        table.refuse_all("needs requests or tokens")
    table.close()
    return Limit(name=name, per=per, window=window, requests=requests, tokens=tokens)  # type: ignore[arg-type]


_EXPECTED = (*DECISIONS, "redact")


def _test(table: Table, rules: set[str]) -> PolicyTest:
    given = [key for key in ("input", "output", "tool") if table.value(key) is not None]
    command = table.text("command")
    if len(given) > 1 or not (given or command is not None):
        table.refuse_all("needs one of input, output, tool and command")
    texts = table.string("input"), table.string("output")
    tool, arguments = table.text("tool"), table.value("arguments")
    if arguments is not None and tool is None:
        table.refuse("arguments", "needs tool, which is missing")
    expect = table.choice("expect", _EXPECTED, needed=True) or "ALLOW"
    rule = table.text("rule")
    if rule is not None and rule not in rules:
        table.refuse("rule", f"is {rule!r}, but no rule has that name")
    facts = Facts(
        command_type=command or "RUN",
        texts=() if texts[0] is None else (texts[0],),
        tool=tool,
        arguments=arguments,
        agent=table.text("agent"),
        session=table.text("session"),
        key=table.text("key"),
        model=table.text("model"),
    )
    table.close()
    return PolicyTest(facts=facts, output=texts[1], expect=expect, rule=rule)
