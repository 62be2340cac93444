"""API keys: the file that holds them, and who has one."""

from __future__ import annotations

import os
import pickle
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from hestiaos_local import ConfigurationError, Key, Keys
from hestiaos_local.keys import _keys


def hashed(key: str) -> str:
    return sha256(key.encode()).hexdigest()


GOOD = f"""\
version = 1

[[keys]]
name = "ci"
sha256 = "{hashed("one")}"
roles = ["read", "run", "read"]

[[keys]]
name = "The boss, Zo\u00eb"
sha256 = "{hashed("two").upper()}"
roles = ["admin"]
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Keys.parse(text, "k.toml")
    return list(caught.value.mistakes)


def test_a_good_file() -> None:
    keys = Keys.parse(GOOD, "k.toml")
    assert [*keys] == [
        Key("ci", hashed("one"), ("run", "read")),
        Key("The boss, Zo\u00eb", hashed("two"), ("admin",)),
    ]
    assert len(keys) == 2


def test_the_example_of_the_documentation_is_a_good_file() -> None:
    text = (_keys.__doc__ or "").partition("```toml\n")[2].partition("```")[0]
    assert [key.name for key in Keys.parse(text.replace("\u2026", hashed("k")), "k.toml")] == ["ci"]


def test_a_key_is_found_by_itself_alone() -> None:
    keys = Keys.parse(GOOD, "k.toml")
    assert [found and found.name for found in map(keys.find, ["one", "two", "", "One", hashed("one"), "\udc80"])] == [
        "ci",
        "The boss, Zo\u00eb",
        None,
        None,
        None,
        None,
    ]


def test_roles() -> None:
    ci, boss = Keys.parse(GOOD, "k.toml")
    assert [role for role in _keys.ROLES if ci.may(role)] == ["run", "read"]
    assert all(map(boss.may, _keys.ROLES))


def test_one_key_may_do_everything() -> None:
    (key,) = Keys.of("secret-4711")
    assert (key.name, key.roles) == ("default", _keys.ROLES)
    for wrong in ("a b", "\u00e9", "a\n"):
        with pytest.raises(ValueError, match="the API key contains"):
            Keys.of(wrong)


def test_replaced_keys() -> None:
    keys = Keys.of("old")
    keys.replace(Keys.of("new"))
    assert keys.find("old") is None
    assert keys.find("new")


def test_neither_key_nor_hash_is_shown() -> None:
    assert hashed("one")[:6] not in repr(Keys.parse(GOOD, "k.toml"))
    assert "'ci'" in repr(Keys.parse(GOOD, "k.toml"))


def test_all_mistakes_are_reported_at_once() -> None:
    told = mistakes(
        f"""version = 2
[[keys]]
sha256 = "my-real-key"
roles = ["run", "write"]
[[keys]]
name = "a\\nb"
sha256 = "{hashed("")}"
roles = []
[[keys]]
name = "a"
sha256 = "{hashed("x")}"
roles = "run"
key = "x"
[[keys]]
name = "a"
sha256 = "{hashed("x")}"
"""
    )
    roles = 'must be a list that is not empty, of "run", "read", "approve" or "admin"'
    assert told == [
        "k.toml, line 1: version must be 1",
        "k.toml, line 2: keys[0] needs name, which is missing",
        "k.toml, line 3: keys[0].sha256 must be the SHA-256 of the key, 64 hexadecimal digits, "
        "as 'hestiaos keys new' writes it",
        f"k.toml, line 4: keys[0].roles {roles}",
        "k.toml, line 6: keys[1].name must be one line of 1 to 64 characters",
        "k.toml, line 7: keys[1].sha256 is that of an empty key",
        f"k.toml, line 8: keys[1].roles {roles}",
        f"k.toml, line 12: keys[2].roles {roles}",
        "k.toml, line 13: keys[2].key is not known: write name, sha256 or roles",
        "k.toml, line 14: keys[3] needs roles, which is missing",
        "k.toml, line 15: keys[3].name must be unique: 'a' is used already",
        "k.toml, line 16: keys[3].sha256 must be unique, but is that of another key: 'hestiaos keys new' makes one",
    ]
    assert "my-real-key" not in "\n".join(told)


def test_a_file_without_keys_lets_nobody_in() -> None:
    """So that the last key can be revoked."""
    assert Keys.parse("version = 1\n", "k.toml").find("one") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.parametrize(("mode", "told"), [(0o600, None), (0o644, None), (0o660, "mode 660"), (0o602, "mode 602")])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int, told: str | None) -> None:
    file = tmp_path / "k.toml"
    file.write_text(GOOD)
    file.chmod(mode)
    if told is None:
        assert len(Keys.load(file)) == 2
        return
    with pytest.raises(ConfigurationError, match="can be written by others") as caught:
        Keys.load(file)
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "k.toml"
    file.write_text(GOOD)
    os.chown(file, 4711, -1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Keys.load(file)


def test_keys_can_be_pickled() -> None:
    """A server of several processes hands them on."""
    assert [*pickle.loads(pickle.dumps(Keys.parse(GOOD, "k.toml")))] == [*Keys.parse(GOOD, "k.toml")]
