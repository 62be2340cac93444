"""The folders for this user's files: configuration, data. As platformdirs has them, whose import takes longer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hestiaos_cli._failures import Failure

__all__ = ["config_directory", "data_directory"]

_NAME = "hestiaos"


def config_directory() -> Path:
    """Return the directory of the configuration and the profiles. Raises `Failure` if there is none."""
    return _directory("XDG_CONFIG_HOME", ".config", os.environ)


def data_directory() -> Path:
    """Return the directory of the local store and other state. Raises `Failure` if there is none."""
    return _directory("XDG_DATA_HOME", ".local/share", os.environ)


def _directory(variable: str, below_home: str, environ: Mapping[str, str]) -> Path:
    # The XDG base directory specification: a relative path is invalid, and an empty one counts as unset.
    given = environ.get(variable, "")
    if os.path.isabs(given):
        return Path(given, _NAME)
    if sys.platform == "win32":
        local = environ.get("LOCALAPPDATA", "")
        return Path(local, _NAME) if os.path.isabs(local) else _home(environ, "LOCALAPPDATA") / "AppData/Local" / _NAME
    if sys.platform == "darwin":
        return _home(environ, variable) / "Library/Application Support" / _NAME
    return _home(environ, variable) / below_home / _NAME


def _home(environ: Mapping[str, str], variable: str) -> Path:
    if os.path.isabs(given := environ.get("HOME", "")):
        return Path(given)
    if os.name == "posix":
        import pwd

        try:
            if os.path.isabs(home := pwd.getpwuid(os.getuid()).pw_dir):
                return Path(home)
        except KeyError:  # a user id without an entry, as in a container
            pass
    else:
        if os.path.isabs(home := os.path.expanduser("~")):
            return Path(home)
    raise Failure(f"this user has no home directory to keep files in: set HOME, or {variable}, to an absolute path")
