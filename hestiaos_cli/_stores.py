"""Where a store is: a file, or the URL of a database, which may hold a password that is never shown."""

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
    """What an argument names. Its password is hidden from `ps` where the system lets us."""
    for password in _PASSWORD.findall(argument) if "://" in argument else ():
        hide_argument(password)
    return place(argument)


def place(value: str, folder: Path | None = None) -> Place:
    """What a text names: a URL, or a file, beside which one in a `folder` stands by its name alone."""
    if "://" in value:
        return value
    return Path(value) if folder is None else folder / Path(value).expanduser()


def existing_place(store: Place) -> Place:
    """A place where there may be a store already. Raises `Failure` for a file that is not there."""
    if isinstance(store, Path) and not store.is_file():
        raise Failure(f"there is no such file: {store}")
    return store


def shown(store: Place) -> str:
    """A place as it may be printed."""
    return _PASSWORD.sub("***", store) if isinstance(store, str) else str(store)
