"""Rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.results import Row

_HEAD = "| work | against | goal | reached | ours : theirs | met |\n| --- | --- | --- | --- | --- | --- |\n"
_MET = {True: "yes", False: "**no**", None: ""}


def table(rows: Iterable[Row]) -> str:
    """The table; what a row shares with the one before is not said again."""
    lines, before = [], ""
    for row in rows:
        work = "" if row.work == before else row.work
        before = row.work
        cells = (work, row.against, row.goal, row.reached, row.figures, _MET[row.met])
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)
