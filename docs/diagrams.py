"""Draws the state tables as _static/states-*.svg. Needs Graphviz.

Usage: python docs/diagrams.py
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hestiaos_proto import CLIENT_STATES, ORDER, SERVER_STATES

HERE = Path(__file__).parent

Arrows = dict[tuple[str, str], list[str]]


def picture(name: str) -> Path:
    """Where a diagram is kept."""
    return HERE / "_static" / f"states-{name}.svg"


def _of(table: Mapping[Any, Mapping[str, Any]]) -> Arrows:
    """One arrow between two states, with all inputs that lead along it."""
    found: Arrows = {}
    for state, row in table.items():
        for step, after in row.items():
            found.setdefault((state.name, after.name), []).append(step)
    return found


def order() -> Arrows:
    """The order of a stream's events."""
    return _of(ORDER)


def client() -> Arrows:
    """A client's connection."""
    return _of(CLIENT_STATES)


def server() -> Arrows:
    """A server's connection."""
    return _of(SERVER_STATES)


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
