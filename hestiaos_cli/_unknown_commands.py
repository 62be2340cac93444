"""What may be meant by a command that there is not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from difflib import get_close_matches

__all__ = ["meant_instead"]

_ELSEWHERE = {
    "ask": "run",
    "auth": "login",
    "init": "config path",
    "log": "trace list",
    "logs": "trace list",
    "model": "api GET /v1/models",
    "models": "api GET /v1/models",
    "prompt": "run",
    "history": "sessions list",
    "start": "serve",
    "status": "system status",
    "version": "--version",
}
"""Where other command lines have such a command, what is most like it here."""


def meant_instead(path: str, name: str, names: Sequence[str]) -> str:
    """The sentence to add; `path` is the program or the group that was asked, `names` are its commands."""
    is_group = " " in path
    if not is_group and len(name.split()) > 1:
        return f"A text is run by: {path} run {shlex.quote(name)}"
    if not is_group and name in _ELSEWHERE:
        return f"You may want '{path} {_ELSEWHERE[name]}'."
    if close := get_close_matches(name, names, 1):
        return f"Did you mean '{close[0]}'?"
    return f"There are: {', '.join(names)}." if is_group else f"'{path} help' lists them."
