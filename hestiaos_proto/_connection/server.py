"""The server's end of one connection: bytes in, calls out; results in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

import h11

from hestiaos_proto._config import MAX_BODY_SIZE
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE, head_size, unquoted
from hestiaos_proto._errors import LocalProtocolError, RemoteProtocolError, StatusError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._http_date import format_http_date
from hestiaos_proto._routes import ROUTES
from hestiaos_proto._server_messages import (
    STREAM_HEADERS,
    ServerRequest,
    as_status_error,
    encode_response,
    encode_stream_event,
    error_events,
    parse_request,
)
from hestiaos_proto._sse import encode_comment
from hestiaos_proto._stream import KNOWN_TYPES

__all__ = ["Control", "ServerConnection"]

_PIECE = 64 * 1024  # how much h11 is given at a time of what came ahead, in bytes
_HEARTBEAT = encode_comment("heartbeat")


class Control(Enum):
    """What `ServerConnection.send` takes beside results, events and exceptions."""

    CONTINUE = "100 Continue, to a client that waits with its body (RFC 9110, section 10.1.1)"
    HEARTBEAT = "a comment, which keeps an idle stream alive"


class ServerConnection:
    """One connection of a server.

    `events` gives a `ServerRequest` as soon as its request is whole, and the next one only when it has been answered.
    `send` answers: with a result or an exception at once, with `StreamEvent`s one after another up to `done`. `clock`,
    in seconds since 1970, dates the responses (RFC 9110, section 6.6.1); without one they bear no date.
    """

    def __init__(self, *, max_body_size: int = MAX_BODY_SIZE, clock: Callable[[], float] | None = None) -> None:
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._max_size = max_body_size
        self._clock = clock
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._call: ServerRequest | None = None
        self._last_event: StreamEvent | None = None
        self._error: RemoteProtocolError | None = None
        self._status = 400
        self._ahead = bytearray()  # what has come and is not h11's yet: it takes no more than it needs
        self._hungry = True  # h11 has read all that it has
        self._closed = False
        self._overrun: RemoteProtocolError | None = None

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `Control.CONTINUE` before it sends its body."""
        waits = self._h11.they_are_waiting_for_100_continue
        return waits and self._call is None and self._h11.their_state is h11.SEND_BODY

    @property
    def must_close(self) -> bool:
        """Whether the connection has to be closed once all bytes of `send` are written."""
        return self._overrun is not None or self._h11.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of what the client sends.

        Raises `RemoteProtocolError` where more than one request's worth has come ahead of an answer; the call that
        waits can still be answered, and is the last one.
        """
        if self._closed and data:
            raise LocalProtocolError("data was received after the end of the connection: use a new one")
        if self._overrun is not None:
            raise self._overrun
        self._closed = not data
        if self._hungry:
            self._h11.receive_data(data)
        elif len(self._ahead) + len(data) <= MAX_HEAD_SIZE + self._max_size:
            self._ahead += data
        else:
            self._overrun = RemoteProtocolError("too much pipelined data: the client did not wait for its response")
            raise self._overrun

    def events(self) -> Iterator[ServerRequest]:
        """The calls that are whole. Raises `RemoteProtocolError` for what is no HTTP; `send` takes it as an answer."""
        if (error := self._error or self._overrun) is not None:
            raise error
        # One call at a time, and nothing of what comes behind the last answer of a connection: it cannot be answered.
        while self._call is None and not self.must_close:
            event = self._next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            if isinstance(event, h11.Request):
                self._request = event
                self._body.clear()
            elif isinstance(event, h11.Data):
                self._body += event.data
            if (refusal := self._too_large(event)) is not None:
                yield self._begin(ServerRequest("", {}, self._headers(), refusal))
            elif isinstance(event, h11.EndOfMessage):
                yield self._begin(self._read_call())

    def send(self, item: object) -> bytes:
        """What to put on the wire for a result, a `StreamEvent`, an exception or a `Control`.

        Raises `LocalProtocolError` where there is no call to answer, or where this is no answer of its kind; then
        nothing is sent, and the call can still be answered.
        """
        if item is Control.CONTINUE:
            return self._send_continue()
        if self._call is None and (self._error is None or item is not self._error or self.must_close):
            raise LocalProtocolError("there is no call to answer: take one from events() first")
        if isinstance(item, BaseException):
            return self._send_exception(item)
        if self._call is None or self._call.refusal is not None:
            raise LocalProtocolError("the call cannot be carried out: send its refusal")
        if ROUTES[self._call.operation].streams:
            if item is Control.HEARTBEAT:
                return self._begin_stream() + self._bytes(h11.Data(data=_HEARTBEAT))
            if isinstance(item, StreamEvent):
                return self._send_events(item)
            raise LocalProtocolError(f"{self._call.operation} is answered with StreamEvents up to 'done'")
        if item is Control.HEARTBEAT or isinstance(item, StreamEvent):
            raise LocalProtocolError(f"{self._call.operation} is answered with one result, not with a stream")
        return self._send_whole(item)

    def _send_continue(self) -> bytes:
        if self._request is None or self._h11.our_state is not h11.SEND_RESPONSE:
            raise LocalProtocolError("there is no request whose body could be continued")
        return self._bytes(h11.InformationalResponse(status_code=100, headers=[]))

    def _send_exception(self, error: BaseException) -> bytes:
        if self._h11.our_state is h11.SEND_BODY:
            return self._send_events(*error_events(error, self._last_event))
        return self._send_whole(error)

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA and self._feed():
                pass
            return event
        except h11.RemoteProtocolError as error:
            self._error = RemoteProtocolError(f"this is no HTTP/1.1 request: {unquoted(error)}")
            self._status = error.error_status_hint
            raise self._error from error

    def _feed(self) -> bool:
        """Give h11 more of what has come ahead, if there is more."""
        if self._hungry:
            return False
        if self._ahead:
            self._h11.receive_data(bytes(self._ahead[:_PIECE]))
            del self._ahead[:_PIECE]
            return True
        self._hungry = True
        if self._closed:
            self._h11.receive_data(b"")
        return self._closed

    def _begin(self, call: ServerRequest) -> ServerRequest:
        self._call = call
        self._hungry = False
        return call

    def _too_large(self, event: object) -> StatusError | None:
        head = self._head()
        # h11 measures only a head that comes in pieces.
        if event is head and head_size(head) > MAX_HEAD_SIZE:
            return StatusError(f"the line and headers are larger than {MAX_HEAD_SIZE} bytes", status_code=431)
        declared = next((int(value) for name, value in head.headers if name == b"content-length"), 0)
        if max(declared, len(self._body)) > self._max_size:
            return StatusError(f"the body is larger than {self._max_size} bytes", status_code=413)
        return None

    def _head(self) -> h11.Request:
        assert self._request is not None, "h11 gives a request before its body and its end"
        return self._request

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in self._head().headers:
            key, text = name.decode("ascii"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers

    def _read_call(self) -> ServerRequest:
        head = self._head()
        return parse_request(
            head.method.decode("ascii"), head.target.decode("latin-1"), self._headers(), bytes(self._body)
        )

    def _send_events(self, *events: StreamEvent) -> bytes:
        data = b"".join(map(encode_stream_event, events))  # before anything is said: one may be refused
        out = self._begin_stream() + self._bytes(h11.Data(data=data))
        for event in events:
            if event.type in KNOWN_TYPES:  # the others leave the order as it is
                self._last_event = event
        return out + self._finish() if events[-1].type == "done" else out

    def _begin_stream(self) -> bytes:
        if self._h11.our_state is h11.SEND_BODY:
            return b""
        # Neither length nor close: h11 sends chunks, or to an HTTP/1.0 client all up to the end of the connection.
        return self._bytes(h11.Response(status_code=200, headers=self._dated(STREAM_HEADERS)))

    def _send_whole(self, result: object) -> bytes:
        if self._error is not None:
            result = as_status_error(self._error, status=self._status)
        reply = encode_response(self._call.operation if self._call is not None else "", result)
        headers = self._dated(reply.headers)
        if self._h11.their_state is not h11.DONE or self._overrun is not None:  # what comes more is not waited for
            headers.append(("Connection", "close"))
        out = self._bytes(h11.Response(status_code=reply.status, headers=headers))
        if self._request is not None and self._request.method == b"HEAD":
            return out + self._finish()
        return out + self._bytes(h11.Data(data=reply.body)) + self._finish()

    def _finish(self) -> bytes:
        out = self._bytes(h11.EndOfMessage())
        self._request = self._call = self._last_event = None
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return out

    def _dated(self, headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        return list(headers) if self._clock is None else [("Date", format_http_date(self._clock())), *headers]

    def _bytes(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""
