"""The platform's operations: those subject to governance, and those that execute nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._lazy_names import lazy_names
from hestiaos_local.operations._constraints import BODIES, CONSTRAINTS, check_constraints
from hestiaos_local.operations._event_logs import EventLog, EventLogs, check_place, forgotten, number_of
from hestiaos_local.operations._executions import MAX_OUTPUT, TIMEOUT, Executions
from hestiaos_local.operations._following import follow
from hestiaos_local.operations._idempotency import check_text, fingerprint, idempotent, note_first, recall
from hestiaos_local.operations._models import list_models
from hestiaos_local.operations._streams import RunEvents

if TYPE_CHECKING:
    from hestiaos_local.operations._operations import Operations

__all__ = [
    "BODIES",
    "CONSTRAINTS",
    "MAX_OUTPUT",
    "TIMEOUT",
    "EventLog",
    "EventLogs",
    "Executions",
    "Operations",
    "RunEvents",
    "check_constraints",
    "check_place",
    "check_text",
    "fingerprint",
    "follow",
    "forgotten",
    "idempotent",
    "list_models",
    "note_first",
    "number_of",
    "recall",
]

# Not needed to execute anything, so imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local.operations._operations": ("Operations",),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
