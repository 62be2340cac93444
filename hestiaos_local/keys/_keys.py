"""API keys with names and roles, and key files.

A key file contains the SHA-256 of each key. Keys are random, so they cannot be guessed from their hashes.

```toml
version = 1

[[keys]]
name = "ci"
sha256 = "…"                 # of the key, in hexadecimal; `hestiaos keys new` writes it
roles = ["run", "read"]
```
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from hmac import compare_digest
from stat import S_IMODE
from typing import Literal, Self, get_args

from attrs import field, frozen

from hestiaos_local.toml import ConfigurationError, Table, TomlFile, read_text
from hestiaos_proto import Config

__all__ = ["ROLES", "Key", "Keys", "Role", "accepted_keys", "hash_key", "name_mistake"]

Role = Literal["run", "read", "approve", "admin"]
"""A role of a key. `admin` is allowed everything."""

ROLES: tuple[Role, ...] = get_args(Role)

_DEFAULT = "default"  # the name of a key given without one

_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_NAME = 64  # characters


@frozen
class Key:
    """An API key: its name, its hexadecimal SHA-256, and its roles."""

    name: str
    sha256: str = field(repr=False)
    roles: tuple[Role, ...]

    def may(self, role: Role) -> bool:
        """Return whether the key has the role, or `admin`."""
        return role in self.roles or "admin" in self.roles


class Keys:
    """The keys that a server accepts. Several threads may use them, while another replaces them."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __repr__(self) -> str:
        return f"Keys({list(self._keys)})"

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, api_key: str) -> Key | None:
        """Return the entry of this key, or None if it is unknown. The time does not depend on the keys."""
        given = hash_key(api_key)
        found = None
        for key in self._keys:
            if compare_digest(key.sha256, given):
                found = key
        return found

    def replace(self, keys: Iterable[Key]) -> None:
        """Replace the accepted keys."""
        self._keys = tuple(keys)

    @classmethod
    def of(cls, api_key: str) -> Self:
        """Accept one key, named `default`, with the role `admin`. Raises `ValueError` if no header can carry it."""
        Config(api_key=api_key)
        return cls([Key(_DEFAULT, hash_key(api_key), ROLES)])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key file.

        Raises `ConfigurationError` with all mistakes in it, or if it cannot be read or other users can write it.
        """
        return cls.parse(read_text(path, check=_untrusted_reason), os.fspath(path))

    @classmethod
    def load_some(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key file for a server, for which a file without keys is a mistake too."""
        keys = cls.load(path)
        if not keys:
            raise ConfigurationError(
                [
                    f"{os.fspath(path)}: there are no keys, so every request would be refused: "
                    "add one with 'hestiaos keys new'"
                ]
            )
        return keys

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Parse the text of a key file. `source` is its name in messages."""
        file = TomlFile(text, source)
        file.root.constant("version", 1)
        keys: list[Key] = []
        for table in file.root.tables("keys"):
            key = _key(table)
            if key.name and any(key.name == other.name for other in keys):
                table.refuse("name", f"must be unique: {key.name!r} is used already")
            if key.sha256 and any(key.sha256 == other.sha256 for other in keys):
                table.refuse("sha256", "must be unique, but is that of another key: 'hestiaos keys new' makes one")
            keys.append(key)
        file.root.close()
        file.check()
        return cls(keys)


def accepted_keys(api_key: str | None, keys: Keys | None = None) -> Keys | None:
    """Return the accepted keys from either argument, or None if no key is required."""
    if api_key and keys is not None:
        raise ValueError("api_key and keys exclude each other: give one of them")
    return Keys.of(api_key) if api_key else keys


def hash_key(api_key: str) -> str:
    """Return the hash of a key, as stored in a key file."""
    return sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()


def name_mistake(name: str) -> str | None:
    """Return the mistake in a key's name, or None."""
    if name.strip() and name.isprintable() and len(name) <= _MAX_NAME:
        return None
    return f"must be one line of 1 to {_MAX_NAME} characters"


def _key(table: Table) -> Key:
    name = table.text("name", needed=True) or ""
    if name and (mistake := name_mistake(name)) is not None:
        table.refuse("name", mistake)
    digest = (table.text("sha256", needed=True) or "").lower()
    if digest and not _HASH.fullmatch(digest):  # not quoted in the message, as it may be the key itself
        table.refuse(
            "sha256", "must be the SHA-256 of the key, 64 hexadecimal digits, as 'hestiaos keys new' writes it"
        )
    elif digest == hash_key(""):
        table.refuse("sha256", "is that of an empty key")
    roles = table.choices("roles", ROLES, needed=True)
    table.close()
    return Key(name, digest, roles)


def _untrusted_reason(status: os.stat_result) -> str | None:
    """Return why a key file is refused, or None. Anyone who can write the file could add a key."""
    if sys.platform == "win32":
        return None
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to another user, who could add keys: change its owner to this user"
    mode = S_IMODE(status.st_mode)
    if mode & 0o022:
        return f"it can be written by others (mode {mode:o}), who could add keys: chmod go-w it"
    return None
