"""Lists: a table for people, JSON, or one field of each row."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hestiaos_cli._failures import one_line
from hestiaos_cli._output import print_fields, print_json, print_lines, remark
from hestiaos_cli._terminal import columns, is_terminal, paint, symbol, visible

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings

__all__ = ["for_people", "print_list", "which_have"]

_NARROWEST = 40  # columns


def print_list(settings: Settings, rows: Sequence[Mapping[str, Any]], *names: str, empty: str) -> None:
    """Print rows. For people, print these fields, on a terminal as a table that fits its width.

    `empty` is printed if there are no rows.
    """
    if settings.field is not None:
        for row in rows:
            print_fields(settings, row)
    elif settings.json:
        print_json(rows)
    else:
        _print_table(names, [[_cell(row.get(name)) for name in names] for row in rows])
    if not rows and empty:
        remark(settings, empty)


def which_have(rows: Sequence[Mapping[str, Any]], *names: str) -> list[str]:
    """Return the fields that at least one row has."""
    return [name for name in names if any(row.get(name) is not None for row in rows)]


def for_people(settings: Settings, rows: Sequence[Mapping[str, Any]], time: str) -> list[dict[str, Any]]:
    """Convert the field `time` of rows from ISO 8601 to short local time, in output for people."""
    if settings.json or settings.field is not None:
        return [{**row} for row in rows]
    return [{**row, time: _moment(row.get(time))} for row in rows]


def _moment(value: Any) -> Any:
    from datetime import datetime

    try:
        return datetime.fromisoformat(value).astimezone().strftime("%m-%d %H:%M:%S")
    except (TypeError, ValueError):  # a server with another format of times
        return value


def _print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    terminal = is_terminal(sys.stdout)
    most = max(_NARROWEST, columns()) if terminal else None
    cut = symbol("…", "...", sys.stdout)
    heading = [name.upper() for name in names]
    widths = [max(map(len, column)) for column in zip(*([heading] if terminal else []), *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        text = "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()
        if most is None or len(text) <= most:
            return text
        return f"{text[: most - len(cut)]}{cut}"

    if terminal and rows:
        print_lines(paint(line(heading), "dim", sys.stdout))
    for row in rows:
        print_lines(line(row))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return visible(one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value)))
