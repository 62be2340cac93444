"""What a served platform tells of each request: the operation, governance's decision, the time, the trace."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._terminal import paint
from hestiaos_local import Platform
from hestiaos_proto import GovernanceBlock, HestiaError, ServerRequest, StatusError, StreamEvent

__all__ = ["LoggingPlatform", "json_line", "text_line"]

_OUTCOMES = {"final": "completed", "error": "failed"}
_COLORS = {"ALLOW": "green", "THROTTLE": "yellow", "BLOCK": "red"}


class LoggingPlatform(Platform):
    """A platform that logs each request once its response is complete, a stream's when it has ended."""

    def __init__(self, log: Callable[[dict[str, Any]], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._log = log

    def respond(self, call: ServerRequest) -> object:
        """As `Platform.respond`."""
        began = time.monotonic()
        response = super().respond(call)
        if isinstance(response, Generator):
            return self._streamed(call, response, began)
        self._tell(call, began, _facts(response))
        return response

    def _streamed(
        self, call: ServerRequest, events: Generator[StreamEvent, None, None], began: float
    ) -> Generator[StreamEvent, None, None]:
        facts: dict[str, Any] = {"status": 200, "outcome": "cut"}
        try:
            for event in events:
                if event.type == "start":
                    facts |= {"decision": event.data.get("mode"), "trace_id": event.trace_id}
                elif event.type in _OUTCOMES:
                    facts["outcome"] = _OUTCOMES[event.type]
                yield event
        finally:
            events.close()
            self._tell(call, began, facts)

    def _tell(self, call: ServerRequest, began: float, facts: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        milliseconds = round((time.monotonic() - began) * 1000, 3)
        self._log({"time": now, "operation": call.operation or None, **facts, "duration_ms": milliseconds})


def _facts(response: object) -> dict[str, Any]:
    """What a response says of its status, its decision and its trace."""
    if isinstance(response, BaseException):
        status = response.status_code if isinstance(response, StatusError) else 500
        trace_id = response.trace_id if isinstance(response, HestiaError) else None
        decision = "BLOCK" if isinstance(response, GovernanceBlock) else None  # a web page's origin is a 403, too
        return {"status": status, "decision": decision, "trace_id": trace_id}
    decision = getattr(response, "mode", None)
    if getattr(response, "status", None) == "BLOCKED":
        decision = "BLOCK"
    return {"status": 200, "decision": decision, "trace_id": getattr(response, "trace_id", None)}


def json_line(record: dict[str, Any]) -> None:
    """A request as a line of JSON."""
    tell(json.dumps(record))


def text_line(record: dict[str, Any]) -> None:
    """A request as a line for people."""
    moment = datetime.fromisoformat(record["time"]).astimezone().strftime("%H:%M:%S")
    decision = record.get("decision") or str(record["status"])
    outcome = record.get("outcome")
    parts = [
        moment,
        one_line(record["operation"] or "-"),
        paint(decision, _COLORS.get(decision, "dim"), sys.stderr),
        f"{record['duration_ms']:.1f} ms",
        outcome if outcome not in (None, "completed") else "",
        f"trace {one_line(record['trace_id'])}" if record.get("trace_id") else "",
    ]
    tell(" ".join(filter(None, parts)))
