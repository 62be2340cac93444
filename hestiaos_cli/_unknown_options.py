"""Suggestions for unknown options."""

from __future__ import annotations

__all__ = ["meant_by_option"]

_MODEL = "An agent (--agent-id ID) has its model, or else the server chooses one: 'hestiaos help models' says how."
_SYSTEM = "An agent (--agent-id ID) has its system prompt."
_FIELDS = "--field NAME prints one field, as in -q trace_id."
_FILE = "A text is read from standard input: hestiaos run 'summarise' < FILE."

_PLACE = "--host and --port say where it listens."
_METHOD = "The method precedes the path: hestiaos api POST PATH."
_HERE = {
    "hestiaos api": {"-X": _METHOD, "--method": _METHOD, "--request": _METHOD},
    "hestiaos serve": {"-u": _PLACE, "--base-url": _PLACE, "-p": _PLACE, "--bind": _PLACE},
}
"""Options that one command does not take, each with what it takes instead."""

_ELSEWHERE = {
    "-m": _MODEL,
    "--model": _MODEL,
    "-s": _SYSTEM,
    "--system": _SYSTEM,
    "--jq": _FIELDS,
    "--template": _FIELDS,
    "-f": _FILE,
    "--file": _FILE,
    "-a": _FILE,
    "--attachment": _FILE,
}
"""Options of other command lines, each with its equivalent here."""


def meant_by_option(path: str, name: str) -> str | None:
    """Return the sentence to add about an option that other commands have, or `None`. `path` is the command."""
    return _HERE.get(path, {}).get(name) or _ELSEWHERE.get(name)
