"""Read the inputs of a batch: one text per line, or one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from hestiaos_cli._failures import Failure
from hestiaos_proto import json as strict_json

__all__ = ["Item", "count_items", "read_items"]

_OPTIONS = {"session_id": str, "agent_id": str, "mode_hint": str, "timeout_ms": int}
_BOM = b"\xef\xbb\xbf"


class Item(NamedTuple):
    """One input. `number` counts from 1; `id` is chosen by the user, any JSON value."""

    number: int
    text: str
    id: Any = None
    options: dict[str, Any] = {}  # noqa: RUF012  # it is not changed


def read_items(lines: Iterable[bytes], source: str) -> Iterator[Item]:
    """Yield the inputs of a file. Empty lines are skipped.

    If the first line is a JSON object with an `input`, all lines must be such objects. Raises `Failure` that names the
    wrong line.
    """
    number = 0
    as_json: bool | None = None
    for line_number, line in enumerate(lines, 1):
        data = line.removeprefix(_BOM) if line_number == 1 else line
        if not data.strip():
            continue
        where = f"{source}, line {line_number}"
        try:
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise Failure(f"{where}: byte {error.start + 1} is not UTF-8", code="USAGE", status=2) from None
        if as_json is None:
            as_json = _is_json_item(text)
        number += 1
        yield _json_item(number, text, where) if as_json else Item(number, text)


def count_items(lines: Iterable[bytes], source: str) -> int:
    """Count the inputs. Raises like `read_items`, so that nothing is run unless all inputs can be read."""
    return sum(1 for _ in read_items(lines, source))


def _is_json_item(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("input"), str)


def _json_item(number: int, text: str, where: str) -> Item:
    try:
        value = strict_json.loads(text.encode())
    except ValueError as error:
        raise Failure(f"{where} is not JSON, as the first line is: {error}", code="USAGE", status=2) from None
    if not isinstance(value, dict) or not isinstance(value.get("input"), str):
        raise Failure(f'{where} must be an object with a text, as in {{"input": "…"}}', code="USAGE", status=2)
    for name, kind in _OPTIONS.items():
        if not isinstance(value.get(name), kind | None) or isinstance(value.get(name), bool):
            raise Failure(f"{where}: {name} must be {'a text' if kind is str else 'a number'}", code="USAGE", status=2)
    options = {name: value[name] for name in _OPTIONS if value.get(name) is not None}
    return Item(number, value["input"], value.get("id"), options)
