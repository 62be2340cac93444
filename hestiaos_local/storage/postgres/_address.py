"""The URL of a database: what may be shown of it, and the arguments of a connection."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage.postgres._tables import SCHEMA

__all__ = ["connection_arguments", "parsed", "shown"]

_STATEMENT = 30_000  # milliseconds, after which the server gives up a statement, or a transaction that does nothing
_UNANSWERED = 10  # seconds without an answer of the other machine, after which a connection is lost


def parsed(url: str) -> dict[str, Any]:
    """Parse a URL. Raises `StoreError`, which does not quote it, as it may contain a password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    if not all(port.isdecimal() for port in str(parts.get("port", "0")).split(",")):  # what was meant as a password
        raise StoreError("the store's URL is not one of PostgreSQL: write postgresql://USER@HOST:PORT/DATABASE")
    return parts


def shown(parts: dict[str, Any]) -> str:
    """Return the URL of a database without its secrets."""
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"


def connection_arguments(parts: dict[str, Any], busy_timeout: float) -> dict[str, Any]:
    """Return the arguments of a connection: those of the URL, and by default a bound for every wait."""
    milliseconds = max(1, round(busy_timeout * 1000))
    settings = {
        "search_path": SCHEMA,
        "statement_timeout": _STATEMENT,
        "idle_in_transaction_session_timeout": _STATEMENT,
        "lock_timeout": milliseconds,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    bounded = {
        "application_name": "hestiaos",
        "connect_timeout": max(2, round(busy_timeout)),
        "tcp_user_timeout": _UNANSWERED * 1000,
        "keepalives_idle": _UNANSWERED,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    return bounded | parts | {"options": f"{options} {parts.get('options', '')}"}
