"""A home directory for each test, and none of the variables that the command line reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ForkServer, InstalledProgram, Program

_READ = (
    "COLUMNS",
    "FORCE_COLOR",
    "HESTIAOS_API_KEY",
    "HESTIAOS_BASE_URL",
    "HESTIAOS_EXIT_CODES",
    "HESTIAOS_PROFILE",
    "NO_COLOR",
    "VISUAL",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [*_READ, *(name for name in os.environ if name.lower().endswith("_proxy"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOCALAPPDATA", str(home))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("EDITOR", "true")  # which changes nothing
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return home


@pytest.fixture(scope="session", params=["forked", pytest.param("installed", marks=pytest.mark.thorough)])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The command line with standard streams of any kind."""
    folder = tmp_path_factory.mktemp("streams")
    if request.param == "installed":
        yield InstalledProgram(folder)
        return
    with ForkServer(folder) as server:
        yield server
