"""`hestiaos config edit`, with editors that are shell scripts."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.support.command_line import invoke

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.skipif(os.name != "posix", reason="its editors are scripts")]


def editor(script: str) -> str:
    """An editor that does so with the file `$0`."""
    return f"sh -c {shlex.quote(script)}"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the configuration, in a folder that is not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "a folder"))
    return tmp_path / "a folder" / "hestiaos" / "config.toml"


def test_a_new_file_begins_with_an_example(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", editor('sed -i \'s/^# //\' "$0" && sed -i 1d "$0"'))
    monkeypatch.setenv("EDITOR", "false")
    assert invoke("config", "edit") == (0, "", "")
    assert invoke("config", "show", "-q", "models.0.name").stdout == "small\n"


@pytest.mark.parametrize("command", ["true", "rm"])
def test_a_new_file_that_was_not_edited_is_not_kept(command: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", command)
    assert invoke("config", "edit") == (0, "", "")
    assert not path.exists()


def test_mistakes_are_reported_and_what_was_written_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, status, told in (
        ("polcy = 'x'", 1, "'polcy' is not known there"),
        ("=", 1, "is not a TOML file"),
        ("policy = 'missing.toml'", 2, "missing.toml: there is no such file"),
    ):
        monkeypatch.setenv("EDITOR", editor(f'echo {shlex.quote(text)} > "$0"'))
        done = invoke("config", "edit")
        assert done.status == status
        assert told in done.error
        assert path.read_text() == f"{text}\n"


@pytest.mark.parametrize(
    ("named", "status", "told"),
    [
        ("/nowhere/vi", 1, "the editor of EDITOR cannot be started: /nowhere/vi: No such file or directory; "),
        ("vi '", 1, "the editor of EDITOR cannot be started: vi ': No closing quotation"),
        ("false", 1, "the editor ended with the status 1: false"),
        ("rm /nowhere/it", 1, "the editor ended with the status 1: rm /nowhere/it"),
        ("", 2, "there is no terminal to edit in: name a program in VISUAL or EDITOR"),
        (" ", 2, "there is no terminal to edit in: name a program in VISUAL or EDITOR"),
    ],
)
def test_an_editor_that_fails(named: str, status: int, told: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", named)
    done = invoke("config", "edit")
    assert done.status == status
    assert done.error.startswith(told)
    assert not path.exists()
