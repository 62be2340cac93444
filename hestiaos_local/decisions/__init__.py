"""Apply governance to one execution: facts, verdict, admission, approval, the allowed outputs, and the trace."""

from __future__ import annotations

from hestiaos_local.decisions._answers import Answer
from hestiaos_local.decisions._approving import APPROVAL_TIME, Asked
from hestiaos_local.decisions._governed_outputs import GovernedOutputs
from hestiaos_local.decisions._governing import BUDGETS, Governed, Governor
from hestiaos_local.decisions._hidden_values import HiddenValues
from hestiaos_local.decisions._observations import Observation, is_observed, note, observe
from hestiaos_local.decisions._records import Findings, Keep, Status, described, iso, kept_result, trace_response
from hestiaos_local.decisions._shortened import shortened

__all__ = [
    "APPROVAL_TIME",
    "BUDGETS",
    "Answer",
    "Asked",
    "Findings",
    "Governed",
    "GovernedOutputs",
    "Governor",
    "HiddenValues",
    "Keep",
    "Observation",
    "Status",
    "described",
    "is_observed",
    "iso",
    "kept_result",
    "note",
    "observe",
    "shortened",
    "trace_response",
]


def __dir__() -> list[str]:
    return sorted(__all__)
