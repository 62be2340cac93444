"""Profiles: what wins, who gets which key, and a file that is this user's alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.command_line import invoke

pytestmark = pytest.mark.usefixtures("home")

Serve = Callable[..., str]


@pytest.fixture
def server(serve_platform: Serve) -> str:
    """A server that needs the key `first-key`."""
    return serve_platform(api_key="first-key")


def profiles(home: Path) -> Path:
    return home / ".config/hestiaos/profiles.json"


def test_a_profile_is_kept_and_used(server: str, home: Path) -> None:
    assert invoke("login", "work", "-u", server, "-k", "-", stdin=b"first-key\n").status == 0
    assert invoke("run", "x").stdout == "processed: x\n"
    assert invoke("profile", "list").stdout == f"* work  {server}\n"
    assert "first-key" not in invoke("profile", "list", "--json").stdout
    if os.name == "posix":
        assert profiles(home).stat().st_mode & 0o077 == 0
    assert invoke("logout").status == 0
    assert invoke("profile", "list").stdout == ""
    assert "no profile" in invoke("logout").error


def test_what_is_in_use_is_shown_without_its_key(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("profile", "show").stdout == "base_url: http://localhost:8000\nbase_url_from: the default\n"
    assert invoke("login", "work", "-u", server, "-k", "first-key").status == 0
    shown = invoke("profile", "show", "--json")
    assert shown.json == {
        "base_url": server,
        "base_url_from": "the profile 'work'",
        "api_key_from": "the profile 'work'",
    }
    monkeypatch.setenv("HESTIAOS_API_KEY", "other")
    assert invoke("profile", "show", "-q", "api_key_from").stdout == "HESTIAOS_API_KEY\n"
    assert invoke("profile", "show", "-u", ":1", "-q", "base_url_from").stdout == "--base-url\n"


def test_a_key_is_tried_before_it_is_kept(server: str, home: Path) -> None:
    assert invoke("login", "-u", server, "-k", "wrong").status == 1
    assert not profiles(home).exists()


def test_what_wins(server: str, serve_platform: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    other = serve_platform(api_key="other-key")
    assert invoke("login", "first", "-u", server, "-k", "first-key").status == 0
    assert invoke("login", "second", "-u", other, "-k", "other-key").status == 0
    assert invoke("system", "status").status == 0
    assert invoke("system", "status", "--profile", "first").status == 0
    monkeypatch.setenv("HESTIAOS_PROFILE", "first")
    assert invoke("system", "status").status == 0
    monkeypatch.setenv("HESTIAOS_BASE_URL", "http://127.0.0.1:1")
    assert "127.0.0.1:1" in invoke("system", "status").error
    assert invoke("system", "status", "--profile", "second").status == 0
    assert invoke("system", "status", "-u", other, "-k", "other-key").status == 0
    monkeypatch.delenv("HESTIAOS_BASE_URL")
    monkeypatch.setenv("HESTIAOS_API_KEY", "of-the-environment")
    assert "HESTIAOS_API_KEY" in invoke("system", "status").error
    monkeypatch.delenv("HESTIAOS_PROFILE")
    monkeypatch.delenv("HESTIAOS_API_KEY")
    assert invoke("profile", "use", "first").status == 0
    assert "* first" in invoke("profile", "list").stdout
    assert "there is no profile 'third'; known profiles: " in invoke("profile", "use", "third").error
    assert "there is no profile 'third'; known profiles: " in invoke("system", "status", "--profile", "third").error


def test_a_profiles_key_goes_to_its_own_server_only(server: str, serve_platform: Serve) -> None:
    other = serve_platform(api_key="first-key")  # which would take it
    assert invoke("login", "-u", server, "-k", "first-key").status == 0
    assert "asks for an API key" in invoke("system", "status", "-u", other).error
    assert invoke("system", "status", "-u", server).status == 0


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_file_that_others_can_read_is_refused(server: str, home: Path) -> None:
    assert invoke("login", "-u", server, "-k", "first-key").status == 0
    profiles(home).chmod(0o644)
    told = invoke("system", "status").error
    assert "can be read by others (mode 644)" in told
    assert "chmod 600" in told
    assert "first-key" not in told


@pytest.mark.parametrize(
    "content",
    ["notes", "[]", '{"current": null, "profiles": {"a": {}}}', '{"current": [], "profiles": {}}', "[" * 100_000],
)
def test_a_file_that_is_not_a_file_of_profiles(content: str, home: Path) -> None:
    profiles(home).parent.mkdir(parents=True)
    profiles(home).write_text(content)
    profiles(home).chmod(0o600)
    assert "move it away" in invoke("system", "status").error


def test_a_keyring(server: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend is a module of the test's; the keyring library is the real one, where it is installed."""
    pytest.importorskip("keyring")
    import keyring
    import keyring.backend

    class Memory(keyring.backend.KeyringBackend):
        priority = 1  # type: ignore[assignment]
        kept: dict[tuple[str, str], str] = {}  # noqa: RUF012

        def get_password(self, service: str, username: str) -> str | None:
            return self.kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.kept[service, username]

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        assert "its key in the keyring" in invoke("login", "-u", server, "-k", "first-key").stderr
        assert "first-key" not in profiles(home).read_text()
        assert json.loads(profiles(home).read_text())["profiles"]["default"]["keyring"] is True
        assert invoke("run", "x").stdout == "processed: x\n"
        Memory.kept.clear()
        assert "keyring has no key" in invoke("run", "x").error
        assert invoke("login", "-u", server, "-k", "first-key").status == 0
        assert invoke("logout").status == 0
        assert Memory.kept == {}
    finally:
        keyring.set_keyring(before)


def test_a_keyring_that_is_not_installed_any_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles(home).parent.mkdir(parents=True)
    profile = {"base_url": "http://localhost:1", "api_key": None, "keyring": True}
    profiles(home).write_text(json.dumps({"current": "a", "profiles": {"a": profile}}))
    profiles(home).chmod(0o600)
    absent: dict[str, ModuleType | None] = {"keyring": None, "keyring.errors": None}
    for name, module in absent.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert "pip install keyring" in invoke("system", "status").error
