"""Policies of version 2 for tests of the platform, around one code word and one tool."""

from __future__ import annotations

from hestiaos_local import Policy

__all__ = [
    "BLOCK",
    "DEPLOYS_NEED_APPROVAL",
    "DETAILS",
    "NO_DELETING",
    "REDACT",
    "SECRET",
    "THROTTLE",
    "limited",
    "policy",
]

SECRET = "tango-9973"

BLOCK = rf"""
on = "output"
pattern = '{SECRET}'
decision = "BLOCK"
risk = 0.9
reason = "a code word"
"""

DETAILS = {"rule": "r1", "reason": "a code word", "risk_score": 0.9, "policy": "team"}
"""The details of what the first rule has blocked, where that is `BLOCK`."""

REDACT = rf"""
on = "output"
pattern = '{SECRET}'
action = "redact"
"""

NO_DELETING = r"""
on = "tool"
tools = ["shell"]
path = "command"
pattern = '\brm\b'
decision = "BLOCK"
reason = "it deletes"
"""

THROTTLE = """
on = "input"
pattern = 'slow'
decision = "THROTTLE"
max_tokens = 3
reason = "it is slow"
"""

DEPLOYS_NEED_APPROVAL = """\
version = 2
[[rules]]
name = "deploys"
on = "input"
pattern = 'deploy'
decision = "BLOCK"
approval = true
"""
"""A whole policy, as a file has it."""


def policy(*rules: str) -> Policy:
    """A policy named `team` with these rules, each the TOML of one table but for its name: `r1`, `r2` …"""
    return _policy(_tables("rules", "r", rules))


def limited(*limits: str) -> Policy:
    """The same with these limits, each the TOML of one table but for its name: `l1`, `l2` …"""
    return _policy(_tables("limits", "l", limits))


def _policy(tables: str) -> Policy:
    return Policy.parse(f'version = 2\nname = "team"\n{tables}', "team.toml")


def _tables(key: str, name: str, tables: tuple[str, ...]) -> str:
    return "".join(f'[[{key}]]\nname = "{name}{number}"\n{table}\n' for number, table in enumerate(tables, 1))
