"""The connection of one client."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Generator
from math import inf

from anyio import CancelScope
from anyio.lowlevel import checkpoint

from hestiaos_local.flow import Disconnect
from hestiaos_local.serving._access import Headers
from hestiaos_local.serving._clients import respond_while_there
from hestiaos_local.serving._front_door import is_front_door, refuse
from hestiaos_local.serving._request_log import ResponseRecord, log_request
from hestiaos_local.serving._resources import SERVED
from hestiaos_local.serving._service import Service
from hestiaos_local.serving._sockets import ClientSocket
from hestiaos_local.serving._streams import Events, EventSender
from hestiaos_proto import (
    MAX_BODY_SIZE,
    Control,
    EncodedResponse,
    RemoteProtocolError,
    ServerConnection,
    ServerRequest,
    encode_response,
)

__all__ = ["IDLE", "ClientConnection"]

# In seconds:
IDLE = 75.0
"""How long a connection is kept open without a request."""
_REQUEST = 60.0  # how long each `_PROGRESS` bytes of a request may take to arrive
_SEND = 60.0  # how long a send may make no progress
_LINGER = 5.0  # how long reading goes on before the connection is closed
_LINGER_AT_STOP = 1.0  # the same while the server stops

# In bytes:
_PROGRESS = 64 * 1024
_READ_ON = 2 * MAX_BODY_SIZE  # how much is read and discarded before the connection is closed

_log = logging.getLogger("hestiaos_local")


class ClientConnection:
    """Responds to the requests of one client, one after another.

    `time_left` is how many more seconds the server waits for the client, `idle` whether no request is in progress.
    """

    send_raises = True

    def __init__(self, sock: ClientSocket, service: Service) -> None:
        self.time_left = IDLE
        self.idle = True
        self._socket = sock
        self._service = service
        self._connection = ServerConnection(clock=time.time, judge=service.access.judge, resources=SERVED)
        self._scope = CancelScope()
        self._sender: EventSender | None = None
        self._ended = False  # the client has closed its sending side
        self._stopping = False

    async def serve(self) -> None:
        """Serve the client until it disconnects, and close the connection."""
        try:
            with self._scope:
                while (call := await self._next_call()) is not None:
                    await self._answer(call)
                await self._linger()
        except (OSError, RemoteProtocolError):  # the client has disconnected, or sends without reading
            pass
        except Exception:  # a bug in this server must not end the connections of other clients
            _log.exception("a connection was closed because of an internal error")
        finally:
            self._socket.close()

    def end(self) -> None:
        """End the connection at once."""
        self._scope.cancel()

    def stop(self) -> None:
        """End the connection after the response in progress. A stream is ended now, with `error` and `done`."""
        self._stopping = True
        self._connection.shut_down()
        if self.idle:
            self.end()
        elif self._sender is not None:
            self._sender.stop()

    async def _next_call(self) -> ServerRequest | None:
        """Wait for the next request. Return None if there will be none."""
        self.idle, self.time_left = True, IDLE
        received: int | None = None  # bytes since `time_left` was last reset
        while not (self._connection.must_close or (self._stopping and self.idle)):
            try:
                call = next(self._connection.events(), None)
            except RemoteProtocolError as error:
                await self._refuse(error)
                return None
            if call is not None or self._ended:
                self.idle, self.time_left = False, inf
                if received is None:
                    await checkpoint()  # a client that pipelines requests takes turns with the others
                return call
            if self._connection.expects_continue:
                await self.send(self._connection.send(Control.CONTINUE))
            size = await self.receive()
            if received is None or received + size >= _PROGRESS:
                self.idle, self.time_left, received = False, _REQUEST, 0
            else:
                received += size
        return None

    async def _refuse(self, error: RemoteProtocolError) -> None:
        """Respond to invalid input, in the error format of the API that was addressed."""
        line, refusal = self._connection.request_line, self._connection.refusal
        assert refusal is not None, "the connection sets it when it raises"
        with log_request(self._service.on_request, line) as record:
            record.status = refusal.status_code
            openai = line is not None and is_front_door(line[1])
            await self.send(self._connection.send(refuse(refusal) if openai else error))

    async def _answer(self, call: ServerRequest) -> None:
        with log_request(self._service.on_request, (call.method, call.target), call.operation) as record:
            headers = self._service.access.headers(call)
            response = await respond_while_there(self._service, call, self, record)
            if isinstance(response, Disconnect):
                raise ConnectionAbortedError(*response.args)
            if isinstance(response, (Generator, AsyncIterator)):
                await self._send_stream(response, headers, record, call)
                return
            if not isinstance(response, EncodedResponse):
                response = encode_response(call.operation, response)
            record.status = response.status
            await self.send(self._connection.send(response, headers))

    async def _send_stream(self, stream: Events, headers: Headers, record: ResponseRecord, call: ServerRequest) -> None:
        self._sender = EventSender(self, self._connection, self._service, headers, call)
        if self._stopping:
            self._sender.stop()
        try:
            await self._sender.send(stream)
        finally:
            record.status = self._sender.status
            self._sender = None

    async def receive(self) -> int:
        """Receive and buffer what arrives next. Return the number of bytes."""
        data = await self._socket.receive()
        self._ended = not data
        self._connection.receive_data(data)
        return len(data)

    @property
    def ended(self) -> bool:
        """Whether the client has closed its sending side. It may still read."""
        return self._ended

    async def send(self, data: bytes) -> None:
        """Send all of `data`, for as long as the client keeps reading."""
        left, self.time_left = self.time_left, _SEND
        await self._socket.send(data, self._moved)
        self.time_left = left

    async def keep_alive(self, data: bytes) -> None:
        """Send what can be sent without waiting. The rest is sent before anything else."""
        self._socket.send_now(data)

    def _moved(self) -> None:
        self.time_left = _SEND

    async def _linger(self) -> None:
        """Keep reading for a moment after the last response.

        Closing a connection with unread data resets it, so that the client may lose a response that it has not read
        yet (RFC 9112, section 9.6).
        """
        self.time_left = _LINGER_AT_STOP if self._stopping else _LINGER
        self._socket.send_eof()
        size = 0
        while size < _READ_ON and (data := await self._socket.receive()):
            size += len(data)
