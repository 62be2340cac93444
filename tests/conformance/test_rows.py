"""The scenarios walk every row of `faults.md`, and no other."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.support.rows import read_rows

HERE = Path(__file__).parent


def named_rows() -> set[str]:
    """The rows that the scenarios of this folder name, whichever of them are run now."""
    return {
        node.args[0].value
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault"
        if isinstance(node.args[0], ast.Constant)
    }


def test_every_row_has_a_scenario_and_every_scenario_a_row() -> None:
    rows = [row for table in read_rows(HERE / "faults.md").values() for row in table]
    assert [row for row, count in Counter(rows).items() if count > 1] == []
    assert named_rows() == set(rows)
