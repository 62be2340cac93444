"""The sessions of noxfile.py: CONTRIBUTING describes each, and what the workflow and `.ci/run` run is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "noxfile.py").exists(), reason="the tests are run without the checkout")


def sessions() -> set[str]:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {each.name for each in functions if any("nox.session" in ast.unparse(mark) for mark in each.decorator_list)}


def test_contributing_describes_each_session() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`\w+`[^|]*) \|", text.partition("| `nox -s` |")[2], re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == sessions()


def test_the_workflow_runs_sessions_that_are_there() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    named = {name.strip() for names in re.findall(r"session: \[(.*)\]", text) for name in names.split(",")}
    named |= set(re.findall(r"nox -s (\w+)", text))
    assert len(named) > 10
    assert named <= sessions()


@pytest.mark.skipif(not (ROOT / ".ci" / "run").exists(), reason="a source distribution has none")
def test_ci_runs_sessions_that_are_there() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    named = {name for names in re.findall(r"nox .*?-s ([\w ]+)", text) for name in names.split()}
    named |= {name for names in re.findall(r"^ *nox -s ([\w ]+)", text, re.MULTILINE) for name in names.split()}
    assert len(named) > 10
    assert named <= sessions()
