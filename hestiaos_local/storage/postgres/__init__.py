"""The store in a PostgreSQL database, for the workers of many machines; it needs the extra `postgres`."""

from __future__ import annotations

from hestiaos_local.storage.postgres._database import PostgresDatabase

__all__ = ["PostgresDatabase"]


def __dir__() -> list[str]:
    return sorted(__all__)
