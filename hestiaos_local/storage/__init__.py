"""The storage of a platform: the interface, and the store in memory, in one SQLite file or in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._lazy_names import lazy_names
from hestiaos_local.storage._errors import StoreError, StoreProblem
from hestiaos_local.storage._interface import Storage
from hestiaos_local.storage._opening import is_url
from hestiaos_local.storage._records import (
    Approval,
    ApprovalStatus,
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
from hestiaos_local.storage._results import MAX_RESULTS
from hestiaos_local.storage._store import Store

if TYPE_CHECKING:
    from hestiaos_local.storage._audit import LogReport, export_log, read_log, verify_log
    from hestiaos_local.storage._copying import copy_store

__all__ = [
    "MAX_RESULTS",
    "Approval",
    "ApprovalStatus",
    "Claim",
    "Claimed",
    "Conflict",
    "Finished",
    "InProgress",
    "LogReport",
    "Message",
    "Outcome",
    "Retention",
    "Session",
    "Storage",
    "Store",
    "StoreError",
    "StoreProblem",
    "TraceRecord",
    "copy_store",
    "export_log",
    "is_url",
    "read_log",
    "verify_log",
]

# Not needed to execute anything, so imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local.storage._audit": ("LogReport", "export_log", "read_log", "verify_log"),
            "hestiaos_local.storage._copying": ("copy_store",),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
