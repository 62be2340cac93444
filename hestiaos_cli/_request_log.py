"""The log of a served platform's requests, one line for each."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._terminal import paint

if TYPE_CHECKING:
    from hestiaos_local import ServedRequest

__all__ = ["json_line", "text_line"]

_COLORS = {"ALLOW": "green", "THROTTLE": "yellow", "BLOCK": "red"}


def json_line(request: ServedRequest) -> None:
    """Print a request as a line of JSON, without unknown fields."""
    known = {
        "operation": request.operation,
        "key": request.key,
        "decision": request.decision,
        "outcome": request.outcome,
        "trace_id": request.trace_id,
        "repeated": request.repeated or None,
    }
    record = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": request.path,
        "status": request.status,
        **{name: value for name, value in known.items() if value is not None},
        "duration_ms": round(request.seconds * 1000, 3),
    }
    tell(json.dumps(record))


def text_line(request: ServedRequest) -> None:
    """Print a request as a line for people."""
    decision = request.decision
    parts = [
        datetime.now().strftime("%H:%M:%S"),
        one_line(request.method) or "-",
        one_line(request.path) or "-",
        "-" if request.status is None else str(request.status),
        paint(decision, _COLORS.get(decision, "dim"), sys.stderr) if decision else "",
        _unexpected_outcome(request) or "",
        "repeat" if request.repeated else "",
        f"{request.seconds * 1000:.1f} ms",
        f"by {one_line(request.key)}" if request.key else "",
        f"trace {one_line(request.trace_id)}" if request.trace_id else "",
    ]
    tell(" ".join(filter(None, parts)))


def _unexpected_outcome(request: ServedRequest) -> str | None:
    """Return the outcome unless the status or the decision implies it."""
    if request.status not in (None, 200) or request.decision == "BLOCK" or request.outcome == "completed":
        return None
    return request.outcome
