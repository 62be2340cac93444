"""What each operation does: those that governance decides on, and those that only answer."""

from __future__ import annotations

from hestiaos_local.operations._constraints import BODIES, CONSTRAINTS, check_constraints
from hestiaos_local.operations._executions import MAX_OUTPUT, TIMEOUT, Executions
from hestiaos_local.operations._idempotency import fingerprint, idempotent
from hestiaos_local.operations._models import list_models
from hestiaos_local.operations._operations import Operations
from hestiaos_local.operations._streams import RunEvents

__all__ = [
    "BODIES",
    "CONSTRAINTS",
    "MAX_OUTPUT",
    "TIMEOUT",
    "Executions",
    "Operations",
    "RunEvents",
    "check_constraints",
    "fingerprint",
    "idempotent",
    "list_models",
]


def __dir__() -> list[str]:
    return sorted(__all__)
