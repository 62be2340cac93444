"""Governance: what a policy says of inputs, outputs and tool calls. Pure: no clock, no randomness, no lock.

`Policy.load` reads a file, `Policy.judge` says what it decides on `Facts`, and an `OutputGovernor` releases what a
model says as the policy allows, in whatever pieces it comes.
"""

from __future__ import annotations

from hestiaos_local.governance._errors import PolicyError
from hestiaos_local.governance._facts import Facts, texts_of
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._output import (
    Blocked,
    OutputEvent,
    OutputGovernor,
    Redaction,
    ReleasedText,
    ReleasedToolCall,
    redact_input,
)
from hestiaos_local.governance._policy import Decision, Policy
from hestiaos_local.governance._rules import (
    DECISIONS,
    Bucket,
    DecisionName,
    Limit,
    PolicyTest,
    Rule,
    ShadowHit,
    Verdict,
)

__all__ = [
    "DECISIONS",
    "Blocked",
    "Bucket",
    "Decision",
    "DecisionName",
    "Facts",
    "Limit",
    "OutputEvent",
    "OutputGovernor",
    "Policy",
    "PolicyError",
    "PolicyTest",
    "Redaction",
    "ReleasedText",
    "ReleasedToolCall",
    "Rule",
    "ShadowHit",
    "Verdict",
    "normalized",
    "redact_input",
    "texts_of",
]


def __dir__() -> list[str]:
    return sorted(__all__)
