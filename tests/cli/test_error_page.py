"""docs/guides/command-line-errors.md: each of its lines is what the program says, with that exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command_line import without_waits
from tests.support.documents import ROOT, matches
from tests.support.failing_commands import SCENES
from tests.support.programs import Program

pytestmark = pytest.mark.usefixtures("home")

PAGE = ROOT / "docs" / "guides" / "command-line-errors.md"


class Row(NamedTuple):
    """A row of the page."""

    what: str
    line: str
    status: int


def rows() -> Iterator[Row]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\| (.+?) \| `(.+)` \| (\d) \|", line):
            yield Row(found[1], found[2], int(found[3]))


def test_every_fault_is_in_the_page_and_none_besides() -> None:
    assert [row.what for row in rows()] == list(SCENES)


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row.what)
def test_a_line_of_the_page(row: Row, program: Program, tmp_path: Path) -> None:
    scene = SCENES[row.what]
    with scene.set(tmp_path) as (arguments, environ, _):
        done = program.run("--exit-codes", *arguments, stdin=scene.stdin, environ=environ)
    (line,) = done.stderr.splitlines()
    assert done.status == row.status, done
    shown = re.sub(r"(https?)://127\.0\.0\.1:\d+", r"\1://localhost:8000", line)
    if ", after … s" not in row.line:
        shown = without_waits(shown)
    assert matches(f"Error: {row.line}", shown), shown
