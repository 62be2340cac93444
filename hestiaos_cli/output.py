"""What a command prints: `name: value` lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hestiaos import StreamEvent

__all__ = ["print_events", "print_fields"]


def print_fields(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """The fields of a result."""
    if as_json:
        _print(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    for name, value in fields.items():
        _print(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def print_events(events: Iterable[StreamEvent], *, as_json: bool) -> None:
    """A stream as it comes: its text, or each event as JSON on a line of its own.

    An `error` event fails the command, once the stream is over.
    """
    failed: str | None = None
    for event in events:
        if as_json:
            _print(json.dumps(event.to_wire(), ensure_ascii=False))
        elif event.type in ("token", "delta"):
            _print(str(event.data.get("text", "")), newline=False)
        elif event.type == "tool_call":
            _print(f"\n[tool_call] {json.dumps(event.data, ensure_ascii=False)}")
        elif event.type == "final":
            _print("")
            print_fields({name: event.data.get(name) for name in ("mode", "trace_id")}, as_json=False)
        if event.type == "error":
            failed = str(event.data.get("message") or "the run failed")
    if failed is not None:
        raise click.ClickException(failed)


def _print(text: str, *, newline: bool = True) -> None:
    # A lone surrogate cannot be encoded; its escape can, and in JSON means the same.
    click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=newline)
