"""The scenarios walk every row of `faults.md`, and no other."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.rows import read_rows

HERE = Path(__file__).parent


def named_rows() -> set[str]:
    """The rows that the scenarios of this folder name, whichever of them are run now."""
    return {
        row for path in HERE.glob("test_*.py") for row in rows_named_in(ast.parse(path.read_text(encoding="utf-8")))
    }


def rows_named_in(module: ast.Module) -> Iterator[str]:
    """What stands in `fault(…)`, as text or as the name of a constant of the module."""
    constants = {
        target.id: node.value.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault":
            row = node.args[0]
            named = constants[row.id] if isinstance(row, ast.Name) else ast.literal_eval(row)
            assert isinstance(named, str)
            yield named


def test_every_row_has_a_scenario_and_every_scenario_a_row() -> None:
    rows = [row for table in read_rows(HERE / "faults.md").values() for row in table]
    assert [row for row, count in Counter(rows).items() if count > 1] == []
    assert named_rows() == set(rows)
