"""Create the events of a run or chat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from hestiaos_local.decisions import iso
from hestiaos_local.execution import Output, Text, ToolCall
from hestiaos_local.operations._event_logs import EventLog
from hestiaos_proto import ChatResponse, RunResponse, StreamEvent, StreamEventType, TraceResponse

__all__ = ["RunEvents"]

_WORD = re.compile(r"\S+\s*")


class RunEvents:
    """Creates the events of one run or chat. `last` is the last event so far, None before the first.

    With a `log`, the events are numbered and appended to it.
    """

    def __init__(self, clock: Callable[[], float], log: EventLog | None = None) -> None:
        self.last: StreamEvent | None = None
        self._clock = clock
        self._log = log
        self._stored: list[list[Any]] | None = None  # the events of a run that was executed before
        self._trace_id = ""
        self._tokens = 0

    @property
    def numbered(self) -> bool:
        """Whether the events have numbers."""
        return self._log is not None

    def to_store(self) -> list[list[Any]] | None:
        """Return the events so far for storing them with the result, or None if they are not stored."""
        return None if self._log is None else self._log.stored()

    def restore(self, stored: list[list[Any]] | None) -> None:
        """Use the stored events of an earlier execution. If they were not stored, the events are not numbered."""
        self._stored = stored
        if stored is None:
            self._log = None

    def start(self, of: TraceResponse | RunResponse | ChatResponse, session_id: str | None = None) -> StreamEvent:
        """Create the first event, with the decision if `of` has it, and a chat's session."""
        self._trace_id = of.trace_id or ""
        if isinstance(of, ChatResponse):
            return self._event("start", {"session_id": of.session_id})
        session = {} if session_id is None else {"session_id": session_id}
        return self._event("start", {"mode": of.mode, "budget": of.budget, **session})

    def output(self, output: Output) -> StreamEvent | None:
        """Create the event of an output: `token` or `tool_call`. Return None for the outputs at the end of a run."""
        match output:
            case Text(text):
                return self._token(text)
            case ToolCall(id, name, arguments):
                return self._event("tool_call", {"id": id, "name": name, "arguments": arguments})
            case _:
                return None

    def end(self, response: RunResponse | ChatResponse) -> Iterator[StreamEvent]:
        """Create the remaining events: `final` with the whole response, and `done`.

        For an earlier execution, these are all events. If they were not stored, each token is a word of the result with
        the white space after it.
        """
        if self.last is None and self._stored is not None:
            self._trace_id = response.trace_id or ""
            for kind, data, timestamp in self._stored:
                yield self.add(StreamEvent(kind, data, self._trace_id, timestamp))
        elif self.last is None:
            yield self.start(response)
            for word in _WORD.finditer(response.result):
                yield self._token(word[0])
        yield self._event("final", response.to_wire())
        yield self._event("done", {})

    def _token(self, text: str) -> StreamEvent:
        event = self._event("token", {"text": text, "index": self._tokens})
        self._tokens += 1
        return event

    def _event(self, kind: StreamEventType, data: dict[str, Any]) -> StreamEvent:
        return self.add(StreamEvent(kind, data, self._trace_id, iso(self._clock())))

    def add(self, event: StreamEvent) -> StreamEvent:
        """Number an event if events are numbered, and append it to the log."""
        self.last = event if self._log is None else self._log.append(event)
        return self.last
