"""Create the schema of a store, or migrate it from an older version."""

from __future__ import annotations

from typing import Any

import psycopg

from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage.postgres._tables import CREATE, MIGRATIONS, SCHEMA, VERSION

__all__ = ["prepare"]

_LOCK = 0x4865737469614F53  # "HestiaOS"


def prepare(name: str, connection: psycopg.Connection[Any]) -> None:
    """Create the tables, or migrate those of an older version, in one transaction.

    If several workers start at once, one does this while the others wait. Raises `StoreError` for the schema of another
    program or of a newer version, and leaves it unchanged.
    """
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SET LOCAL lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = _found(name, connection)
        if found == VERSION:
            return
        statements: list[str] = []
        if found is None:
            statements += CREATE
        else:
            for version in range(found, VERSION):
                statements += MIGRATIONS[version]
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute(
            "INSERT INTO meta (name, value) VALUES ('version', %s) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (b"%d" % VERSION,),
        )


def _found(name: str, connection: psycopg.Connection[Any]) -> int | None:
    """Return the version of the tables, or None if there are none. Creates a missing schema."""
    exists = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (SCHEMA,)).fetchone()
    if exists is None:
        connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        return None
    tables = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %s",
        (SCHEMA,),
    ).fetchall()
    if not tables:
        return None
    version = None
    if ("meta",) in tables and ("chain",) in tables:
        version = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    if version is None:
        raise StoreError(f"{name} has a schema {SCHEMA} of another program: choose another database", problem="foreign")
    if int(version[0]) > VERSION:
        raise StoreError(
            f"{name} was written by a newer version: install that version, or choose another database", problem="newer"
        )
    return int(version[0])
