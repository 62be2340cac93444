"""Where a platform keeps what it remembers: the interface, and the store in memory or in one SQLite file."""

from __future__ import annotations

from hestiaos_local.storage._errors import StoreError, StoreProblem
from hestiaos_local.storage._interface import Storage
from hestiaos_local.storage._records import (
    Claim,
    Claimed,
    Conflict,
    Finished,
    InProgress,
    Message,
    Outcome,
    Retention,
    Session,
    TraceRecord,
)
from hestiaos_local.storage._store import MAX_RESULTS, Store

__all__ = [
    "MAX_RESULTS",
    "Claim",
    "Claimed",
    "Conflict",
    "Finished",
    "InProgress",
    "Message",
    "Outcome",
    "Retention",
    "Session",
    "Storage",
    "Store",
    "StoreError",
    "StoreProblem",
    "TraceRecord",
]


def __dir__() -> list[str]:
    return sorted(__all__)
