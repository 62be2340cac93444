"""A run as a stream of events, made one by one as they are asked for."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

from hestiaos_proto import RunResponse, StreamEvent, StreamEventType, error_events

__all__ = ["Events", "iso", "run_events", "to_the_end"]

Events = Generator[StreamEvent, None, None]

_WORD = re.compile(r"\S+\s*")

_log = logging.getLogger("hestiaos_local")


def run_events(response: RunResponse, clock: Callable[[], float]) -> Events:
    """`start` with the decision, a `token` for each word of the result, `final` with all of the response, `done`.

    A token's text has the white space after its word, so that the texts together are the result.
    """

    def event(kind: StreamEventType, data: dict[str, Any]) -> StreamEvent:
        return StreamEvent(kind, data, response.trace_id, iso(clock()))

    yield event("start", {"mode": response.mode, "budget": response.budget})
    for index, word in enumerate(_WORD.finditer(response.result)):
        yield event("token", {"text": word[0], "index": index})
    yield event("final", response.to_wire())
    yield event("done", {})


def to_the_end(events: Events) -> Events:
    """The same events; where they fail, an `error` event says so, and `done` still ends them."""
    last: StreamEvent | None = None
    try:
        for last in events:
            yield last
    except Exception as error:  # the client is told that the server failed, the log says why
        _log.exception("a stream failed")
        yield from error_events(error, last)


def iso(time: float) -> str:
    """Seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
