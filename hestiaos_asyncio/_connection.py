"""A connection: an asyncio protocol for the core's machine. It moves bytes and keeps timeouts."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import cast

from hestiaos_proto import (
    ClientConnection,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    NetworkOptions,
    Response,
    Send,
)

__all__ = ["Connection"]

_MAX_UNREAD = 256 * 1024  # how many bytes of a stream are received ahead of its reader


class Connection(asyncio.BufferedProtocol):
    """A connection to the server. Data is passed to the machine as it arrives; a waiting task is woken up once for it.

    `buffer` is where asyncio puts what it reads; all connections of a loop can share it.
    """

    def __init__(self, network: NetworkOptions, loop: asyncio.AbstractEventLoop, buffer: memoryview) -> None:
        self._machine = ClientConnection(config=network.config)
        self._keepalive_expiry = network.keepalive_expiry
        self._loop = loop
        self._process = os.getpid()
        self._buffer = buffer
        self._transport: asyncio.Transport
        self._send: Send | None = None  # the request in progress
        self._waiter: asyncio.Future[None] | None = None
        self._writing = False  # the write buffer of the transport is full
        self._early: list[Callable[[], None]] = []  # how to process what arrived while no request was in progress
        self._unread = 0
        self._expires = 0.0  # when the current wait times out, by the clock of the loop
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_message = ""  # the message of that timeout
        self._idle_since = 0.0
        self._ended = False  # the end was received
        self._closed = False

    @property
    def usable(self) -> bool:
        """See `LoopConnection.usable`."""
        return (
            not self._early
            and not self._transport.is_closing()
            and self._loop.time() - self._idle_since < self._keepalive_expiry
            and not _is_readable(self._transport)  # the server may have closed it, and the loop not have noticed yet
        )

    @property
    def finished(self) -> bool:
        """See `LoopConnection.finished`."""
        return self._machine.finished

    def keep(self) -> bool:
        """See `LoopConnection.keep`."""
        transport = self._transport
        if self._process != os.getpid() or transport.is_closing() or transport.get_write_buffer_size():
            return False
        if self._send is not None and not self._machine.reusable:
            return False
        self._send = None
        self._idle_since = self._loop.time()
        self._set_reading(True)
        return True

    async def exchange(self, send: Send) -> Response:
        """See `LoopConnection.exchange`."""
        machine, origin = self._machine, send.request.origin
        self._send = send
        self._unread = 0
        data = machine.send(send)
        if not self._transport.is_closing():
            self._transport.write(data)
        if self._early:
            self._replay()
        if self._writing and not machine.answered:
            await self._wait(send.timeout, f"sending to {origin} took too long")
        while not machine.answered:
            await self._wait(send.read_timeout, f"{origin} sent nothing for too long")
        response = machine.response
        assert response is not None, "the machine is answered"
        return response

    async def receive(self, timeout: float) -> None:  # noqa: ASYNC109  # a timer for each read would cost more than it
        """See `LoopConnection.receive`."""
        assert self._send is not None, "a response is received after its request"
        if not (self._unread or self._machine.finished):
            await self._wait(timeout, f"{self._send.request.origin} sent nothing for too long")
        if self._unread > _MAX_UNREAD:
            self._set_reading(True)
        self._unread = 0

    def close(self) -> None:
        """See `LoopConnection.close`."""
        if self._closed:
            return
        self._closed = True
        if self._process != os.getpid():
            _abandon(self._transport)
            return
        if self._loop.is_closed():
            self._waiter = None
            _run_at_once(self._loop)
        elif self._send is not None:
            self._lose(LocalProtocolError("the client was closed during the call"))
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # or uvloop's own

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._feed(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        self._feed(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            origin = "the server" if self._send is None else self._send.request.origin
            lost = ConnectionLost(f"the connection to {origin} was lost: {exc}")
            lost.__cause__ = exc
            self._lose(lost)
        elif not self._ended:  # TLS can end without eof_received
            self._feed(b"")

    def pause_writing(self) -> None:
        self._writing = True

    def resume_writing(self) -> None:
        self._writing = False
        self._wake()

    # What arrives, and faults.

    def _feed(self, data: bytes) -> None:
        if self._ended or self._closed:
            return
        send = self._send
        if send is None:
            self._early.append(partial(self._feed, data))
            self._set_reading(False)
            return
        self._ended = not data
        self._machine.receive_data(data)
        if self._machine.answered:
            self._unread += len(data)
            if self._unread > _MAX_UNREAD:
                self._set_reading(False)
            self._wake()
        elif not self._writing:
            self._expires = self._loop.time() + send.deadline.bound(send.read_timeout)

    def _lose(self, error: HestiaError) -> None:
        if self._send is None:
            self._early.append(partial(self._lose, error))
            return
        self._ended = True
        self._machine.connection_lost(error)
        self._wake()

    def _replay(self) -> None:
        """Process what arrived before the request, as a server may respond and close without reading one."""
        early, self._early = self._early, []
        for take in early:
            take()
        self._set_reading(True)

    def _set_reading(self, reading: bool) -> None:
        if not self._transport.is_closing():
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # One timer that is rarely set again costs less than one for each read.

    async def _wait(self, seconds: float, message: str) -> None:
        assert self._send is not None, "a request is in progress"
        self._timeout_message = message
        self._expires = expires = self._loop.time() + self._send.deadline.bound(seconds)
        if self._timer is None or self._timer.when() > expires:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(expires, self._check_time)
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _check_time(self) -> None:
        self._timer = None
        if self._waiter is None or self._send is None:
            return
        if self._loop.time() < self._expires:
            self._timer = self._loop.call_at(self._expires, self._check_time)
        else:
            self._lose(self._send.deadline.timeout_error(self._timeout_message))


def _is_readable(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    if sys.platform == "win32":
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _abandon(transport: asyncio.Transport) -> None:
    """Close the descriptor of a connection of the parent process, without an effect on the parent's connection.

    The transport still uses the number of the descriptor, so it is made to refer to the null device.
    """
    number = transport.get_extra_info("socket").fileno()
    if number >= 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, number, inheritable=False)
        os.close(nothing)


def _run_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Let a closed loop run callbacks at once, so that its transports close their sockets.

    Otherwise they raise `RuntimeError` and leave the sockets open: python/cpython#92841 has fixed finalizers only.
    """
    with suppress(AttributeError):  # uvloop's loops close their transports themselves
        loop.call_soon = _call  # type: ignore[method-assign, assignment]


def _call(callback: Callable[..., object], *args: object, context: Context | None = None) -> None:
    callback(*args)
