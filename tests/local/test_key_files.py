"""Key files: a key is added and taken away, and the rest of the text stays as it is."""

from __future__ import annotations

import stat
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from hestiaos_local import ConfigurationError, Keys, add_key, remove_key


def test_the_first_key_makes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.toml"
    key = add_key(file, "ci", ["read", "run"])
    (found,) = Keys.load(file)
    assert Keys.load(file).find(key) == found
    assert (found.name, found.roles) == ("ci", ("run", "read"))
    assert key not in file.read_text()
    assert sha256(key.encode()).hexdigest() in file.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_differ(tmp_path: Path) -> None:
    keys = {add_key(tmp_path / "keys.toml", str(number), ["run"]) for number in range(5)}
    assert len(keys) == 5
    assert all(len(key) == len("hestia_") + 43 for key in keys)  # 256 bits in base64


@pytest.mark.parametrize("name", ['a"b\\c', "Zo\u00eb [[keys]]", "#", "' '"])
def test_any_name_comes_back(tmp_path: Path, name: str) -> None:
    file = tmp_path / "keys.toml"
    add_key(file, "first", ["admin"])
    add_key(file, name, ["run"])
    assert [key.name for key in Keys.load(file)] == ["first", name]
    remove_key(file, name)
    assert [key.name for key in Keys.load(file)] == ["first"]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b", "x" * 65, "\udc80"])
def test_a_name_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="the name of a key must be one line"):
        add_key(tmp_path / "keys.toml", name, ["run"])
    assert not (tmp_path / "keys.toml").exists()


TABLE = '[[keys]]\nname = "{0}"\nsha256 = "{1}"\nroles = ["run"]\n'


def table(name: str) -> str:
    return TABLE.format(name, sha256(name.encode()).hexdigest())


TEXT = f"# of the team\nversion = 1\n\n# a robot\n{table('a')}# until May\n\n# a person\n{table('b')}{table('c')}"


def written(file: Path) -> str:
    return file.read_bytes().decode()


def test_what_else_the_file_says_stays(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_bytes(TEXT.encode())
    file.chmod(0o640)
    add_key(file, "d", ["run"])
    assert written(file).startswith(TEXT)
    remove_key(file, "b")
    remove_key(file, "d")
    assert written(file) == TEXT.replace(table("b"), "")
    remove_key(file, "a")
    remove_key(file, "c")
    assert written(file) == "# of the team\nversion = 1\n\n# a robot\n# until May\n\n# a person\n"
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["keys.toml"]


def test_line_ends_stay(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    text = TEXT.replace("\n", "\r\n")
    file.write_bytes(text.encode())
    remove_key(file, "a")
    assert written(file) == text.replace(table("a").replace("\n", "\r\n"), "")


def test_a_last_line_without_its_end(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(TEXT.rstrip())
    add_key(file, "d", ["run"])
    assert [key.name for key in Keys.load(file)] == ["a", "b", "c", "d"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "keys.toml", tmp_path / "link.toml"
    file.write_text(TEXT)
    link.symlink_to(file)
    remove_key(link, "a")
    assert link.is_symlink()
    assert [key.name for key in Keys.load(file)] == ["b", "c"]


@pytest.mark.parametrize("change", [lambda file: add_key(file, "b", ["run"]), lambda file: remove_key(file, "a")])
def test_a_form_that_only_a_person_can_change(tmp_path: Path, change: object) -> None:
    file = tmp_path / "keys.toml"
    digest = sha256(b"a").hexdigest()
    text = f'version = 1\nkeys = [\n{{name = "a", sha256 = "{digest}", roles = ["run"]}}\n]\n'
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="edit the file by hand"):
        change(file)  # type: ignore[operator]
    assert file.read_text() == text


def test_names_that_are_and_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(TEXT)
    with pytest.raises(ConfigurationError, match="the key 'a' exists already"):
        add_key(file, "a", ["run"])
    with pytest.raises(ConfigurationError, match="there is no key 'd'; known keys: a, b, c"):
        remove_key(file, "d")
    assert file.read_text() == TEXT


def test_keys_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(TEXT)
    threads = [threading.Thread(target=add_key, args=(file, f"t{n}", ["run"])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in Keys.load(file)} == {"a", "b", "c", *(f"t{n}" for n in range(8))}
