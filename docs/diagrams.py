"""Draws the state tables as _static/states-*.svg. Needs Graphviz.

Usage: python docs/diagrams.py
"""

from __future__ import annotations

import re
import runpy
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hestiaos_proto import CLIENT_STATES, ORDER

HERE = Path(__file__).parent
TABLES = HERE.parent / "tests" / "properties"

Arrows = dict[tuple[str, str], list[str]]
Step = tuple[str, str, str]


def picture(name: str) -> Path:
    """Where a diagram is kept."""
    return HERE / "_static" / f"states-{name}.svg"


def arrows(steps: Iterable[Step]) -> Arrows:
    """One arrow between two states, with all inputs that lead along it."""
    found: Arrows = {}
    for state, label, after in steps:
        labels = found.setdefault((state, after), [])
        if label not in labels:
            labels.append(label)
    return found


def _of(table: Mapping[Any, Mapping[str, Any]]) -> Arrows:
    return arrows((state.name, step, after.name) for state, row in table.items() for step, after in row.items())


def order() -> Arrows:
    """The order of a stream's events."""
    return _of(ORDER)


def client() -> Arrows:
    """A client's connection."""
    return _of(CLIENT_STATES)


def server() -> Arrows:
    """A server's connection."""
    tables = runpy.run_path(str(TABLES / "test_every_server_input.py"))
    rows = {line.split()[0] for line in tables["RECEIVES"].strip().splitlines()[1:]}
    both = [*_cells(tables["RECEIVES"]), *_cells(tables["SENDS"])]
    return arrows(step for step in both if step[2] in rows and step[2] != step[0])


def _cells(table: str) -> Iterable[Step]:
    """A table's cells that lead to another state, between those in which the connection's end has not come yet."""
    head, *rows = (line.split() for line in table.strip().splitlines())
    for state, *row in rows:
        for label, cell in zip(head, row, strict=True):
            after = cell.partition(":")[2] or cell
            if not {state[-1], after[-1]} & {"!"} and re.fullmatch("[A-Za-z_]+", after):
                yield state, label, after


def draw(found: Arrows) -> str:
    """The arrows as a picture."""
    edges = [f'{state} -> {after} [label="{_folded(labels)}"]' for (state, after), labels in found.items()]
    dot = "\n".join(["digraph {", _LOOK, *edges, "}"])
    return subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True).stdout


_LOOK = """
    rankdir=TB nodesep=0.6 ranksep=0.5 bgcolor=white margin=0.2
    node [shape=box style="rounded,filled" fillcolor="#eef1f6" color="#5b6b82" fontname="sans-serif" fontsize=12]
    edge [color="#5b6b82" fontname="sans-serif" fontsize=10 arrowsize=0.7]
"""


def _folded(labels: list[str]) -> str:
    """The labels, three on a line."""
    lines = [", ".join(labels[place : place + 3]) for place in range(0, len(labels), 3)]
    return ",\\n".join(lines)


DIAGRAMS = {"order": order, "client": client, "server": server}

if __name__ == "__main__":
    for name, found in DIAGRAMS.items():
        picture(name).write_text(draw(found()), encoding="utf-8")
