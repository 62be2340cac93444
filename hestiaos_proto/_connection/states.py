"""The states of a client's connection, as one table. `ClientConnection` moves along it and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

__all__ = ["CLIENT_STATES", "ConnectionState"]


class ConnectionState(Enum):
    """Where a `ClientConnection` is. In ERROR its `fault` says why."""

    IDLE = "nothing has been sent"
    WAITING = "a request has been sent, and the head of its response has not arrived"
    BODY = "the response's head has arrived, and its body arrives"
    STREAMING = "the head of an event stream has arrived, and its events arrive"
    DONE = "the response has arrived whole, and another request can be sent"
    CLOSED = "the connection has ended, or ends with the response that has arrived whole"
    ERROR = "the connection was lost, or one of the two sides broke the protocol"

    __hash__ = object.__hash__  # Enum's own is slow, and the tables are used at each step


_State = ConnectionState
_RESPONSE = {"end": _State.DONE, "last": _State.CLOSED, "fault": _State.ERROR}

CLIENT_STATES: Mapping[ConnectionState, Mapping[str, ConnectionState]] = {
    _State.IDLE: {"request": _State.WAITING, "EOF": _State.CLOSED, "fault": _State.ERROR},
    _State.WAITING: {"response": _State.BODY, "stream": _State.STREAMING, "fault": _State.ERROR},
    _State.BODY: _RESPONSE,
    _State.STREAMING: _RESPONSE,
    _State.DONE: {"request": _State.WAITING, "EOF": _State.CLOSED, "fault": _State.ERROR},
    _State.CLOSED: {"fault": _State.ERROR},
    _State.ERROR: {},
}
"""From each state, by what happens, to the state after it.

- `request`: a request is sent.
- `response`, `stream`: the head of a response arrives, or that of the event stream that was asked for.
- `end`, `last`: the response ends, and the connection goes on, or ends with it.
- `EOF`: the server closes an idle connection.
- `fault`: the connection is lost, or what arrives breaks the protocol.
"""
