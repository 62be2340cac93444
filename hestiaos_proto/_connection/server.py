"""The server's end of a connection: bytes in, requests out; results in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hestiaos_proto._config import MAX_BODY_SIZE, MAX_HEAD_SIZE
from hestiaos_proto._connection.request_heads import BadRequest
from hestiaos_proto._connection.request_reader import Judge, RequestReader
from hestiaos_proto._connection.response_heads import CONTINUE, date_header, write_head
from hestiaos_proto._connection.states import SERVER_STATES, ConnectionState
from hestiaos_proto._errors import LocalProtocolError, RemoteProtocolError, StatusError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._routes import ROUTES
from hestiaos_proto._server_messages import (
    STREAM_HEADERS,
    Control,
    EncodedResponse,
    ResponseHead,
    Result,
    ServerRequest,
    as_status_error,
    encode_response,
    encode_stream_event,
    error_events,
)
from hestiaos_proto._server_requests import Resources
from hestiaos_proto._sse import encode_comment
from hestiaos_proto._stream import KNOWN_TYPES

__all__ = ["ServerConnection", "ServerItem"]

_HEARTBEAT = encode_comment("heartbeat")
_LAST_CHUNK = b"0\r\n\r\n"
_BETWEEN = ConnectionState.IDLE, ConnectionState.DONE
_RECEIVING = (*_BETWEEN, ConnectionState.BODY)

Headers = tuple[tuple[str, str], ...]


ServerItem = Result | StreamEvent | BaseException | Control | EncodedResponse | ResponseHead | bytes
"""What `ServerConnection.send` takes."""


class ServerConnection:
    """One connection of a server.

    `events` yields a `ServerRequest` as soon as its request is complete, or refused by its head, and the next only when
    it has been answered. `send` answers: with a result or an exception at once, with `StreamEvent`s one after another
    up to `done`. `clock`, in seconds since 1970, dates the responses (RFC 9110, section 6.6.1); without one they bear
    no date.

    `judge` is called with the request as soon as its head has arrived: with the arguments of the path only, and with a
    `refusal` if the path or the method is unknown. `resources` are the server's own paths with their methods, besides
    the wire's operations. Their requests are answered with an `EncodedResponse`, or with a `ResponseHead`, pieces of
    the body as `bytes`, and `b""` at its end. An `EncodedResponse` may answer any other request too, and what `events`
    raises, so that a refusal can have another form.
    """

    def __init__(
        self,
        *,
        max_body_size: int = MAX_BODY_SIZE,
        clock: Callable[[], float] | None = None,
        judge: Judge | None = None,
        resources: Resources | None = None,
    ) -> None:
        self._max_ahead = MAX_HEAD_SIZE + max_body_size
        self._clock = clock
        self._reader = RequestReader(max_body_size, judge, resources or {})
        self._call: ServerRequest | None = None  # to be answered
        self._last_event: StreamEvent | None = None
        self._state = ConnectionState.IDLE
        self._error: BadRequest | None = None  # why it is in ERROR
        self._overrun: RemoteProtocolError | None = None
        self._shutting_down = False

    def __repr__(self) -> str:
        return f"ServerConnection({self.state.name})"

    @property
    def state(self) -> ConnectionState:
        """The state of the connection, by what `events` has read and `send` has sent."""
        return self._state

    @property
    def request_line(self) -> tuple[str, str] | None:
        """Method and target of the request that is read or answered; `None` while they have not arrived."""
        return self._reader.request_line

    @property
    def refusal(self) -> StatusError | None:
        """The response to the error that `events` has raised; `None` if it has raised none."""
        error = self._error
        return None if error is None else as_status_error(error, status=error.status_code)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `Control.CONTINUE` before it sends its body; `events` notices it."""
        return self._state is ConnectionState.BODY and self._reader.expects_continue

    @property
    def must_close(self) -> bool:
        """Whether the connection has to be closed once all bytes of `send` are written."""
        return self._state is ConnectionState.CLOSED or self._overrun is not None

    def receive_data(self, data: bytes) -> None:
        """Receive data, in any pieces; `b""` is the end of what the client sends.

        Raises `RemoteProtocolError` if more than a whole request has arrived before the response to the one that
        waits; that one can still get its response, and is the last.
        """
        reader = self._reader
        if reader.closed and data:
            raise LocalProtocolError("data was received after the end of the connection: use a new one")
        if self._overrun is not None:
            raise self._overrun
        reader.closed = not data
        if self._state not in _RECEIVING and (self._call is None or reader.last):
            return  # later data is ignored
        if self._call is not None and len(reader.buffer) + len(data) > self._max_ahead:
            self._overrun = RemoteProtocolError("too much pipelined data: the client did not wait for its response")
            raise self._overrun
        reader.buffer += data

    def events(self) -> Iterator[ServerRequest]:
        """Yield the requests to respond to. Raises `RemoteProtocolError`, to be passed to `send`, for invalid input."""
        if (error := self._error or self._overrun) is not None:
            raise error
        # One request at a time, and none after the last response of a connection, as it could not be responded to.
        while self._state in _RECEIVING:
            try:
                call = self._reader.read()
            except BadRequest as error:
                self._error = error
                self._reader.buffer.clear()
                self._advance("fault")
                raise
            if self._reader.head is not None and self._state in _BETWEEN:
                self._advance("head")
            if self._reader.ended:
                self._advance("EOF")
            if call is None:
                return
            self._call = call
            self._advance("request")
            yield call

    def send(self, item: ServerItem, headers: Headers = ()) -> bytes:
        """Return the bytes to send for a result, a `StreamEvent`, an exception, a `Control` or a response of your own.

        `headers` are sent in the response's head besides its own; those of later pieces are ignored. Raises
        `LocalProtocolError` where there is no call to answer, or where this is not a response of its kind; then nothing
        is sent, and the call can still be answered.
        """
        if item is Control.CONTINUE:
            return self._send_continue()
        call = self._call
        if call is None:
            return self._send_fault(item, headers)
        if isinstance(item, BaseException):
            return self._send_exception(call, item, headers)
        if isinstance(item, EncodedResponse) and self._may_send_whole(call, item):
            return self._send_whole(item, headers)
        if call.response is not None or call.refusal is not None:
            raise LocalProtocolError("the request cannot be carried out: send its refusal")
        if call.resource is not None:
            return self._send_own(call.resource, item, headers)
        if ROUTES[call.operation].streams:
            if item is Control.HEARTBEAT:
                return self._begin_events(headers) + self._piece(_HEARTBEAT)
            if isinstance(item, StreamEvent):
                return self._send_events([item], headers)
            raise LocalProtocolError(f"{call.operation} has StreamEvents up to 'done' as its response")
        if isinstance(item, Control | StreamEvent | EncodedResponse | ResponseHead | bytes):
            raise LocalProtocolError(f"{call.operation} has one result as its response, not a stream")
        return self._send_whole(encode_response(call.operation, item), headers)

    def shut_down(self) -> None:
        """Make the response to the current request the last; its head, if not sent yet, has `Connection: close`."""
        self._shutting_down = True

    def _send_continue(self) -> bytes:
        head = self._reader.head
        waiting = self._state in (ConnectionState.BODY, ConnectionState.WAITING)
        if head is None or not head.chunks or not waiting:
            raise LocalProtocolError("no client waits for 100 Continue")
        self._reader.expects_continue = False
        return CONTINUE

    def _send_fault(self, item: ServerItem, headers: Headers) -> bytes:
        """Return the response to input that is not a request: for the error that `events` raised, or a given one."""
        refusal = self.refusal if self._state is ConnectionState.ERROR else None
        if refusal is not None and item is self._error:
            item = encode_response("", refusal)
        if refusal is None or not isinstance(item, EncodedResponse):
            raise LocalProtocolError("there is no request to respond to: take one from events() first")
        return self._send_whole(item, headers)

    def _send_exception(self, call: ServerRequest, error: BaseException, headers: Headers) -> bytes:
        if self._state is not ConnectionState.STREAMING:
            return self._send_whole(encode_response("", error), headers)
        if call.resource is not None:
            raise LocalProtocolError("the response has begun: say what failed in its body, and end it with b''")
        return self._send_events(error_events(error, self._last_event), headers)

    def _send_own(self, resource: str, item: ServerItem, headers: Headers) -> bytes:
        if self._state is not ConnectionState.STREAMING:
            if isinstance(item, ResponseHead):
                return self._begin(item, headers)
            raise LocalProtocolError(f"{resource} has an EncodedResponse as its response, or a ResponseHead first")
        if item is Control.HEARTBEAT:
            return self._piece(_HEARTBEAT)
        if not isinstance(item, bytes):
            raise LocalProtocolError(f"{resource} has a ResponseHead: after it, send bytes, then b'' at the end")
        return self._piece(item) if item else self._end()

    def _send_events(self, events: list[StreamEvent], headers: Headers) -> bytes:
        data = b"".join(map(encode_stream_event, events))  # before anything is sent: one may be refused
        out = self._begin_events(headers) + self._piece(data)
        for event in events:
            if event.type in KNOWN_TYPES:  # the others leave the order as it is
                self._last_event = event
        return out + self._end() if events[-1].type == "done" else out

    def _begin_events(self, headers: Headers) -> bytes:
        if self._state is ConnectionState.STREAMING:
            return b""
        return self._begin(ResponseHead(200, STREAM_HEADERS), headers)

    def _begin(self, response: ResponseHead, headers: Headers) -> bytes:
        head = self._reader.head
        assert head is not None, "there is a call"
        # Without chunks, to an HTTP/1.0 client, the end of the connection is the end of the body.
        framing = (("Transfer-Encoding", "chunked"),) if head.chunks else ()
        out = write_head(response.status, self._complete((*response.headers, *headers, *framing)))
        self._advance("stream")
        return out

    def _piece(self, data: bytes) -> bytes:
        """Return a piece of a body of unknown length."""
        head = self._reader.head
        assert head is not None, "there is a call"
        if head.method == "HEAD":
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if head.chunks else data

    def _end(self) -> bytes:
        head = self._reader.head
        assert head is not None, "there is a call"
        self._finish()
        return _LAST_CHUNK if head.chunks and head.method != "HEAD" else b""

    def _may_send_whole(self, call: ServerRequest, response: EncodedResponse) -> bool:
        """Return whether this response may be sent: a call that was decided by its head already has its response."""
        return self._state is not ConnectionState.STREAMING and (call.response is None or call.response is response)

    def _send_whole(self, response: EncodedResponse, headers: Headers) -> bytes:
        out = write_head(response.status, self._complete((*response.headers, *headers)))
        head = self._reader.head
        self._finish()
        return out if head is not None and head.method == "HEAD" else out + response.body

    def _complete(self, headers: Headers) -> Headers:
        if self._is_last():
            headers = (*headers, ("Connection", "close"))
        return headers if self._clock is None else (date_header(int(self._clock())), *headers)

    def _is_last(self) -> bool:
        stopped = self._error is not None or self._overrun is not None
        return self._reader.last or self._shutting_down or stopped

    def _finish(self) -> None:
        self._advance("last" if self._is_last() else "end")
        self._call = self._last_event = None
        self._reader.next_request()

    def _advance(self, change: str) -> None:
        self._state = SERVER_STATES[self._state][change]
