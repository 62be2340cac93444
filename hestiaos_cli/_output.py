"""What a command prints: `name: value` lines for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._failures import Failure

if TYPE_CHECKING:
    from hestiaos import StreamEvent
    from hestiaos_proto import Redactor

__all__ = ["print_events", "print_fields"]


def print_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """The fields of a result."""
    if as_json:
        _print(_json(fields, indent=2))
        return
    for name, value in fields.items():
        _print(f"{name}: {value if isinstance(value, str) else _json(value)}")


def print_events(events: Iterable[StreamEvent], *, as_json: bool, redactor: Redactor) -> None:
    """A stream as it comes: its text, or each event as JSON on a line of its own.

    An `error` event fails the command, once the stream is over; `redactor` hides what it may repeat of the request.
    """
    failed: str | None = None
    for event in events:
        if as_json:
            wire = event.to_wire()
            _print(_json(redactor.value(wire) if event.type == "error" else wire))
        elif event.type in ("token", "delta"):
            _print(str(event.data.get("text", "")), newline=False)
        elif event.type == "tool_call":
            _print(f"\n[tool_call] {_json(event.data)}")
        elif event.type == "final":
            _print("")
            print_fields({name: event.data.get(name) for name in ("mode", "trace_id")}, as_json=False)
        if event.type == "error":
            failed = redactor.text(str(event.data.get("message") or "the run failed"))
    if failed is not None:
        raise Failure(failed)


def _json(value: Any, indent: int | None = None) -> str:
    """As people read it; with escapes, which mean the same, where standard output cannot hold all of it as it is."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def _print(text: str, *, newline: bool = True) -> None:
    # What standard output's encoding has not, a lone surrogate in any, is printed as its escape.
    click.echo(text.encode(_encoding(), "backslashreplace").decode(_encoding()), nl=newline)


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "utf-8"  # standard output may be closed
