"""Constraints on arguments beyond their types, which both the platform's checks and its OpenAPI document use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hestiaos_local.governance import DECISIONS
from hestiaos_proto import ROUTES, FieldError, InvalidInput

__all__ = ["BODIES", "CONSTRAINTS", "EFFORTS", "check_constraints"]

EFFORTS: Mapping[str | None, float] = {None: 1.0, "fast": 0.25, "balanced": 0.5, "deep": 1.0}
"""The share of the budget that a run gets for each `mode_hint`."""

_HINTS = [hint for hint in EFFORTS if hint is not None]
_LONGEST = 10**12  # milliseconds, 31 years: adding it to a time does not overflow

Keywords = Mapping[str, Any]

# A text with more than white space as defined by `str.isspace`, since `\s` covers less in other languages.
_FILLED: Keywords = {"pattern": r"[^\s\u001c-\u001f\u0085]"}
_RUN: Mapping[str, Keywords] = {
    "input": _FILLED,
    "mode_hint": {"enum": [*_HINTS, None]},
    "timeout_ms": {"minimum": 1, "maximum": _LONGEST},
}
_CHAT: Mapping[str, Keywords] = {"message": _FILLED}

_HEAD: Keywords = {"pattern": "^[0-9]{1,18}:[0-9a-f]{64}(,[0-9]{1,18}:[0-9a-f]{64})*$"}
_LIMIT: Keywords = {"minimum": 1, "maximum": 1000}

CONSTRAINTS: Mapping[str, Mapping[str, Keywords]] = {
    "run": _RUN,
    "run_stream": _RUN,
    "chat": _CHAT,
    "chat_stream": _CHAT,
    "run_agent": {"agent_id": _FILLED, "task": _FILLED},
    "list_traces": {"limit": _LIMIT, "decision": {"enum": list(DECISIONS)}},
    "list_sessions": {"limit": _LIMIT},
    "get_session": {"last": {"minimum": 0, "maximum": 10**12}},
    "list_approvals": {"limit": _LIMIT, "status": {"enum": ["pending", "approved", "denied", "used", "expired"]}},
    "verify_audit": {"known": _HEAD},
    "export_audit": {"limit": _LIMIT, "after": {"minimum": 0, "maximum": 2**53 - 1}},
}
"""JSON Schema keywords of arguments, by operation and argument."""

_ONE_SUBJECT: Keywords = {
    "oneOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("input", "output", "tool")],
    "anyOf": [
        {"required": ["tool"], "properties": {"tool": {"type": "string"}}},
        {"properties": {"arguments": {"type": "null"}}},
    ],
}
BODIES: Mapping[str, Keywords] = {"judge": _ONE_SUBJECT}
"""JSON Schema keywords of whole bodies, by operation. The operations check these themselves."""

_PLACES = {"mode_hint": ("context",), "timeout_ms": ("options",)}  # nested in the body


def check_constraints(operation: str, arguments: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for the first argument that violates a constraint."""
    for name, keywords in CONSTRAINTS.get(operation, {}).items():
        value = arguments[name]
        if value is not None and (why := _mistake(keywords, value)) is not None:
            in_query = any(param.name == name for param in ROUTES[operation].query)
            place = ["query", name] if in_query else ["body", *_PLACES.get(name, ()), name]
            message = f"{name} must {why}"
            raise InvalidInput(message, None, [FieldError(loc=place, msg=message, type="value_error")])


def _mistake(keywords: Keywords, value: Any) -> str | None:
    if keywords is _FILLED:
        return None if value.strip() else "not be empty"
    if keywords is _HEAD:
        fits = re.fullmatch(keywords["pattern"], value)
        return None if fits else "be a head as printed by a verification: a number, a colon and a hash"
    if "enum" in keywords:
        *first, last = [each for each in keywords["enum"] if each is not None]
        return None if value in keywords["enum"] else f"be {', '.join(first)} or {last}"
    if value < keywords["minimum"]:
        return f"be {keywords['minimum']} or more"
    return None if value <= keywords["maximum"] else f"be {keywords['maximum']} or less"
