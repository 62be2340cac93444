"""The frozen order of a run's events, as one table: `start → (token | delta | tool_call)* → (final | error) → done`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

__all__ = ["KNOWN_TYPES", "ORDER", "StreamState", "next_state"]


class StreamState(Enum):
    """The state of a stream in the frozen order; the value is what can come next."""

    IDLE = "start"
    RUNNING = "token, delta, tool_call, final or error"
    CONCLUDED = "done"
    DONE = "the end of the stream"


ORDER: Mapping[StreamState, Mapping[str, StreamState]] = {
    StreamState.IDLE: {
        "start": StreamState.RUNNING,
    },
    StreamState.RUNNING: {
        "token": StreamState.RUNNING,
        "delta": StreamState.RUNNING,
        "tool_call": StreamState.RUNNING,
        "final": StreamState.CONCLUDED,
        "error": StreamState.CONCLUDED,
    },
    StreamState.CONCLUDED: {
        "done": StreamState.DONE,
    },
    StreamState.DONE: {},
}
"""From each state, by the type of the next event, to the state after it."""

KNOWN_TYPES: frozenset[str] = frozenset().union(*ORDER.values())
"""The types of events that the order knows."""


def next_state(state: StreamState, kind: str) -> StreamState | None:
    """Return the state after an event of this type, or `None` if the order does not allow it.

    A type that this version does not know leaves the state as it is, but nothing may follow `done`.
    """
    if kind in KNOWN_TYPES or state is StreamState.DONE:
        return ORDER[state].get(kind)
    return state
