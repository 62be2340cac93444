"""The tables, their version, and how a file of an older version becomes one of this."""

from __future__ import annotations

import sqlite3

from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._tables import CREATE, VERSION

__all__ = ["prepare"]

_APPLICATION_ID = 0x48657374  # "Hest": says in the file's head whose it is


def prepare(name: str, db: sqlite3.Connection) -> None:
    """Make the tables of an empty database, or bring those of an older version up to date: all of it, or nothing.

    Raises `StoreError` for another program's database, or of a newer version, which is left as it is.
    """
    with db:
        db.execute("BEGIN")  # what is read now is one state of the file, whatever another process does to it
        found = _found(name, db)
    if found != VERSION:
        with db:
            db.execute("BEGIN IMMEDIATE")
            found = _found(name, db)  # another process may have been faster
            if found == 0:
                for statement in CREATE:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            else:
                from hestiaos_local.storage._migrations import migrate  # few files need it

                migrate(db, found)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _found(name: str, db: sqlite3.Connection) -> int:
    """The version of the tables; 0 of an empty database."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION_ID and version > VERSION:
        raise StoreError(
            f"{name} was written by a newer version: install that version, or choose another file", problem="newer"
        )
    if application != _APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{name} is the database of another program: choose another file", problem="foreign")
    found: int = version
    return found
