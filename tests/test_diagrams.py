"""The diagrams of docs/architecture.md, each drawn from its table; a failing test prints what belongs there."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterable
from pathlib import Path

import pytest

from hestiaos_proto.stream import ORDER

HERE = Path(__file__).parent
DIAGRAMS = re.findall(
    r"```mermaid\n(.*?)```", (HERE.parent / "docs" / "architecture.md").read_text(encoding="utf-8"), re.DOTALL
)

Step = tuple[str, str, str]


def draw(first: str, steps: Iterable[Step]) -> str:
    """A state diagram: one arrow between two states, with all that leads along it; what leaves a state is left out."""
    labels: dict[tuple[str, str], list[str]] = {}
    for state, label, after in steps:
        labels.setdefault((state, after), []).append(label)
    arrows = [f"    {state} --> {after}: {', '.join(found)}\n" for (state, after), found in labels.items()]
    return "".join(["stateDiagram-v2\n", f"    [*] --> {first}\n", *arrows])


def order() -> str:
    return draw("IDLE", ((state.name, kind, after.name) for state, row in ORDER.items() for kind, after in row.items()))


def cells(table: str) -> Iterable[Step]:
    """A table's cells that lead to another state, between those in which the connection's end has not come yet."""
    head, *rows = (line.split() for line in table.strip().splitlines())
    for state, *row in rows:
        for label, cell in zip(head, row, strict=True):
            after = cell.partition(":")[2] or cell
            if not {state[-1], after[-1]} & {"!"} and re.fullmatch("[A-Za-z_]+", after):
                yield state, label, after


def client() -> str:
    tables = runpy.run_path(str(HERE / "properties" / "test_every_client_input.py"))
    steps = [step for step in cells(tables["TABLE"]) if step[2] not in ("refused", "same", step[0])]
    return draw("IDLE", steps)


def server() -> str:
    tables = runpy.run_path(str(HERE / "properties" / "test_every_server_input.py"))
    rows = {line.split()[0] for line in tables["RECEIVES"].strip().splitlines()[1:]}
    both = [*cells(tables["RECEIVES"]), *cells(tables["SENDS"])]
    return draw("free", [step for step in both if step[2] in rows and step[2] != step[0]])


@pytest.mark.parametrize(
    ("place", "drawn"), list(enumerate([order(), client(), server()])), ids=["order", "client", "server"]
)
def test_a_diagram_is_its_table(place: int, drawn: str) -> None:
    assert len(DIAGRAMS) == 3
    assert DIAGRAMS[place] == drawn, f"the diagram should be\n{drawn}"
