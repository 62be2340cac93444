"""Add and remove keys in a key file, without changing the rest of its text, including comments."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from hestiaos_local.keys._keys import ROLES, Key, Keys, Role, hash_key, name_mistake
from hestiaos_local.toml import ConfigurationError, KeyLines
from hestiaos_proto import json

__all__ = ["add_key", "remove_key"]

_PREFIX = "hestia_"  # lets secret scanners recognize keys
_RANDOM = 32  # bytes
_BY_HAND = "{}: the keys are not written as [[keys]] tables: edit the file by hand"


def add_key(path: Path, name: str, roles: Collection[Role]) -> str:
    """Generate a key, and add its hash to the file, which is created if it does not exist. Return the key.

    Raises `ConfigurationError` for a file with mistakes or a name that exists already, and `OSError`.
    """
    if (mistake := name_mistake(name)) is not None:
        raise ConfigurationError([f"the name of a key {mistake}"])
    api_key = _PREFIX + secrets.token_urlsafe(_RANDOM)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path.resolve().parent):
        _add_key(path, name, roles, api_key)
    return api_key


def remove_key(path: Path, name: str) -> None:
    """Remove a key from the file. Raises `ConfigurationError` if that is not possible, and `OSError`."""
    Keys.load(path)  # raises if the file does not exist
    with _locked(path.resolve().parent):
        _remove_key(path, name)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock a directory, so that its key files are changed one at a time. Does nothing on Windows."""
    if os.name == "nt":
        yield
        return
    import fcntl

    opened = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _add_key(path: Path, name: str, roles: Collection[Role], api_key: str) -> None:
    there = path.exists()
    keys = [*Keys.load(path)] if there else []
    if any(key.name == name for key in keys):
        raise ConfigurationError([f"{path}: the key {name!r} exists already: revoke it first, or choose another name"])
    key = Key(name, hash_key(api_key), tuple(role for role in ROLES if role in roles))
    before = _read(path) if there else "version = 1\n"
    added = ("" if before.endswith("\n") else "\n") + _table(key)
    _check(path, before + added, [*keys, key])
    if there:
        with open(path, "a", encoding="utf-8", newline="") as file:
            file.write(added)
    else:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(before + added)


def _remove_key(path: Path, name: str) -> None:
    keys = [*Keys.load(path)]
    index = next((index for index, key in enumerate(keys) if key.name == name), None)
    if index is None:
        known = ", ".join(key.name for key in keys) or "none"
        raise ConfigurationError([f"{path}: there is no key {name!r}; known keys: {known}"])
    text = _read(path)
    lines = text.split("\n")
    where = KeyLines(text.replace("\r\n", "\n"))
    first = where.line(("keys", index)) - 1
    end = where.line(("keys", index + 1)) - 1 if index + 1 < len(keys) else len(lines)
    while end > first + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1  # comments above the next table belong to it
    if not lines[first].lstrip().startswith("[["):
        raise ConfigurationError([_BY_HAND.format(path)])
    if first > 0 and not lines[first - 1].strip():
        first -= 1
    left = "\n".join(lines[:first] + lines[end:])
    _check(path, left, [key for key in keys if key.name != name])
    _replace(path.resolve(), left)


def _table(key: Key) -> str:
    roles = ", ".join(f'"{role}"' for role in key.roles)
    name = json.dumps(key.name).decode()  # every JSON string is a TOML string
    return f'\n[[keys]]\nname = {name}\nsha256 = "{key.sha256}"\nroles = [{roles}]\n'


def _check(path: Path, text: str, expected: list[Key]) -> None:
    """Raise `ConfigurationError` if the new text has other keys than expected, as with keys in an inline array."""
    try:
        said = [*Keys.parse(text, str(path))]
    except ConfigurationError:
        said = []
    if said != expected:
        raise ConfigurationError([_BY_HAND.format(path)])


def _read(path: Path) -> str:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return file.read()


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically: a reader sees the old one or the new one."""
    mode = path.stat().st_mode & 0o777
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        new = Path(file.name)
    try:
        new.write_text(text, encoding="utf-8", newline="")
        new.chmod(mode)
        new.replace(path)
    except BaseException:
        new.unlink()
        raise
