"""The states of both ends of a connection, as the tables along which they move.

`ClientConnection` and `ServerConnection` move along their table and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

__all__ = ["CLIENT_STATES", "SERVER_STATES", "ConnectionState"]


class ConnectionState(Enum):
    """The states of a `ClientConnection` or a `ServerConnection`; one request follows another on both."""

    IDLE = "no request has begun"
    WAITING = "a request is whole, or refused by its head, and its response has not begun"
    BODY = "the body of a message arrives: on a client that of the response, on a server that of the request"
    STREAMING = "the head of a stream has been received or sent, and what the stream consists of follows"
    DONE = "a response is whole, and another request can follow"
    CLOSED = "the connection has ended, or ends with the response that is whole"
    ERROR = "the connection was lost, or one side broke the protocol; the connection raises the reason"

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
"""From each state of a client, by what happens, to the state after it.

- `request`: a request is sent.
- `response`, `stream`: the head of a response arrives, or that of the requested event stream.
- `end`, `last`: the response ends, and the connection is kept, or ends with it.
- `EOF`: the server closes an idle connection.
- `fault`: the connection is lost, or what arrives breaks the protocol.
"""

SERVER_STATES: Mapping[ConnectionState, Mapping[str, ConnectionState]] = {
    _State.IDLE: {"head": _State.BODY, "EOF": _State.CLOSED, "fault": _State.ERROR},
    _State.BODY: {"request": _State.WAITING, "fault": _State.ERROR},
    _State.WAITING: {"stream": _State.STREAMING, "end": _State.DONE, "last": _State.CLOSED},
    _State.STREAMING: {"end": _State.DONE, "last": _State.CLOSED},
    _State.DONE: {"head": _State.BODY, "EOF": _State.CLOSED, "fault": _State.ERROR},
    _State.CLOSED: {},
    _State.ERROR: {"last": _State.CLOSED},
}
"""From each state of a server, by what happens, to the state after it.

- `head`: the head of a request arrives.
- `request`: the request is whole, or refused.
- `stream`: the head of a response is sent whose body follows in pieces.
- `end`, `last`: a response has been sent whole, and the connection is kept, or must be closed.
- `EOF`: the client has closed an idle connection.
- `fault`: what arrives breaks the protocol; in ERROR, that fault can still be sent.
"""
