"""Every committed input through its target, on every machine: no fuzzer is needed to see that a promise holds."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from cutting import WAYS, Way
from run import CORPUS, TARGETS

if not CORPUS.exists():
    pytest.skip("a source distribution has no corpus", allow_module_level=True)

FILES = sorted(CORPUS.glob("*/*"))


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_promise_holds(path: Path) -> None:
    check = importlib.import_module(f"fuzz_{path.parent.name}").check
    data = path.read_bytes()
    for way in Way:
        check(bytes([data[0] & ~WAYS | way.value]) + data[1:])
