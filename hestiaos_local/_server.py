"""Serves a platform on a TCP port: carries the bytes of `ServerConnection`, and paces the streams.

A client that has gone, or that is too slow, ends its own connection and nothing else.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Generator
from contextlib import closing
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from ipaddress import ip_address

from anyio import (
    BrokenResourceError,
    EndOfStream,
    create_task_group,
    create_tcp_listener,
    current_time,
    fail_after,
    getaddrinfo,
    move_on_after,
    sleep,
    sleep_forever,
)
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup
from anyio.streams.stapled import MultiListener

from hestiaos_local._platform import Platform
from hestiaos_local._service import Service
from hestiaos_proto import (
    MAX_BODY_SIZE,
    Config,
    Control,
    RemoteProtocolError,
    ServerConnection,
    ServerRequest,
    StreamEvent,
)

__all__ = ["ServeError", "serve"]

# In seconds:
_IDLE = 75.0  # how long a connection is kept without a request
_REQUEST = 60.0  # how long a request may take to arrive, from its first byte to its last
_SEND = 60.0  # how long a client may take to accept one piece of a response
_LINGER = 5.0  # how long a client is heard out before the connection is closed
_ACCEPT_AGAIN = 0.1

# In bytes:
_HEARD_OUT = 2 * MAX_BODY_SIZE  # how much more is read and dropped before the connection is closed
_PIECE = 8192  # from this size on a piece of a stream is sent; it is made in less than a millisecond

_GONE = (EndOfStream, BrokenResourceError, OSError, RemoteProtocolError)

_log = logging.getLogger("hestiaos_local")


class ServeError(OSError):
    """The address cannot be listened on; the message says in one line why, and what to do."""


async def serve(
    platform: Platform,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    token_delay: float = 0.02,
    heartbeat: float = 15.0,
    on_listening: Callable[[str], None] | None = None,
) -> None:
    """Serve `platform` until cancelled, on asyncio or trio.

    Port 0 takes a free one; `on_listening` is told the base URL as soon as clients can connect. `token_delay`, in
    seconds, passes before each `token` event: a model's pace. Where it is longer than `heartbeat`, in seconds too, a
    comment goes out after each of these. With an `api_key`, every request must bear it.

    Raises `ValueError` for an argument that cannot be, one of them a host beyond loopback without an API key, and
    `ServeError`, which is an `OSError`, where the address cannot be listened on.
    """
    service = Service(platform, Config(api_key=api_key).api_key, token_delay, heartbeat)
    async with await _listen(host, port, protected=service.api_key is not None) as listener:
        if on_listening is not None:
            taken = listener.extra_attributes[SocketAttribute.local_port]()
            on_listening(f"http://{_address(host, taken)}")
        async with create_task_group() as group:
            for one in listener.listeners:
                assert isinstance(one, SocketListener), "anyio listens on TCP with these"
                group.start_soon(_accept, one, service, group)


class _Conversation:
    """One client's connection, from its first request to its end."""

    def __init__(self, stream: SocketStream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._connection = ServerConnection(clock=time.time)
        self._ended = False  # the client has sent all that it wants to

    async def hold(self) -> None:
        """Answer one request after another."""
        try:
            async with self._stream:
                while (call := await self._next_call()) is not None:
                    response = await self._service.respond(call)
                    if isinstance(response, Generator):
                        await self._send_stream(response)
                    else:
                        await self._send(response)
                await self._hear_out()
        except _GONE:  # the client went away, or it sends and sends and does not listen: there is nobody to tell
            pass
        except Exception:  # a fault of this server costs one connection, not those of all others
            _log.exception("a connection was ended by a fault of the server")

    async def _next_call(self) -> ServerRequest | None:
        """The next request once it is whole; `None` where none is to come, or the client takes too long."""
        begun = False
        with move_on_after(_IDLE) as server_timeout:
            while not self._connection.must_close:
                try:
                    call = next(self._connection.events(), None)
                except RemoteProtocolError as error:
                    await self._send(error)
                    return None
                if call is not None or self._ended:
                    return call
                if self._connection.expects_continue:
                    await self._send(Control.CONTINUE)
                await self._receive()
                if not begun:
                    begun = True
                    server_timeout.deadline = current_time() + _REQUEST
        return None

    async def _receive(self) -> None:
        """Read what arrives next."""
        try:
            data = await self._stream.receive()
        except EndOfStream:
            self._ended = True
            data = b""
        self._connection.receive_data(data)

    async def _send(self, item: object) -> None:
        await self._write(self._connection.send(item))

    async def _write(self, data: bytes) -> None:
        with fail_after(_SEND):
            await self._stream.send(data)

    async def _send_stream(self, events: Generator[StreamEvent, None, None]) -> None:
        """Send events that are ready together as one piece, the first at once; none is kept for one that is not ready.

        One by one, sending them would cost several times as much as making them.
        """
        paced = self._service.token_delay > 0
        ready = b""
        with closing(events):
            for event in events:
                if paced and event.type == "token":
                    await self._pace()
                ready += self._connection.send(event)
                if paced or event.type == "start" or len(ready) >= _PIECE:
                    await self._write(ready)
                    ready = b""
            if ready:
                await self._write(ready)

    async def _pace(self) -> None:
        """Wait as long as a model takes for a word, and show in the meantime that the connection is alive."""
        left = self._service.token_delay
        while left > self._service.heartbeat:
            await self._listen(self._service.heartbeat)
            await self._send(Control.HEARTBEAT)
            left -= self._service.heartbeat
        if left > 0:
            await self._listen(left)

    async def _listen(self, seconds: float) -> None:
        """Let `seconds` pass. Raises `BrokenResourceError` as soon as the client has gone; what it sends is kept.

        One that sends no more may still read: whether it does shows when something is written.
        """
        with move_on_after(seconds):
            while not self._ended:
                await self._receive()
            await sleep_forever()

    async def _hear_out(self) -> None:
        """Read on for a moment after the last response.

        RFC 9112, section 9.6: closing with data unread resets the connection, and takes from the client a response
        that it has not read yet.
        """
        await self._stream.send_eof()
        size = 0
        with move_on_after(_LINGER):
            while size < _HEARD_OUT:
                size += len(await self._stream.receive())


async def _accept(listener: SocketListener, service: Service, group: TaskGroup) -> None:
    while True:
        try:
            stream = await listener.accept()
        # This one client has gone already, or no file descriptor is free for now; on trio the OSError is the cause.
        except (OSError, BrokenResourceError) as error:
            _log.warning("a connection could not be accepted: %s", error.__cause__ or error)
            await sleep(_ACCEPT_AGAIN)
        else:
            group.start_soon(_Conversation(stream, service).hold)


async def _listen(host: str, port: int, *, protected: bool) -> MultiListener[SocketStream]:
    if not host:
        raise ValueError("the host is empty: give an address of this machine, such as 127.0.0.1")
    if not 0 <= port <= 65535:
        raise ValueError(f"the port must be from 0 to 65535, not {port}")
    try:
        found = await getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not protected and not all(ip_address(address[0]).is_loopback for *_, address in found):
            raise ValueError(
                f"{host} can be reached from other machines: set an API key, or serve on a loopback address (127.0.0.1)"
            )
        return await create_tcp_listener(local_host=host, local_port=port)
    except (OSError, UnicodeError) as error:  # a UnicodeError where the name is none by IDNA
        raise ServeError(_why_not(host, port, error)) from error


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    address = _address(host, port)
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror):
        return f"the host {host!r} is not known: give an address of this machine, such as 127.0.0.1"
    if error.errno == EADDRINUSE:
        return f"{address} is in use: stop what listens there, or choose another port"
    if error.errno == EACCES:
        return f"{address} is not permitted to this user: choose a port from 1024 on"
    if error.errno == EADDRNOTAVAIL:
        return f"{host} is no address of this machine: give one that is, such as 127.0.0.1"
    return f"cannot listen on {address}: {error.strerror or error}"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
