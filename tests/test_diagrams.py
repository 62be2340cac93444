"""The diagrams of docs/architecture.md: each shows what its table says. `python docs/diagrams.py` draws them again."""

from __future__ import annotations

import re
import runpy
from html import unescape
from pathlib import Path

import pytest

DRAWING = runpy.run_path(str(Path(__file__).parent.parent / "docs" / "diagrams.py"))
EDGE = re.compile(r'class="edge">\s*<title>(\w+)->(\w+)</title>(.*?)</g>', re.DOTALL)


@pytest.mark.parametrize("name", list(DRAWING["DIAGRAMS"]))
def test_a_diagram_is_its_table(name: str) -> None:
    picture = unescape(DRAWING["picture"](name).read_text(encoding="utf-8"))
    drawn = {
        (state, after): re.findall(r"\w+", " ".join(re.findall(r"<text [^>]*>(.*?)</text>", texts)))
        for state, after, texts in EDGE.findall(picture)
    }
    assert drawn == DRAWING["DIAGRAMS"][name]()
