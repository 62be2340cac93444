"""The system's state and configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hestiaos_local._measurements import Measurements
from hestiaos_local.execution import Checkable, Executor
from hestiaos_local.flow import Await, Call, Flow
from hestiaos_local.governance import Policy
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.operations._executions import MAX_OUTPUT
from hestiaos_local.operations._models import default_model
from hestiaos_local.storage import MAX_RESULTS, Storage
from hestiaos_proto import MAX_BODY_SIZE, HealthResponse, StatusError, SystemMetrics, SystemStatus, __version__

__all__ = ["system_config", "system_operations", "system_status"]

_ACTIVE = 30 * 60.0  # seconds since its last message in which a session counts as active


def system_operations(storage: Storage, measurements: Measurements, clock: Callable[[], float]) -> Answers:
    """The operations that wait for nothing but the storage."""

    def health(arguments: Arguments, key: str | None) -> HealthResponse:
        return HealthResponse(status="ok", version=__version__, uptime_seconds=measurements.uptime(), api_version="v1")

    def system_metrics(arguments: Arguments, key: str | None) -> SystemMetrics:
        active = storage.active_sessions(clock() - _ACTIVE)
        return SystemMetrics(measurements.metrics() | {"active_sessions": active})

    return {"health": health, "system_metrics": system_metrics}


def system_status(storage: Storage, executor: Executor, measurements: Measurements) -> Flow[SystemStatus]:
    """The system's state. Model servers are of one kind here: both fields report whether the server answers."""
    works = yield Call(storage.works)
    fault = yield from _model_fault(executor)
    reached = isinstance(executor, Checkable) and fault is None
    return SystemStatus(
        status="OK" if works and fault is None else "DEGRADED",
        version=__version__,
        uptime_seconds=measurements.uptime(),
        ollama=reached,
        vllm=reached,
        dsgk=works,
        storage=works,
    )


def system_config(storage: Storage, executor: Executor, policy: Callable[[], Policy]) -> Flow[dict[str, Any]]:
    """Its parts, and why its model server cannot be used: `system.status` only has a flag for that."""
    fault = yield from _model_fault(executor)
    return {
        "version": __version__,
        "policy": policy().name,
        "storage": storage.kind,
        "model": default_model(executor),
        "model_error": None if fault is None else fault.message,
        "limits": {"max_body_bytes": MAX_BODY_SIZE, "max_output_chars": MAX_OUTPUT, "kept_results": MAX_RESULTS},
    }


def _model_fault(executor: Executor) -> Flow[StatusError | None]:
    """Why the model server cannot be used; `None` where it can, and where there is none."""
    if not isinstance(executor, Checkable):
        return None
    fault: StatusError | None = yield Await(executor.check)
    return fault
