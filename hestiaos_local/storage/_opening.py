"""Open the database of a store: PostgreSQL, a SQLite file or memory."""

from __future__ import annotations

import os
from typing import TypeGuard

from hestiaos_local.storage._database import Database
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._sqlite import SQLiteDatabase

__all__ = ["is_url", "open_database"]

_SCHEMES = ("postgresql", "postgres")


def is_url(place: object) -> TypeGuard[str]:
    """Return whether `place` is the URL of a PostgreSQL database, not the path of a file."""
    return isinstance(place, str) and place.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


def open_database(place: str | os.PathLike[str] | None, busy_timeout: float) -> Database:
    """Open the database at a URL, the SQLite file at a path, or one in memory for None. Raises `StoreError`."""
    if not is_url(place):
        scheme, colon, rest = ("" if place is None else os.fspath(place)).partition(":")
        if colon and (rest.startswith("//") or scheme in _SCHEMES):
            raise StoreError(f"a store cannot be at {scheme}:…: name a file, or postgresql://USER@HOST/DATABASE")
        return SQLiteDatabase(place, busy_timeout)
    try:
        import psycopg  # noqa: F401
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        raise StoreError(f"a store in PostgreSQL needs psycopg ({error}): pip install 'hestiaos[postgres]'") from None
    from hestiaos_local.storage.postgres import PostgresDatabase

    return PostgresDatabase(place, busy_timeout)
