"""A connection: a trio stream for the core's machine. It moves bytes and keeps timeouts."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import trio

from hestiaos_proto import (
    ClientConnection,
    ConnectionLost,
    LocalProtocolError,
    NetworkOptions,
    Response,
    Send,
)

__all__ = ["Connection"]

_READ_SIZE = 64 * 1024  # how much is read at a time, in bytes


class Connection:
    """A connection to the server over `stream`, whose socket is `sock`. Faults are passed to the machine."""

    def __init__(self, network: NetworkOptions, stream: trio.abc.Stream, sock: trio.socket.SocketType) -> None:
        self._machine = ClientConnection(config=network.config)
        self._keepalive_expiry = network.keepalive_expiry
        self._stream = stream
        self._socket = sock
        self._process = os.getpid()
        self._run = trio.lowlevel.current_trio_token()
        self._send: Send | None = None
        self._idle_since = 0.0
        self._closed = False

    @property
    def usable(self) -> bool:
        """See `LoopConnection.usable`."""
        return trio.current_time() - self._idle_since < self._keepalive_expiry and not self._socket.is_readable()

    @property
    def finished(self) -> bool:
        """See `LoopConnection.finished`."""
        return self._machine.finished

    def keep(self) -> bool:
        """See `LoopConnection.keep`."""
        self._idle_since = trio.current_time()
        return self._machine.reusable

    async def exchange(self, send: Send) -> Response:
        """See `LoopConnection.exchange`."""
        machine, origin = self._machine, send.request.origin
        self._send = send
        timed_out = f"sending to {origin} took too long"
        with trio.CancelScope(deadline=_after(send, send.timeout)) as scope:
            # A server may respond and close before it has received everything; the response is still to be read.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.send_all(machine.send(send))
            timed_out = f"{origin} sent nothing for too long"
            while not machine.answered:
                scope.deadline = _after(send, send.read_timeout)
                await self._receive(origin)
        if scope.cancelled_caught:
            machine.connection_lost(send.deadline.timeout_error(timed_out))
        response = machine.response
        assert response is not None, "the machine is answered"
        return response

    async def receive(self, timeout: float) -> None:  # noqa: ASYNC109  # a deadline is an instant
        """See `LoopConnection.receive`."""
        send = self._send
        assert send is not None, "a response is received after its request"
        with trio.CancelScope(deadline=_after(send, timeout)) as scope:
            await self._receive(send.request.origin)
        if scope.cancelled_caught:
            self._machine.connection_lost(
                send.deadline.timeout_error(f"{send.request.origin} sent nothing for too long")
            )

    def close(self) -> None:
        """See `LoopConnection.close`."""
        if self._closed:
            return
        self._closed = True
        if self._process == os.getpid() and _is_current(self._run):
            self._socket.close()
        else:  # trio's close would notify a run
            socket.close(self._socket.detach())

    async def _receive(self, origin: str) -> None:
        try:
            data = await self._stream.receive_some(_READ_SIZE)
        except trio.BrokenResourceError as error:
            lost = ConnectionLost(f"the connection to {origin} was lost: {error.__cause__ or error}")
            lost.__cause__ = error
            self._machine.connection_lost(lost)
        except trio.ClosedResourceError:
            self._machine.connection_lost(LocalProtocolError("the client was closed during the call"))
        else:
            self._machine.receive_data(bytes(data))


def _after(send: Send, seconds: float) -> float:
    return trio.current_time() + send.deadline.bound(seconds)


def _is_current(run: trio.lowlevel.TrioToken) -> bool:
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is run
