"""The operations that only answer: of governance, traces, secrets and the system. They execute nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from hestiaos_local._executions import MAX_OUTPUT
from hestiaos_local._flow import Await, Call, Flow
from hestiaos_local._measurements import Measurements
from hestiaos_local._models import default_model
from hestiaos_local.execution import Checkable, Executor
from hestiaos_local.governance import DecisionName, Policy, texts_of
from hestiaos_local.storage import MAX_RESULTS, Storage, TraceRecord
from hestiaos_proto import (
    MAX_BODY_SIZE,
    HealthResponse,
    NotFound,
    Result,
    StatusError,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    __version__,
)

__all__ = ["Operations"]

_ACTIVE = 30 * 60.0  # seconds since its last message in which a session counts as active
_RECENT = 100  # executions that are compared with all, to see whether governance drifts

Arguments = Mapping[str, Any]


class Operations:
    """Answers from what a platform keeps and counts."""

    def __init__(
        self,
        policy: Policy,
        storage: Storage,
        executor: Executor,
        measurements: Measurements,
        clock: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._storage = storage
        self._executor = executor
        self._measurements = measurements
        self._clock = clock

    def answer(self, operation: str, arguments: Arguments) -> Flow[Any]:
        """The result of an operation. Raises `NotFound`."""
        if operation == "system_status":
            return (yield from self._system_status())
        if operation == "system_config":
            return (yield from self._system_config())
        return (yield Call(lambda: _OPERATIONS[operation](self, arguments)))

    # What is said of governance.

    def _explain(self, arguments: Arguments) -> dict[str, Any]:
        command_type = arguments["command_type"]
        decision = self._policy.decide(command_type, *texts_of(arguments["command_input"]))
        return {
            "command_type": command_type,
            "decision": decision.verdict,
            "reason": decision.reason,
            "risk_score": decision.risk_score,
            "policy": self._policy.name,
            "violations": decision.violations,
        }

    def _governance_status(self, arguments: Arguments) -> dict[str, Any]:
        """How steady the decisions are.

        `drift_score`, from 0 to 1, is how far the share of executions that were not simply allowed differs between
        the newest 100 and all; `stability_score` is 1 less that.
        """
        every, recent = self._storage.decisions(), self._storage.decisions(_RECENT)
        drift = abs(_restricted(recent) - _restricted(every))
        return {
            "stability_score": 1.0 - drift,
            "drift_score": drift,
            "decisions": {verdict: every.get(verdict, 0) for verdict in get_args(DecisionName)},
            "policy": self._policy.name,
        }

    def _trace(self, arguments: Arguments) -> TraceResponse:
        return TraceResponse.from_wire(self._found(arguments["trace_id"]).facts["trace"])

    def _governance_trace(self, arguments: Arguments) -> dict[str, Any]:
        """All that is known of an execution: its trace, what was commanded, and, once it is over, how it ended."""
        record = self._found(arguments["command_id"])
        ended = {} if record.outcome is None else {"outcome": record.outcome.status}
        return {**record.facts["trace"], **record.facts["command"], **ended}

    def _found(self, trace_id: str) -> TraceRecord:
        if (found := self._storage.trace(trace_id)) is None:
            raise NotFound(f"there is no trace {trace_id!r}")
        return found

    # Secrets.

    def _get_secret(self, arguments: Arguments) -> str:
        if (value := self._storage.secret(arguments["key"])) is None:
            raise NotFound(f"there is no secret {arguments['key']!r}")
        return value

    def _set_secret(self, arguments: Arguments) -> None:
        self._storage.set_secret(arguments["key"], arguments["value"], arguments["provider"])

    def _delete_secret(self, arguments: Arguments) -> None:
        if not self._storage.delete_secret(arguments["key"]):
            raise NotFound(f"there is no secret {arguments['key']!r}")

    # The system.

    def _health(self, arguments: Arguments) -> HealthResponse:
        return HealthResponse(
            status="ok", version=__version__, uptime_seconds=self._measurements.uptime(), api_version="v1"
        )

    def _system_status(self) -> Flow[SystemStatus]:
        """How the system is. The two kinds of model servers are not told apart: both say whether ours answers."""
        storage = yield Call(self._storage.works)
        fault = yield from self._model_fault()
        reached = isinstance(self._executor, Checkable) and fault is None
        return SystemStatus(
            status="OK" if storage and fault is None else "DEGRADED",
            version=__version__,
            uptime_seconds=self._measurements.uptime(),
            ollama=reached,
            vllm=reached,
            dsgk=storage,
            storage=storage,
        )

    def _system_config(self) -> Flow[dict[str, Any]]:
        """What it is made of, and why its model server cannot be used: `system.status` may say no more than that."""
        fault = yield from self._model_fault()
        return {
            "version": __version__,
            "policy": self._policy.name,
            "storage": self._storage.kind,
            "model": default_model(self._executor),
            "model_error": None if fault is None else fault.message,
            "limits": {"max_body_bytes": MAX_BODY_SIZE, "max_output_chars": MAX_OUTPUT, "kept_results": MAX_RESULTS},
        }

    def _model_fault(self) -> Flow[StatusError | None]:
        """Why the model server cannot be used; `None` where it can, and where there is none."""
        executor = self._executor
        if not isinstance(executor, Checkable):
            return None
        fault: StatusError | None = yield Await(executor.check)
        return fault

    def _system_metrics(self, arguments: Arguments) -> SystemMetrics:
        active = self._storage.active_sessions(self._clock() - _ACTIVE)
        return SystemMetrics(self._measurements.metrics() | {"active_sessions": active})


_OPERATIONS: Mapping[str, Callable[[Operations, Arguments], Result]] = {
    "health": Operations._health,
    "trace": Operations._trace,
    "system_metrics": Operations._system_metrics,
    "get_secret": Operations._get_secret,
    "set_secret": Operations._set_secret,
    "delete_secret": Operations._delete_secret,
    "explain": Operations._explain,
    "governance_status": Operations._governance_status,
    "governance_trace": Operations._governance_trace,
}


def _restricted(decisions: Mapping[str, int]) -> float:
    """The share of decisions other than ALLOW."""
    total = sum(decisions.values())
    return 1 - decisions.get("ALLOW", 0) / total if total else 0.0
