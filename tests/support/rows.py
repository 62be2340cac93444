"""The rows of `faults.md`."""

from __future__ import annotations

from pathlib import Path


def read_rows(path: Path) -> dict[str, list[str]]:
    """The first cell of each row, by the heading of its table."""
    tables: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            tables[line[3:]] = []
        elif line.startswith("| ") and not line.startswith(("| fault |", "| --- |")):
            tables[next(reversed(tables))].append(line[2:].partition(" | ")[0])
    return tables
