"""Governance: apply a policy to inputs, outputs and tool calls. Pure: no clock, no randomness, no lock.

`Policy.load` reads a file, and `Policy.judge` returns the verdict on `Facts`. An `OutputGovernor` releases the output
of a model as the policy allows, whatever pieces it arrives in. `charges_for` and `admit` apply the policy's limits. A
`LogVerifier` verifies the log of decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._lazy_names import lazy_names
from hestiaos_local.governance._approvals import call_hash
from hestiaos_local.governance._chain import CHAIN_SIZE, START, Head, chain_start, entry_hash
from hestiaos_local.governance._errors import PolicyError
from hestiaos_local.governance._facts import Facts, arguments_of, texts_of
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._output import (
    Blocked,
    OutputEvent,
    OutputGovernor,
    Redaction,
    ReleasedText,
    ReleasedToolCall,
)
from hestiaos_local.governance._policy import Decision, Policy
from hestiaos_local.governance._redaction import (
    ErrorRedactor,
    RecordRedactor,
    TextRedactor,
    input_redactor,
    redact_input,
)
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
from hestiaos_local.governance._secrets import SecretRedactor

if TYPE_CHECKING:
    from hestiaos_local.governance._admission import (
        DEFAULT_OUTPUT_TOKENS,
        Charge,
        Counter,
        CounterUse,
        Exhausted,
        Reservation,
        TokenPlan,
        admit,
        charges_for,
        plan_tokens,
    )
    from hestiaos_local.governance._chain_verifier import LogEntry, LogFault, LogPage
    from hestiaos_local.governance._chains import LogVerifier
    from hestiaos_local.governance._explanations import Explanation, explain
    from hestiaos_local.governance._replay import RecordedDecision, Replayed, recorded_decision, replay

__all__ = [
    "CHAIN_SIZE",
    "DECISIONS",
    "DEFAULT_OUTPUT_TOKENS",
    "START",
    "Blocked",
    "Bucket",
    "Charge",
    "Counter",
    "CounterUse",
    "Decision",
    "DecisionName",
    "ErrorRedactor",
    "Exhausted",
    "Explanation",
    "Facts",
    "Head",
    "Limit",
    "LogEntry",
    "LogFault",
    "LogPage",
    "LogVerifier",
    "OutputEvent",
    "OutputGovernor",
    "Policy",
    "PolicyError",
    "PolicyTest",
    "RecordRedactor",
    "RecordedDecision",
    "Redaction",
    "ReleasedText",
    "ReleasedToolCall",
    "Replayed",
    "Reservation",
    "Rule",
    "SecretRedactor",
    "ShadowHit",
    "TextRedactor",
    "TokenPlan",
    "Verdict",
    "admit",
    "arguments_of",
    "call_hash",
    "chain_start",
    "charges_for",
    "entry_hash",
    "explain",
    "input_redactor",
    "normalized",
    "plan_tokens",
    "recorded_decision",
    "redact_input",
    "replay",
    "texts_of",
]

# Not needed by an execution without limits, so imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local.governance._admission": (
                *("DEFAULT_OUTPUT_TOKENS", "Charge", "Counter", "CounterUse", "Exhausted", "Reservation", "TokenPlan"),
                *("admit", "charges_for", "plan_tokens"),
            ),
            "hestiaos_local.governance._chain_verifier": ("LogEntry", "LogFault", "LogPage"),
            "hestiaos_local.governance._chains": ("LogVerifier",),
            "hestiaos_local.governance._explanations": ("Explanation", "explain"),
            "hestiaos_local.governance._replay": ("RecordedDecision", "Replayed", "recorded_decision", "replay"),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
