"""The client's end of one connection: operations in, bytes out; bytes in, events and results out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h11

from hestiaos_proto.calls import Send
from hestiaos_proto.client_messages import Request, Response
from hestiaos_proto.config import DEFAULT_BASE_URL, Config
from hestiaos_proto.connection.chunks import ChunkDecoder
from hestiaos_proto.connection.heads import MAX_HEAD_SIZE, head_size
from hestiaos_proto.deadline import Deadline
from hestiaos_proto.errors import (
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
)
from hestiaos_proto.events import StreamEvent
from hestiaos_proto.operations import Operation

__all__ = ["ClientConnection"]

_BLANK_LINE = b"\r\n\r\n"


class ClientConnection:
    """One connection of a client, over which one operation goes after another.

    `send` starts an operation, `receive_data` takes what arrives for it. `events` gives its stream's events and raises
    what went wrong; once `finished`, `result` is what it came to. Then the next one may be sent, if the connection is
    `reusable`. It makes no repeat: that is what `call` is for, whose `Send` it takes as it takes an operation.
    """

    def __init__(
        self, base_url: str = DEFAULT_BASE_URL, api_key: str | None = None, *, config: Config | None = None
    ) -> None:
        self._config = config if config is not None else Config(base_url=base_url, api_key=api_key)
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        self._send: Send | None = None
        self._response: Response | None = None
        self._chunks: ChunkDecoder | None = None  # of a stream, as long as they are plain
        self._complete = False
        self._served = False  # an operation before this one
        self._beginning = b""  # of this one's response, as far as it tells whether this is HTTP
        self._closed = False
        self._fault: HestiaError | None = None

    def __repr__(self) -> str:
        state = "free" if self.reusable else "done for" if self.finished else "busy"
        return f"ClientConnection({self._config.base_url!r}, {state})"

    @property
    def reply(self) -> Response | HestiaError | None:
        """What a `Send` is answered with: the response, or what came instead of it; `None` before its head is here.

        The response of a stream is the answer as soon as its head is here, any other when `finished`.
        """
        cut = self._fault is not None and not self._complete
        return self._fault if cut and (self._response is None or self._response.stream is None) else self._response

    @property
    def answered(self) -> bool:
        """Whether `reply` is what a `Send` is to be answered with, of a stream as soon as its head is here."""
        return self.finished or (self._response is not None and self._response.stream is not None)

    @property
    def finished(self) -> bool:
        """Whether nothing more has to be received for the operation, because it is answered or cannot be."""
        stream = self._response.stream if self._response is not None else None
        return (
            self._send is None or self._complete or self._fault is not None or (stream is not None and stream.finished)
        )

    @property
    def reusable(self) -> bool:
        """Whether another operation can be sent now: the last was answered whole, and nobody wants to close."""
        idle = self._send is None or self._complete
        return idle and self._h11.our_state is h11.IDLE and not self._closed and self._fault is None

    @property
    def result(self) -> Any:
        """What the operation came to; of a stream the `RunStream`, with its `text` and its `final`.

        Raises what `events` raises, but for a stream's own faults, and `LocalProtocolError` where the operation is
        not finished.
        """
        if self._send is None or not self.finished:
            raise LocalProtocolError("there is no result yet: send an operation, and receive_data until it is finished")
        reply = self.reply
        if isinstance(reply, HestiaError):
            raise reply
        assert reply is not None, "what finished without a fault has a response"
        return self._send.operation.read(reply, retry_after=reply.retry_after())

    def send(self, item: Operation[Any] | Send, *, idempotency_key: str | None = None) -> bytes:
        """The bytes of an operation's request; with a key, a server can resolve a repeat.

        Raises `LocalProtocolError` while another operation is under way, and when the connection is done for,
        `ValueError` for a key that no header can carry; then nothing is sent.
        """
        if not self.reusable:
            if self.finished:
                raise LocalProtocolError("the connection cannot be used again: open a new one") from self._fault
            raise LocalProtocolError("an operation is under way: receive its response to the end before the next send")
        send = item if isinstance(item, Send) else Send.of(item, self._config, Deadline.never(), idempotency_key)
        data = self._encode(send.request)
        self._send = send
        self._served = self._complete
        self._response = None
        self._chunks = None
        self._complete = False
        self._beginning = b""
        return data

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of the connection."""
        if self._closed:
            raise LocalProtocolError("data was received after the end of the connection: use a new one")
        self._closed = not data
        if self._fault is not None:
            return
        if self._send is None or self._complete:
            if data:  # RFC 9112, section 9.3: a response belongs to a request, so this cannot be read as any
                self._fault = RemoteProtocolError("the server sent something that nobody asked for")
            return
        if len(self._beginning) < 5:
            self._beginning += data[: 5 - len(self._beginning)]
        try:
            self._receive(data)
        except h11.RemoteProtocolError as error:
            self.connection_lost(self._broken(error))
        except HestiaError as error:
            self._fault = error

    def connection_lost(self, error: HestiaError) -> None:
        """Take the fault that ended the connection; `events` and `result` raise it, or what it means for a stream."""
        if self._fault is not None:
            return
        if isinstance(error, ConnectionLost):
            error.stale = self._served and not self._beginning
        self._fault = error
        if self._response is not None and self._response.stream is not None and not self._complete:
            self._response.connection_lost(error)

    def events(self) -> Iterator[StreamEvent]:
        """The operation's events that are complete; an operation that is no stream has none.

        Raises what went wrong, behind the events that arrived whole: `StatusError` for a refusal, `ConnectionLost`,
        `StreamInterrupted`, `RemoteProtocolError`; and the same again at every later call for the operation.
        """
        if self._response is not None and self._response.stream is not None:
            yield from self._response.stream.events()
        elif self._send is not None and self.finished:
            _ = self.result

    def _encode(self, request: Request) -> bytes:
        headers = [("Host", request.origin.partition("://")[2]), *request.headers.items()]
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        head = h11.Request(method=request.method, target=request.target, headers=headers)
        parts = [self._h11.send(head), request.body and self._h11.send(h11.Data(data=request.body))]
        return b"".join(filter(None, [*parts, self._h11.send(h11.EndOfMessage())]))

    def _receive(self, data: bytes) -> None:
        # Heads go to h11 alone, so that it holds nothing of a stream whose chunks are not for it.
        while self._response is None and (end := data.find(_BLANK_LINE)) >= 0:
            head, data = data[: end + len(_BLANK_LINE)], data[end + len(_BLANK_LINE) :]
            self._h11.receive_data(head)
            self._read(head_only=bool(data))
            if not data:
                return
        if self._chunks is not None and data:
            for body in self._chunks.decode(data):
                self._whole_response().receive_data(body)
            if self._chunks.rest is None:
                return
            data = self._chunks.rest
            self._chunks = None
        self._h11.receive_data(data)
        self._read()

    def _read(self, *, head_only: bool = False) -> None:
        """Hand on what h11 makes of the bytes that have arrived."""
        while not (self._complete or (head_only and self._response is not None)):
            event = self._h11.next_event()
            if isinstance(event, h11.Data):
                self._whole_response().receive_data(bytes(event.data))
            elif isinstance(event, h11.Response):
                self._begin_response(event)
            elif isinstance(event, h11.EndOfMessage):
                self._whole_response().receive_data(b"")
                self._end_response()
            elif not isinstance(event, h11.InformationalResponse):  # RFC 9110, section 15.2: 1xx may come before
                break
        if self._response is None:
            self._look_at_the_beginning()

    def _begin_response(self, head: h11.Response) -> None:
        assert self._send is not None, "there is no response without a request"
        if head_size(head) > MAX_HEAD_SIZE:  # h11 measures only a head that comes in pieces
            raise RemoteProtocolError(f"the response's headers are larger than {MAX_HEAD_SIZE} bytes")
        self._response = self._send.response(head.status_code, head.headers)
        if self._response.stream is not None and self._response.headers.get("transfer-encoding") and not self._ahead():
            self._chunks = ChunkDecoder()  # h11 knows no other transfer coding

    def _whole_response(self) -> Response:
        assert self._response is not None, "h11 gives a response before its body and its end"
        return self._response

    def _end_response(self) -> None:
        self._complete = True
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            ahead = self._ahead()
            self._h11.start_next_cycle()
            if ahead:
                self._fault = RemoteProtocolError("the server sent more than the response")

    def _ahead(self) -> bytes:
        """What h11 has received and not read."""
        return self._h11.trailing_data[0]

    def _look_at_the_beginning(self) -> None:
        # RFC 9112, section 4: h11 waits for the end of the headers before it looks at what they begin with.
        if not b"HTTP/".startswith(self._beginning):
            raise RemoteProtocolError("the server does not speak HTTP/1.1")

    def _broken(self, error: h11.RemoteProtocolError) -> HestiaError:
        assert self._send is not None, "what arrives without a request never comes to h11"
        why = self._send.redactor.error(error)
        told: HestiaError
        if self._closed:
            told = ConnectionLost("the server closed the connection before the end of its response")
        else:
            told = RemoteProtocolError(f"the server broke HTTP/1.1: {why}")
        told.__cause__ = error
        return told
