"""The log of a served platform's requests: the operation, governance's decision, the time, the trace."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from datetime import UTC, datetime
from typing import Any, Self

from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._terminal import paint
from hestiaos_local import Platform
from hestiaos_proto import GovernanceBlock, HestiaError, Result, ServerRequest, StatusError, StreamEvent, TraceResponse

__all__ = ["LoggingPlatform", "json_line", "text_line"]

_OUTCOMES = {"final": "completed", "error": "failed"}
_COLORS = {"ALLOW": "green", "THROTTLE": "yellow", "BLOCK": "red"}


class LoggingPlatform(Platform):
    """A platform that logs each request once its response is complete, a stream's when it has ended."""

    def __init__(self, log: Callable[[dict[str, Any]], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._log = log

    def respond(
        self, call: ServerRequest, *, key: str | None = None
    ) -> Result | Generator[StreamEvent, None, None] | BaseException:
        """As `Platform.respond`."""
        began = time.monotonic()
        response = super().respond(call, key=key)
        if isinstance(response, Generator):
            return self._streamed(call, response, began, key)
        self._tell(call.operation, began, _facts(response), key)
        return response

    async def respond_async(self, call: ServerRequest, caller: Any, *, key: str | None = None) -> Any:
        """As `Platform.respond_async`."""
        began = time.monotonic()
        response = await super().respond_async(call, caller, key=key)
        if isinstance(response, AsyncIterator):
            return _AwaitedEvents(response, lambda facts: self._tell(call.operation, began, facts, key))
        self._tell(call.operation, began, _facts(response), key)
        return response

    async def complete(self, work: Any, caller: Any, *, key: str | None = None) -> AsyncGenerator[Any, None]:
        """As `Platform.complete`."""
        began = time.monotonic()
        facts: dict[str, Any] = {"status": 200, "outcome": "cut"}
        items = super().complete(work, caller, key=key)
        try:
            async for item in items:
                if isinstance(item, TraceResponse):
                    facts |= {"decision": item.decision, "trace_id": item.trace_id}
                yield item
            facts["outcome"] = "completed"
        except Exception as error:
            facts |= _facts(error) | {"outcome": "blocked" if isinstance(error, GovernanceBlock) else "failed"}
            raise
        finally:
            await items.aclose()
            self._tell("chat.completions", began, facts, key)

    def _streamed(
        self, call: ServerRequest, events: Generator[StreamEvent, None, None], began: float, key: str | None
    ) -> Generator[StreamEvent, None, None]:
        facts: dict[str, Any] = {"status": 200, "outcome": "cut"}
        try:
            for event in events:
                facts |= _facts_of_event(event)
                yield event
        finally:
            events.close()
            self._tell(call.operation, began, facts, key)

    def _tell(self, operation: str, began: float, facts: dict[str, Any], key: str | None) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        milliseconds = round((time.monotonic() - began) * 1000, 3)
        named = {} if key is None else {"key": key}
        self._log({"time": now, "operation": operation or None, **named, **facts, "duration_ms": milliseconds})


class _AwaitedEvents:
    """The events of a stream on an event loop; `end` is called with the facts when it has ended."""

    def __init__(self, events: Any, end: Callable[[dict[str, Any]], None]) -> None:
        self._events = events
        self._end = end
        self._facts: dict[str, Any] = {"status": 200, "outcome": "cut"}

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        event: StreamEvent = await anext(self._events)
        self._facts |= _facts_of_event(event)
        return event

    async def aclose(self) -> None:
        """End the stream."""
        try:
            await self._events.aclose()
        finally:
            self._end(self._facts)


def _facts_of_event(event: StreamEvent) -> dict[str, Any]:
    if event.type == "start":
        return {"decision": event.data.get("mode"), "trace_id": event.trace_id}
    if event.type == "error" and event.data.get("code") == GovernanceBlock.default_code:
        return {"outcome": "blocked"}
    return {"outcome": _OUTCOMES[event.type]} if event.type in _OUTCOMES else {}


def _facts(response: object) -> dict[str, Any]:
    """The status, the decision and the trace of a response."""
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
        f"by {one_line(record['key'])}" if record.get("key") else "",
        paint(decision, _COLORS.get(decision, "dim"), sys.stderr),
        f"{record['duration_ms']:.1f} ms",
        outcome if outcome not in (None, "completed") else "",
        f"trace {one_line(record['trace_id'])}" if record.get("trace_id") else "",
    ]
    tell(" ".join(filter(None, parts)))
