"""The operations on the system's state and configuration."""

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

_ACTIVE = 30 * 60.0  # seconds after its last message for which a session counts as active


def system_operations(storage: Storage, measurements: Measurements, clock: Callable[[], float]) -> Answers:
    """Return the operations that wait only for the storage."""

    def health(arguments: Arguments, key: str | None) -> HealthResponse:
        return HealthResponse(status="ok", version=__version__, uptime_seconds=measurements.uptime(), api_version="v1")

    def system_metrics(arguments: Arguments, key: str | None) -> SystemMetrics:
        active = storage.active_sessions(clock() - _ACTIVE)
        return SystemMetrics(measurements.metrics() | {"active_sessions": active})

    return {"health": health, "system_metrics": system_metrics}


def system_status(storage: Storage, executor: Executor, measurements: Measurements) -> Flow[SystemStatus]:
    """Return the system's state. Both fields about models report whether the model server responds."""
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
    """Return the configuration, and why the model server is unavailable, for which `system.status` has only a flag."""
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
    """Return why the model server is unavailable, or None if it is available or there is none."""
    if not isinstance(executor, Checkable):
        return None
    fault: StatusError | None = yield Await(executor.check)
    return fault
