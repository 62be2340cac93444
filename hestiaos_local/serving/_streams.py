"""Send a run's events as they are produced, while watching for the client's disconnect."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator
from contextlib import closing, suppress
from time import monotonic
from typing import Any, Protocol

from anyio import CancelScope, create_task_group, move_on_after, sleep, sleep_forever
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from hestiaos_local.flow import Disconnect
from hestiaos_local.operations import EventLog
from hestiaos_local.serving._access import Headers
from hestiaos_local.serving._clients import Client
from hestiaos_local.serving._front_door import CompletionPieces
from hestiaos_local.serving._service import Service
from hestiaos_proto import (
    Control,
    EncodedResponse,
    RemoteProtocolError,
    ResponseHead,
    ServerError,
    ServerRequest,
    StatusError,
    StreamEvent,
)

__all__ = ["Encoder", "EventSender", "Events"]

# The minimum size of a piece of a stream, in bytes. Every stream sends one piece before the first has its turn again:
# with this size, others wait for some 15 ms. A stream on its own costs less with larger pieces.
_PIECE = 4096
_ROUND = 160_000
_LEAST = 512

_ENDED_HEARTBEAT = 1.0  # seconds between heartbeats to a client that has closed its sending side
_LOOK = 0.5  # seconds between checks whether a client has resumed the stream

Events = Generator[StreamEvent, None, None] | AsyncIterator[Any]

_log = logging.getLogger("hestiaos_local")


StreamItem = StreamEvent | BaseException | Control | EncodedResponse | ResponseHead | bytes


class Encoder(Protocol):
    """Encodes what is sent. `ServerConnection` is an encoder, with HTTP/1.1's framing."""

    def send(self, item: StreamItem, headers: Headers = ()) -> bytes:
        """Encode an item, like `ServerConnection.send`."""
        ...


class _ClientGone(Exception):
    """The client has disconnected."""


