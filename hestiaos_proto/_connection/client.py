"""The client's end of a connection: operations in, bytes out; bytes in, events and results out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import h11

from hestiaos_proto._client_messages import Response
from hestiaos_proto._config import DEFAULT_BASE_URL, Config
from hestiaos_proto._connection.request_writer import write_by_h11, write_plain
from hestiaos_proto._connection.response_reader import ResponseReader
from hestiaos_proto._connection.states import CLIENT_STATES, ConnectionState
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import (
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
)
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._steps import Send
from hestiaos_proto.operations import Operation

__all__ = ["ClientConnection"]

T = TypeVar("T")

_UNEXPECTED = "unexpected data on an idle connection"
_IDLE = ConnectionState.IDLE, ConnectionState.DONE
_RECEIVING = ConnectionState.WAITING, ConnectionState.BODY, ConnectionState.STREAMING


class ClientConnection:
    """One connection of a client, which carries one operation after another.

    `send` starts an operation, and `receive_data` receives its response. `events` yields the events of its stream and
    raises what went wrong; when it is `finished`, `result` returns its result. If the connection is `reusable`, the
    next operation can be sent. It does not repeat anything: `call_flow` does, and `send` takes its `Send` too.
    """

    def __init__(
        self, base_url: str = DEFAULT_BASE_URL, api_key: str | None = None, *, config: Config | None = None
    ) -> None:
        self._config = config if config is not None else Config(base_url=base_url, api_key=api_key)
        self._send: Send | None = None
        self._reader: ResponseReader | None = None
        self._response: Response | None = None
        self._state = ConnectionState.IDLE
        self._served = False  # an operation before this one
        self._closed = False  # nothing more can arrive
        self._fault: HestiaError | None = None

    def __repr__(self) -> str:
        return f"ClientConnection({self._config.base_url!r}, {self.state.name})"

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._state

    @property
    def response(self) -> Response | None:
        """The response to a `Send`, from its head on; `None` until that has arrived.

        Raises the fault that came instead of the response, or before the end of one that is not a stream.
        """
        response = self._response
        if self._fault is None or (response is not None and (response.complete or response.stream is not None)):
            return response
        raise self._fault

    @property
    def answered(self) -> bool:
        """Whether `response` is what a `Send` is answered with: a whole one, or the head of a stream."""
        return self.finished or (self._response is not None and self._response.stream is not None)

    @property
    def finished(self) -> bool:
        """Whether nothing more has to be received for the operation: its response is whole, or will not come."""
        if self._state not in _RECEIVING:
            return True
        response = self._response
        return response is not None and (
            response.complete or (response.stream is not None and response.stream.finished)
        )

    @property
    def reusable(self) -> bool:
        """Whether another operation can be sent now."""
        return self._state in _IDLE

    def result(self, operation: Operation[T]) -> T:
        """Return the result of `operation`, the last one sent. A stream's is a `RunStream`.

        Raises what `events` raises, except for the faults of a stream, and `LocalProtocolError` if the operation is not
        finished, or is not the last one sent.
        """
        if self._send is None or not self.finished:
            raise LocalProtocolError("there is no result yet: send an operation, and receive_data until it is finished")
        if operation != self._send.operation:
            raise LocalProtocolError(f"the operation sent last was another: {self._send.operation.name}")
        response = self.response
        assert response is not None, "an operation that is finished without a fault has a response"
        return operation.read(response, retry_after=response.retry_after())

    def send(self, item: Operation[Any] | Send, *, idempotency_key: str | None = None) -> bytes:
        """Return the bytes of an operation's request. The key lets a server recognize a repeat.

        Raises `LocalProtocolError` while another operation is in progress and if the connection cannot be used again,
        and `ValueError` for a key that no header can carry; the connection stays as it was.
        """
        if not self.reusable:
            if self.finished:
                raise LocalProtocolError("the connection cannot be used again: open a new one") from self._fault
            raise LocalProtocolError("an operation is in progress: receive its whole response before the next send")
        send = item if isinstance(item, Send) else Send.of(item, self._config, Deadline.never(), idempotency_key)
        connection, data = None, write_plain(send.request)
        if data is None:
            data, connection = write_by_h11(send.request)
        self._send = send
        self._reader = ResponseReader(send.request, connection)
        self._served = self._state is ConnectionState.DONE
        self._response = None
        self._advance("request")
        return data

    def receive_data(self, data: bytes) -> None:
        """Receive data, in any pieces; `b""` is the end of the connection."""
        if self._closed:
            raise LocalProtocolError("data was received after the end of the connection: use a new one")
        self._closed = not data
        if self._state not in _RECEIVING:
            if data and self._fault is None:  # RFC 9112, section 9.3: each response belongs to a request
                self._fail(RemoteProtocolError(_UNEXPECTED))
            elif self._state in _IDLE:
                self._advance("EOF")
            return
        assert self._reader is not None, "there is a reader for each request"
        assert self._send is not None, "a request is sent before its response arrives"
        try:
            self._receive(self._reader, self._send, data)
        except h11.RemoteProtocolError as error:
            self.connection_lost(self._broken(error))
        except HestiaError as error:
            self._fail(error)

    def connection_lost(self, error: HestiaError) -> None:
        """Receive the fault that ended the connection. `events` and `result` raise it or `StreamInterrupted`."""
        if self._fault is not None:
            return
        if isinstance(error, ConnectionLost):
            error.stale = self._served and self._reader is not None and not self._reader.begun
        receiving = self._state in _RECEIVING
        self._fail(error)
        if self._response is not None and receiving:
            try:
                self._response.connection_lost(error)
            except HestiaError as fault:  # `response`, `events` and `result` raise it
                self._fault = fault

    def events(self) -> Iterator[StreamEvent]:
        """Yield the operation's events that are complete; an operation that is not a stream has none.

        Raises what went wrong, after the events that arrived whole: `StatusError` for a refusal, `ConnectionLost`,
        `StreamInterrupted`, `RemoteProtocolError`; and the same again at every later call for the operation.
        """
        if self._response is not None and self._response.stream is not None:
            yield from self._response.stream.events()
        elif self._send is not None and self.finished:
            self.result(self._send.operation)

    def _receive(self, reader: ResponseReader, send: Send, data: bytes) -> None:
        for event in reader.read(data):
            if not isinstance(event, bytes):
                self._response = send.response(event.status_code, event.headers)
                self._advance("response" if self._response.stream is None else "stream")
                continue
            assert self._response is not None, "a response has a head before its body and its end"
            self._response.receive_data(event)
            if not event:
                self._advance("end" if reader.keep_alive and not self._closed else "last")
                if reader.ahead:
                    self._fail(RemoteProtocolError(_UNEXPECTED))

    def _advance(self, change: str) -> None:
        self._state = CLIENT_STATES[self._state][change]

    def _fail(self, fault: HestiaError) -> None:
        self._fault = fault
        self._advance("fault")

    def _broken(self, error: h11.RemoteProtocolError) -> HestiaError:
        assert self._send is not None, "h11 only gets what arrives after a request"
        why = self._send.redactor.error(error)
        fault: HestiaError
        if self._closed:
            fault = ConnectionLost("the server closed the connection before the end of its response")
        else:
            fault = RemoteProtocolError(f"the server broke HTTP/1.1: {why}")
        fault.__cause__ = error
        return fault
