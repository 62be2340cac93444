"""The guard passes on the code as it stands, and fails on each import that would break a layer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hestiaos import contract_guard

PACKAGES = Path(contract_guard.__file__).parent.parent


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for package in contract_guard.LAYERS:
        (folder / package).mkdir()
        shutil.copy(PACKAGES / package / "__init__.py", folder / package)
    return folder


@pytest.fixture
def copy(original: Path) -> Iterator[Path]:
    """Packages of the same names without their modules, to which one may be added: `new.py`."""
    yield original
    for path in original.glob("*/new.py"):
        path.unlink()


def test_the_code_is_pure() -> None:
    done = subprocess.run([sys.executable, "-m", "hestiaos.contract_guard"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("pure\n")


@pytest.mark.parametrize(
    "line",
    [
        "import socket",
        "import time",
        "import asyncio",
        "import random",
        "import httpx",
        "import http.client",
        "from urllib.request import urlopen",
        "from hestiaos_httpx import Client",
        "def f():\n    import os.path as p",
        "open('x')",
        "from datetime import datetime\ndatetime.now()",
    ],
)
def test_an_impure_core_fails(copy: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "hestiaos_proto" / "new.py").write_text(f"{line}\n")
    assert contract_guard.main(copy) == 1
    assert "hestiaos_proto/new.py:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("hestiaos_httpx", "from hestiaos_local import Platform"),
        ("hestiaos_local", "import hestiaos_trio"),
        ("hestiaos_httpx", "import hestiaos"),
        ("hestiaos", "import hestiaos_cli"),
    ],
)
def test_an_import_that_runs_upwards_fails(copy: Path, package: str, line: str) -> None:
    (copy / package / "new.py").write_text(line)
    assert contract_guard.main(copy) == 1


def test_a_missing_package_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert contract_guard.main(tmp_path) == 1
    assert "hestiaos_proto" in capsys.readouterr().err
