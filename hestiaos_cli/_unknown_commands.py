"""A suggestion for an unknown command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from difflib import get_close_matches

__all__ = ["suggestion"]

_SYNONYMS = {
    "ask": "run",
    "auth": "login",
    "auth logout": "logout",
    "auth status": "profile show",
    "auth switch": "profile use",
    "config list": "config show",
    "config set": "config edit",
    "history": "sessions list",
    "edit": "config edit",
    "init": "config edit",
    "keys set": "login",
    "list": "models",
    "log": "trace list",
    "logs": "trace list",
    "ls": "models",
    "model": "models",
    "prompt": "run",
    "start": "serve",
    "status": "system status",
    "version": "--version",
    "whoami": "profile show",
}
"""Commands of other command lines, each with the most similar one here."""


def suggestion(path: str, words: Sequence[str], names: Sequence[str]) -> str:
    """Return the sentence to add. `path` is the program or group, `words` were its arguments, `names` its commands."""
    program, *group = path.split()
    name = words[0]
    if not group and len(name.split()) > 1:
        return f"A text is run by: {path} run {shlex.quote(name)}"
    for typed in (" ".join([*group, *words[:2]]), " ".join([*group, name])):
        if typed in _SYNONYMS:
            return f"You may want '{program} {_SYNONYMS[typed]}'."
    if close := get_close_matches(name, names, 1):
        return f"Did you mean '{close[0]}'?"
    return f"There are: {', '.join(names)}." if group else f"'{path} help' lists them."
