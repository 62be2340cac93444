"""The wire does no I/O, and says so by what it imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hestiaos_local.openai

ROOT = Path(hestiaos_local.openai.__file__).parent
ALLOWED = {
    *("__future__", "attrs", "collections", "collections.abc", "math", "re", "typing"),
    "email.utils",  # reads a date
    *("hestiaos_proto", "hestiaos_local._surrogates", "hestiaos_local.execution", "hestiaos_local.openai"),
}


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda path: path.name)
def test_a_file_imports_only_what_it_may(path: Path) -> None:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.append(node.module or "")
    assert [name for name in names if name not in ALLOWED and not name.startswith("hestiaos_local.openai.")] == []


def test_the_room_shows_its_public_names() -> None:
    room = hestiaos_local.openai
    assert dir(room) == sorted(room.__all__)
    assert all(hasattr(room, name) for name in room.__all__)
