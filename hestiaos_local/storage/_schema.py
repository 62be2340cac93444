"""Create the tables in a SQLite database, or migrate those of an older version."""

from __future__ import annotations

import sqlite3

from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._tables import CREATE, VERSION

__all__ = ["prepare"]

_APPLICATION_ID = 0x48657374  # "Hest", in the file's header


def prepare(name: str, db: sqlite3.Connection) -> None:
    """Create the tables in an empty database, or migrate those of an older version, in one transaction.

    Raises `StoreError` for a database of another program or of a newer version, which is not changed.
    """
    with db:
        db.execute("BEGIN")  # read one state of the file, while other processes may change it
        found = _found(name, db)
    if found != VERSION:
        with db:
            db.execute("BEGIN IMMEDIATE")
            found = _found(name, db)  # another process may have created or migrated them first
            if found == 0:
                for statement in CREATE:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            else:
                from hestiaos_local.storage._migrations import migrate  # imported here as few files need it

                migrate(db, found)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _found(name: str, db: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 for an empty database."""
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
