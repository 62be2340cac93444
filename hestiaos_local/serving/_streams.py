"""Sends a run's events as they come, and watches meanwhile whether the client is there."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator
from contextlib import closing, suppress
from typing import Any, Protocol

from anyio import CancelScope, create_task_group, current_time, move_on_after, sleep, sleep_forever
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

# In bytes: from which size on a piece of a stream is sent. All streams together send one round of pieces before the
# first has its turn again, so that others wait for some 15 ms; alone, a stream costs less in larger pieces.
_PIECE = 4096
_ROUND = 160_000
_LEAST = 512

_ENDED_HEARTBEAT = 1.0  # seconds between heartbeats to a client that sends no more
_LOOK = 0.5  # seconds between two looks whether a client has come back

Events = Generator[StreamEvent, None, None] | AsyncIterator[Any]

_log = logging.getLogger("hestiaos_local")


StreamItem = StreamEvent | BaseException | Control | EncodedResponse | ResponseHead | bytes


class Encoder(Protocol):
    """Makes bytes of what is sent: `ServerConnection` does, with HTTP/1.1's framing."""

    def send(self, item: StreamItem, headers: Headers = ()) -> bytes:
        """As `ServerConnection.send`."""
        ...


class _ClientGone(Exception):
    """The client has gone."""


class EventSender:
    """Sends one stream; `headers` stand in the response's head beside its own.

    Where its run has a log, a client that has gone may come back: then the run goes on without it for a while.
    """

    def __init__(
        self, client: Client, connection: Encoder, service: Service, headers: Headers, request: ServerRequest
    ) -> None:
        self.status: int | None = None
        """The status of the response; `None` while its head is not written."""
        self._client = client
        self._connection = connection
        self._service = service
        self._headers = headers
        log = service.platform.run_log(request)
        self._log = None if log is None or log.closed else log
        # The rest of a stream cannot begin with `error`: its client loses the connection, and asks again.
        self._awaits_rest = request.last_event_id is not None
        self._tasks: TaskGroup | None = None
        self._scope = CancelScope()
        self._stopped = False
        self._done = False  # the end has been written
        self._fault: Exception | None = None  # of the connection
        self._last_sent = 0.0  # by the event loop's clock
        self._unpaused = 0  # bytes sent since other tasks had their turn

    def stop(self) -> None:
        """End the stream now: the client gets `error` and `done`."""
        self._stopped = True
        self._scope.cancel()

    async def send(self, events: Events) -> None:
        """Send the events up to `done`. Raises what ended the connection."""
        try:
            with self._scope, self._service.platform.measurements.stream():
                ready = isinstance(events, Generator) and not self._service.pace
                if ready and self._client.send_tells:
                    await self._pump(events)
                else:
                    await self._send_watched(events)
        finally:
            close = getattr(events, "aclose", None)  # it cancels the work of what has not come to its end
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
        self._last_sent = current_time()
        async with create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._watch, events)
            await self._pump(events)
            tasks.cancel_scope.cancel()

    async def _watch(self, events: Events) -> None:
        """Show that the connection is alive, and end the stream as soon as the client has gone. What it sends is kept.

        One that sends no more may still read: whether it does shows when something is written, which then is often.
        Before anything was, it counts as gone.
        """
        try:
            while not self._done:
                ended = self._client.ended
                if ended and self.status is None:
                    raise ConnectionAbortedError("the client has gone")
                pause = min(self._service.heartbeat, _ENDED_HEARTBEAT) if ended else self._service.heartbeat
                with move_on_after(self._last_sent + pause - current_time()):
                    await (sleep_forever() if ended else self._client.receive())
                if not self._done and current_time() >= self._last_sent + pause:
                    items = events.heartbeat() if isinstance(events, CompletionPieces) else (Control.HEARTBEAT,)
                    await self._client.keep_alive(b"".join(map(self._encode, items)))
                    self._last_sent = current_time()
        except (OSError, RemoteProtocolError) as error:
            if not self._goes_on(error):
                self._scope.cancel()

    def _goes_on(self, fault: Exception) -> bool:
        """Note that the client has gone. Whether its run goes on without it."""
        if self._fault is None:
            self._fault = fault
            if self._log is not None and self._tasks is not None:
                self._tasks.start_soon(self._wait_for_readers, self._log)
        return self._log is not None

    async def _wait_for_readers(self, log: EventLog) -> None:
        """Cancel the run as soon as no client has followed it for the time of grace."""
        grace = self._service.grace
        since = current_time()
        while current_time() < since + grace:
            await sleep(min(grace, _LOOK))
            if log.readers:
                since = current_time()
        self._scope.cancel()

    async def _pump(self, events: Events) -> None:
        """Send all events. Where making them fails, the client gets an `error`, and the log says why."""
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
            self._fault = ConnectionAbortedError("there is no rest of the stream")
            return
        with suppress(_ClientGone):
            await self._write(self._encode(error), done=True)

    async def _send_each(self, events: AsyncIterator[Any]) -> None:
        """Send each event, or each piece of a completion, as it is made."""
        async for event in events:
            kind = getattr(event, "type", None)
            if kind == "token" and self._service.pace:
                await sleep(self._service.pace)
            await self._write(self._encode(event), done=kind == "done" or _is_end(event))

    async def _send_paced(self, events: Generator[StreamEvent, None, None]) -> None:
        """Let `token_delay` pass before each token."""
        with closing(events):
            for event in events:
                if event.type == "token":
                    await sleep(self._service.pace)
                await self._write(self._encode(event), done=event.type == "done")

    async def _send_ready(self, events: Generator[StreamEvent, None, None]) -> None:
        """Send events that are ready together as one piece, the first at once; none is kept for one that is not ready.

        One by one, sending them would cost several times as much as making them.
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
            if not self._goes_on(error):
                raise _ClientGone from error
        self._last_sent = current_time()
        self._unpaused += len(data)
        if self._unpaused >= self._enough():
            self._unpaused = 0
            await checkpoint()

    def _enough(self) -> int:
        """How many bytes are a piece now."""
        return max(_LEAST, min(_PIECE, _ROUND // self._service.platform.measurements.open_streams))


def _status_of(item: StreamItem) -> int:
    """The status of a response that begins with this."""
    if isinstance(item, EncodedResponse | ResponseHead):
        return item.status
    return item.status_code if isinstance(item, StatusError) else 200


def _is_end(piece: object) -> bool:
    """Whether it is the last piece of a completion, or the whole response."""
    return piece == b"" or isinstance(piece, EncodedResponse)
