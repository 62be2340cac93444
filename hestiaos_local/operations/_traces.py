"""The operations on traces (get and list), and on the stability of decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from hestiaos_local.decisions import described, shortened, trace_response
from hestiaos_local.governance import DecisionName, Policy
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.storage import Storage, TraceRecord
from hestiaos_proto import NotFound, TraceResponse

__all__ = ["trace_operations"]

_MAX_CALLS = 10  # tool calls of each trace in a list
_RECENT = 100  # the newest executions, which are compared with all to detect drift


def trace_operations(storage: Storage, policy: Callable[[], Policy]) -> Answers:
    """Return the operations on the traces of a storage."""

    def trace(arguments: Arguments, key: str | None) -> TraceResponse:
        return trace_response(_found(storage, arguments["trace_id"]))

    def governance_trace(arguments: Arguments, key: str | None) -> dict[str, Any]:
        return described(_found(storage, arguments["command_id"]))

    def list_traces(arguments: Arguments, key: str | None) -> list[TraceResponse]:
        limit, decision, before = arguments["limit"], arguments["decision"], arguments["before"]
        found = storage.traces(limit=limit, decision=decision, before=before)
        return [TraceResponse.from_wire(_shortened(described(each))) for each in found]

    def governance_status(arguments: Arguments, key: str | None) -> dict[str, Any]:
        """Return how stable the decisions are.

        `drift_score`, from 0 to 1, is the difference between the newest 100 executions and all executions in the share
        of decisions other than ALLOW. `stability_score` is 1 minus that.
        """
        every, recent = storage.decisions(), storage.decisions(_RECENT)
        drift = abs(_restricted(recent) - _restricted(every))
        return {
            "stability_score": 1.0 - drift,
            "drift_score": drift,
            "decisions": {verdict: every.get(verdict, 0) for verdict in get_args(DecisionName)},
            "policy": policy().name,
        }

    return {
        "trace": trace,
        "governance_trace": governance_trace,
        "list_traces": list_traces,
        "governance_status": governance_status,
    }


def _found(storage: Storage, trace_id: str) -> TraceRecord:
    if (found := storage.trace(trace_id)) is None:
        raise NotFound(f"there is no trace {trace_id!r}")
    return found


def _shortened(trace: dict[str, Any]) -> dict[str, Any]:
    """Shorten long texts in a trace for a list."""
    texts = {name: shortened(trace[name]) for name in ("input", "output") if name in trace}
    calls = [
        {name: shortened(text) for name, text in call.items()} for call in trace.get("tool_calls", [])[:_MAX_CALLS]
    ]
    return trace | texts | ({"tool_calls": calls} if calls else {})


def _restricted(decisions: Mapping[str, int]) -> float:
    """Return the share of decisions other than ALLOW."""
    total = sum(decisions.values())
    return 1 - decisions.get("ALLOW", 0) / total if total else 0.0
