"""A stream of events, printed as it arrives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hestiaos_cli._output import TextOutput, print_fields, print_json, remark, remark_echo
from hestiaos_cli._waiting import waiting
from hestiaos_proto import Redactor, StatusError, error_from_response

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings
    from hestiaos_proto import EventStreamBase, StreamEvent

__all__ = ["PrintedStream", "error_of_event"]

# After `start`, the model may still be thinking; before `done`, the text is complete.
_SILENT = frozenset({"start", "done"})


class PrintedStream:
    """Prints a stream's text, or each event as a line of JSON. `started` and `final` are the data of these events.

    `facts` are the remarks on the final data.
    """

    def __init__(self, settings: Settings, facts: Callable[[Mapping[str, Any]], list[str | None]]) -> None:
        self._settings = settings
        self._facts = facts
        server = settings.server
        self._redactor = Redactor(None if server is None else server.api_key)  # a server may repeat the key
        self.started: Mapping[str, Any] = {}
        self.final: Mapping[str, Any] = {}

    def print(self, stream: EventStreamBase) -> None:
        """Print the whole stream. Raises the error of an `error` event after its end."""
        failure: StatusError | None = None
        output = TextOutput()
        as_json = self._settings.json and self._settings.field is None
        try:
            with waiting() as stop, stream as events:
                for event in events:
                    if as_json or event.type not in _SILENT:
                        stop()
                    if as_json:
                        wire = event.to_wire()
                        print_json(self._redactor.value(wire) if event.type == "error" else wire, compact=True)
                    elif self._settings.field is None and event.type in ("token", "delta"):
                        output.write(str(event.data.get("text", "")))
                    elif event.type == "tool_call":
                        remark(self._settings, f"tool call {json.dumps(event.data, ensure_ascii=False)}")
                    if event.type == "start":
                        self.started = event.data
                    elif event.type == "final":
                        self.final = event.data
                    elif event.type == "error":
                        failure = error_of_event(event, self._redactor)
        except BaseException:
            output.break_off()
            raise
        output.end()
        if failure is not None:
            raise failure
        if self._settings.field is not None:
            print_fields(self._settings, self.final)
        elif not self._settings.json:
            remark(self._settings, *self._facts(self.final))
        remark_echo(self._settings)


def error_of_event(event: StreamEvent, redactor: Redactor) -> StatusError:
    """Return the error of an `error` event, as if it were the response instead of a stream."""
    data = {"code": "FAILED", "message": "it failed", "trace_id": event.trace_id or None, **event.data}
    status = 403 if data.get("code") == "GOVERNANCE_BLOCK" else 500
    return error_from_response(status, json.dumps(data).encode(), redactor=redactor)