class EventSender:
    """Sends one stream. `headers` are added to those of the response.

    If the run has a log, a disconnected client can resume the stream, so the run continues without it for a while.
    """

    def __init__(
        self, client: Client, connection: Encoder, service: Service, headers: Headers, request: ServerRequest
    ) -> None:
        self.status: int | None = None
        """The status of the response, None until its head has been encoded."""
        self._client = client
        self._connection = connection
        self._service = service
        self._headers = headers
        log = service.platform.run_log(request)
        self._log = None if log is None or log.closed else log
        # A resumed stream must not begin with `error`: the connection is closed instead, so that the client retries.
        self._awaits_rest = request.last_event_id is not None
        self._tasks: TaskGroup | None = None
        self._scope = CancelScope()
        self._stopped = False
        self._done = False  # the end has been sent
        self._fault: Exception | None = None  # what ended the connection
        self._last_sent = 0.0  # by a clock that never goes back
        self._unpaused = 0  # bytes sent since other tasks last had their turn

    def stop(self) -> None:
        """End the stream now: the client gets `error` and `done`."""
        self._stopped = True
        self._scope.cancel()

    async def send(self, events: Events) -> None:
        """Send the events up to `done`. Raises what ended the connection."""
        try:
            with self._scope, self._service.platform.measurements.stream():
                ready = isinstance(events, Generator) and not self._service.pace
                if ready and self._client.send_raises:
                    await self._pump(events)
                else:
                    await self._send_watched(events)
        finally:
            close = getattr(events, "aclose", None)  # cancels work that has not ended
            if close is not None:
                await close()
        if self._fault is not None:
            raise self._fault
        if self._stopped and not self._done:
            if self._awaits_rest:
                raise ConnectionAbortedError("the server is stopping")
            stopping = ServerError("the server is stopping", status_code=503, code="STOPPING")
            last = events.failed(stopping) if isinstance(events, CompletionPieces) else (stopping,)
            await self._client.send(b"".join(map(self._encode, last)))

    async def _send_watched(self, events: Events) -> None:
        self._last_sent = monotonic()
        async with create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._watch, events)
            await self._pump(events)
            tasks.cancel_scope.cancel()

    async def _watch(self, events: Events) -> None:
        """Send heartbeats, and end the stream when the client disconnects. Buffer what the client sends.

        A client that has closed its sending side may still read. Only writing shows whether it does, so heartbeats are
        then more frequent. Before anything has been sent, such a client counts as disconnected.
        """
        try:
            while not self._done:
                ended = self._client.ended
                if ended and self.status is None:
                    raise ConnectionAbortedError("the client has disconnected")
                pause = min(self._service.heartbeat, _ENDED_HEARTBEAT) if ended else self._service.heartbeat
                with move_on_after(self._last_sent + pause - monotonic()):
                    await (sleep_forever() if ended else self._client.receive())
                if not self._done and monotonic() >= self._last_sent + pause:
                    items = events.heartbeat() if isinstance(events, CompletionPieces) else (Control.HEARTBEAT,)
                    await self._client.keep_alive(b"".join(map(self._encode, items)))
                    self._last_sent = monotonic()
        except (OSError, RemoteProtocolError) as error:
            if not self._continue_without_client(error):
                self._scope.cancel()

    def _continue_without_client(self, fault: Exception) -> bool:
        """Record that the client has disconnected. Return whether its run continues."""
        if self._fault is None:
            self._fault = fault
            if self._log is not None and self._tasks is not None:
                self._tasks.start_soon(self._wait_for_readers, self._log)
        return self._log is not None

    async def _wait_for_readers(self, log: EventLog) -> None:
        """Cancel the run once no client has followed it for `grace` seconds."""
        grace = self._service.grace
        since = monotonic()
        while monotonic() < since + grace:
            await sleep(min(grace, _LOOK))
            if log.readers:
                since = monotonic()
        self._scope.cancel()

    async def _pump(self, events: Events) -> None:
        """Send all events. If producing them fails, log the exception and send an `error`."""
        try:
            if not isinstance(events, Generator):
                await self._send_each(events)
            elif self._service.pace:
                await self._send_paced(events)
            else:
                await self._send_ready(events)
        except _ClientGone:
            pass
        except Disconnect as error:
            self._fault = ConnectionAbortedError(*error.args)
        except Exception as error:
            _log.exception("a stream failed")
            if not self._done:
                await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        if self._awaits_rest:
            self._fault = ConnectionAbortedError("the stream cannot be resumed")
            return
        with suppress(_ClientGone):
            await self._write(self._encode(error), done=True)

    async def _send_each(self, events: AsyncIterator[Any]) -> None:
        """Send each event, or each piece of a completion, as it is produced."""
        async for event in events:
            kind = getattr(event, "type", None)
            if kind == "token" and self._service.pace:
                await sleep(self._service.pace)
            await self._write(self._encode(event), done=kind == "done" or _is_end(event))

    async def _send_paced(self, events: Generator[StreamEvent, None, None]) -> None:
        """Send each event, waiting `token_delay` seconds before each token."""
        with closing(events):
            for event in events:
                if event.type == "token":
                    await sleep(self._service.pace)
                await self._write(self._encode(event), done=event.type == "done")

    async def _send_ready(self, events: Generator[StreamEvent, None, None]) -> None:
        """Send events that are ready together in one piece, but the first at once. No event waits for later ones.

        Sending each separately would cost several times as much as producing it.
        """
        ready: list[bytes] = []
        size, enough = 0, self._enough()
        with closing(events):
            for event in events:
                ready.append(piece := self._encode(event))
                size += len(piece)
                if event.type in ("start", "done") or size >= enough:
                    await self._write(b"".join(ready), done=event.type == "done")
                    ready.clear()
                    size, enough = 0, self._enough()
            if ready:
                await self._write(b"".join(ready))

    def _encode(self, item: StreamItem) -> bytes:
        if self.status is None:
            self.status = _status_of(item)
        if self._awaits_rest and isinstance(item, StreamEvent):
            self._awaits_rest = False
        return self._connection.send(item, self._headers)

    async def _write(self, data: bytes, *, done: bool = False) -> None:
        self._done = done
        try:
            if self._fault is None:
                await self._client.send(data)
        except (OSError, RemoteProtocolError) as error:
            if not self._continue_without_client(error):
                raise _ClientGone from error
        self._last_sent = monotonic()
        self._unpaused += len(data)
        if self._unpaused >= self._enough():
            self._unpaused = 0
            await checkpoint()

    def _enough(self) -> int:
        """Return the minimum size of a piece, in bytes."""
        return max(_LEAST, min(_PIECE, _ROUND // self._service.platform.measurements.open_streams))


def _status_of(item: StreamItem) -> int:
    """Return the status of a response that begins with this item."""
    if isinstance(item, EncodedResponse | ResponseHead):
        return item.status
    return item.status_code if isinstance(item, StatusError) else 200


def _is_end(piece: object) -> bool:
    """Return whether an item is the last piece of a completion, or a complete response."""
    return piece == b"" or isinstance(piece, EncodedResponse)
