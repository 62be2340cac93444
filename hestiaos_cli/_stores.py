"""The place of a store: a file, or the URL of a database, which may contain a password that is never shown."""

from __future__ import annotations

import re
from pathlib import Path

from hestiaos_cli._failures import Failure
from hestiaos_cli._server import hide_argument

__all__ = ["Place", "existing_place", "named_store", "place", "shown"]

Place = Path | str
"""A file, or a URL."""

_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)|(?<=[?&]password=)[^&]*")


def named_store(argument: str) -> Place:
    """Return the place that an argument names. A password in it is hidden from `ps` if the system allows that."""
    for password in _PASSWORD.findall(argument) if "://" in argument else ():
        hide_argument(password)
    return place(argument)


def place(value: str, folder: Path | None = None) -> Place:
    """Return the place that a text names: a URL or a file, which is relative to `folder`."""
    if "://" in value:
        return value
    return Path(value) if folder is None else folder / Path(value).expanduser()


def existing_place(store: Place) -> Place:
    """Return the place of an existing store. Raises `Failure` for a file that does not exist."""
    if isinstance(store, Path) and not store.is_file():
        raise Failure(f"{store}: there is no such file")
    return store


def shown(store: Place) -> str:
    """Format a place for printing, without a password."""
    return _PASSWORD.sub("***", store) if isinstance(store, str) else str(store)
