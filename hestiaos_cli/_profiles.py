"""Profiles: servers and their keys by name, in one file of the user's, or the keys in the system's keyring.

The file holds keys, so it is refused if others can read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hestiaos_cli._failures import Failure
from hestiaos_cli._places import config_directory

__all__ = ["Profile", "Profiles"]

_KEYRING_SERVICE = "hestiaos"


class Profile:
    """A server and its API key, which is read from the keyring at the first use."""

    def __init__(self, name: str, base_url: str, api_key: str | None, *, in_keyring: bool) -> None:
        self.name = name
        self.base_url = base_url
        self.in_keyring = in_keyring
        self._api_key = api_key

    def api_key(self) -> str | None:
        """Return the key. Raises `Failure` if the keyring does not return it."""
        if not self.in_keyring:
            return self._api_key
        with _keyring_errors("read"):
            import keyring

            key: str | None = keyring.get_password(_KEYRING_SERVICE, self.name)
        if key is None:
            raise Failure(f"the keyring has no key for the profile '{self.name}': 'hestiaos login {self.name}' again")
        return key


class Profiles:
    """The profiles of this user. Raises `Failure` for a file that cannot be used."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = config_directory() / "profiles.json" if path is None else path
        self._content = self._read()

    @property
    def current(self) -> str | None:
        """The name of the profile that is used by default."""
        name: str | None = self._content["current"]
        return name if name in self._content["profiles"] else None

    @property
    def empty(self) -> bool:
        """Whether there are no profiles."""
        return not self._content["profiles"]

    def __iter__(self) -> Iterator[Profile]:
        return (self._profile(name) for name in self._content["profiles"])

    def get(self, name: str) -> Profile:
        """Return the profile with this name. Raises `Failure` if there is none."""
        if name not in self._content["profiles"]:
            names = ", ".join(self._content["profiles"])
            known = f"known profiles: {names}" if names else "there are none yet"
            hint = f"'hestiaos login {name} --base-url URL' makes it"
            raise Failure(f"there is no profile '{name}'; {known}; {hint}")
        return self._profile(name)

    def use(self, name: str) -> None:
        """Use a profile from now on."""
        self._content["current"] = self.get(name).name
        self._write()

    def add(self, name: str, base_url: str, api_key: str | None) -> Profile:
        """Store a profile, replacing one of that name, and use it from now on."""
        in_keyring = api_key is not None and _keyring_set(name, api_key)
        self._content["profiles"][name] = {
            "base_url": base_url,
            "api_key": None if in_keyring else api_key,
            "keyring": in_keyring,
        }
        self._content["current"] = name
        self._write()
        return self._profile(name)

    def remove(self, name: str) -> None:
        """Delete a profile and its key."""
        profile = self.get(name)
        if profile.in_keyring:
            with _keyring_errors("changed"):
                import keyring

                keyring.delete_password(_KEYRING_SERVICE, name)
        del self._content["profiles"][name]
        self._write()

    def _profile(self, name: str) -> Profile:
        kept = self._content["profiles"][name]
        return Profile(name, kept["base_url"], kept["api_key"], in_keyring=kept["keyring"])

    def _read(self) -> dict[str, Any]:
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                if os.name == "posix" and (mode := os.fstat(file.fileno()).st_mode & 0o077):
                    raise Failure(
                        f"{self.path} holds API keys and can be read by others (mode {mode | 0o600:o}): "
                        f"chmod 600 '{self.path}', and change the keys if others may have read them"
                    )
                content = json.load(file)
        except FileNotFoundError:
            return {"current": None, "profiles": {}}
        except (ValueError, RecursionError) as error:
            raise Failure(f"{self.path} is not JSON ({error}): correct it, or move it away and log in again") from None
        if not _fits(content):
            raise Failure(f"{self.path} is not a file of profiles: move it away, and log in again")
        read: dict[str, Any] = content
        return read

    def _write(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Replaced atomically: a reader sees the old file or the new one, and only this user can read it.
        with NamedTemporaryFile("w", encoding="utf-8", dir=self.path.parent, delete=False) as file:
            try:
                json.dump(self._content, file, indent=2)
                file.flush()
                os.replace(file.name, self.path)
            except BaseException:
                os.unlink(file.name)
                raise


def _fits(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("profiles"), dict) or "current" not in content:
        return False
    if not isinstance(content["current"], str | None):
        return False
    return all(
        isinstance(each, dict)
        and isinstance(each.get("base_url"), str)
        and isinstance(each.get("api_key"), str | None)
        and isinstance(each.get("keyring"), bool)
        for each in content["profiles"].values()
    )


def _keyring_set(name: str, api_key: str) -> bool:
    """Store a key in the system's keyring. Return whether there is a keyring."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return False
    try:
        keyring.set_password(_KEYRING_SERVICE, name, api_key)
    except keyring.errors.NoKeyringError:
        return False
    except keyring.errors.KeyringError as error:
        raise Failure(f"the keyring cannot be changed: {error}") from error
    return True


@contextmanager
def _keyring_errors(done: str) -> Iterator[None]:
    try:
        import keyring.errors
    except ImportError:
        raise Failure("the profile's key is in the system's keyring, which needs: pip install keyring") from None
    try:
        yield
    except keyring.errors.KeyringError as error:
        raise Failure(f"the keyring cannot be {done}: {error}") from error
