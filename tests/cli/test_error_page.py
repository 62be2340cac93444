"""docs/guides/command-line-errors.md: each of its lines is what the program says, with that exit status."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command_line import PROGRAM, Ended
from tests.support.documents import ROOT, matches
from tests.support.failing_commands import SCENES
from tests.support.forks import ForkServer

pytestmark = pytest.mark.usefixtures("home")

PAGE = ROOT / "docs" / "guides" / "command-line-errors.md"

Run = Callable[[list[str], bytes, Mapping[str, str]], Ended]


class Row(NamedTuple):
    """A row of the page."""

    what: str
    line: str
    status: int


def rows() -> Iterator[Row]:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\| (.+?) \| `(.+)` \| (\d) \|", line):
            yield Row(found[1], found[2], int(found[3]))


@pytest.fixture(params=["forked", pytest.param("installed", marks=pytest.mark.thorough)])
def run(request: pytest.FixtureRequest, forks: ForkServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the program: quickly, or as it is installed."""
    if request.param == "forked":
        return lambda arguments, stdin, environ: forks.run(*arguments, stdin=stdin, environ=environ)

    def installed(arguments: list[str], stdin: bytes, environ: Mapping[str, str]) -> Ended:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        done = subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True)
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return installed


def test_every_fault_is_in_the_page_and_none_besides() -> None:
    assert [row.what for row in rows()] == list(SCENES)


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row.what)
def test_a_line_of_the_page(row: Row, run: Run, tmp_path: Path) -> None:
    scene = SCENES[row.what]
    with scene.set(tmp_path) as (arguments, environ, _):
        done = run(["--exit-codes", *arguments], scene.stdin, environ)
    (line,) = done.stderr.splitlines()
    assert done.status == row.status, done
    shown = re.sub(r"(https?)://127\.0\.0\.1:\d+", r"\1://localhost:8000", line)
    if ", after … s" not in row.line:  # a machine with much to do is slow, and then it is said how long it took
        shown = re.sub(r", after \d+\.\d s", "", shown)
    assert matches(f"Error: {row.line}", shown), shown
