"""`hestiaos keys`, and what the command line says of a key that has not the role."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hestiaos_local import Key, Keys
from hestiaos_local.keys import hash_key
from tests.support.command_line import invoke, shell, without_waits

pytestmark = pytest.mark.usefixtures("home")


def test_a_key_from_its_making_to_its_end(home: Path) -> None:
    file = home / ".config/hestiaos/keys.toml"
    made = invoke("keys", "new", "ci", "--role", "read")
    assert made.status == 0
    assert made.stderr == (
        f"kept in {file} without the key itself: this is the only time that it is shown\n"
        f"it is let in by: hestiaos serve --keys {file}\n"
    )
    key = made.stdout.strip()
    assert Keys.load(file).find(key) == Key("ci", hash_key(key), ("read",))
    assert invoke("keys", "new", "app", "--json").json.keys() == {"name", "key", "roles", "file"}
    assert invoke("keys", "list").stdout == "ci   read\napp  run, read\n"
    assert invoke("keys", "list", "-q", "sha256").stdout.splitlines()[0] == hash_key(key)
    revoked = "the key {} is removed from {}: a running server accepts it until {}\n"
    assert invoke("keys", "revoke", "ci").stderr == revoked.format("ci", file, "SIGHUP")
    assert invoke("keys", "list", "-q", "name").stdout == "app\n"
    until = "it is stopped, as the file has no other key"
    assert invoke("keys", "revoke", "app").stderr == revoked.format("app", file, until)


def test_without_a_file() -> None:
    assert invoke("keys", "list").stdout == ""
    assert "there is no such file" in invoke("keys", "list", "--keys", "none.toml").error
    assert "there is no such file" in invoke("keys", "revoke", "ci").error


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "team.toml"
    for name in ("a", "b"):
        assert invoke("keys", "new", name, "--keys", str(file), "--role", "approve", "--role", "run").status == 0
    assert invoke("keys", "list", "--keys", str(file)).stdout == "a  run, approve\nb  run, approve\n"
    ended = invoke("keys", "new", "a", "--keys", str(file))
    assert ended.status == 2
    assert "the key 'a' exists already" in ended.error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_key_that_could_not_be_shown_is_not_kept(tmp_path: Path) -> None:
    ended = shell('hestiaos keys new a --keys "$1" > /dev/full', str(tmp_path / "keys.toml"))
    assert ended.status == 1
    assert "standard output cannot be written" in ended.stderr
    assert [*Keys.load(tmp_path / "keys.toml")] == []
    assert invoke("keys", "new", "a", "--keys", str(tmp_path / "keys.toml"), "-q", "nothing").status == 2
    assert [*Keys.load(tmp_path / "keys.toml")] == []


def test_a_role_that_is_none() -> None:
    ended = invoke("keys", "new", "a", "--role", "write")
    assert ended.status == 2
    assert "'write' is not one of 'run', 'read', 'approve', 'admin'" in ended.error


def test_keys_and_one_key(tmp_path: Path) -> None:
    ended = invoke("serve", "--keys", str(tmp_path / "k.toml"), "-k", "key")
    assert ended.status == 2
    assert "--keys and --api-key exclude each other" in ended.error


def test_keys_with_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("version = 1\n[[keys]]\nname = 1\n")
    ended = invoke("serve", "--keys", str(file))
    assert ended.status == 2
    assert f"{file}, line 3: keys[0].name must be a string" in ended.error


@pytest.fixture
def url(serve_platform: Callable[..., str]) -> str:
    return serve_platform(keys=Keys([Key("ci", hash_key("run"), ("run",))]))


def test_a_key_without_the_role(url: str) -> None:
    ended = invoke("secrets", "get", "a", "-u", url, "-k", "run", "--exit-codes")
    assert ended.status == 4
    assert without_waits(ended.error) == (
        f"[ROLE_MISSING] the API key of --api-key does not have the role 'admin' that this needs, at {url}; "
        "use a key that has it: the one who runs the server makes one with 'hestiaos keys new'"
    )


def test_the_doctor_knows_roles(url: str) -> None:
    ended = invoke("doctor", "-u", url, "-k", "run")
    assert ended.status == 0
    assert "that of --api-key is accepted; it does not have the role to read" in ended.stdout
