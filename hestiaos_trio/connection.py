"""One connection: trio's stream under the core's machine. It moves bytes and looks at the time."""

from __future__ import annotations

import ssl
from contextlib import suppress

import trio

from hestiaos_proto import ClientConnection, Config, ConnectFailed, ConnectionLost, LocalProtocolError, Send
from hestiaos_proto.calls import Reply

__all__ = ["Connection", "connect"]

_PIECE = 64 * 1024  # how much is read at a time, in bytes


class Connection:
    """A connection to the server. What fails goes to the machine, which knows what it means."""

    def __init__(self, stream: trio.abc.Stream, sock: trio.socket.SocketType, machine: ClientConnection) -> None:
        self.machine = machine
        self.idle_since = trio.current_time()
        self._stream = stream
        self._socket = sock

    @property
    def usable(self) -> bool:
        """Whether an operation can be sent: not where the server has closed, or says what nobody asked for."""
        return self.machine.reusable and not self._socket.is_readable()

    async def exchange(self, send: Send) -> Reply:
        """Send a request and wait for its response: the whole of it, of an event stream its head."""
        origin = send.request.origin
        late = f"sending to {origin} took too long"
        with trio.CancelScope(deadline=_after(send.deadline.bound(send.timeout))) as scope:
            # A server may answer before it has heard all, and close: what it said is still to be read.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.send_all(self.machine.send(send))
            late = f"{origin} sent nothing for too long"
            while not self.machine.answered:
                scope.deadline = _after(send.deadline.bound(send.read_timeout))
                await self._receive(send)
        if scope.cancelled_caught:
            self.machine.connection_lost(send.deadline.timeout_error(late))
        return self.machine.reply

    async def receive(self, send: Send) -> None:
        """Hand the machine what arrives next of an event stream, or what happened instead."""
        with trio.CancelScope(deadline=_after(send.deadline.bound(send.read_timeout))) as scope:
            await self._receive(send)
        if scope.cancelled_caught:
            self.machine.connection_lost(
                send.deadline.timeout_error(f"{send.request.origin} sent nothing for too long")
            )

    async def _receive(self, send: Send) -> None:
        try:
            data = await self._stream.receive_some(_PIECE)
        except trio.BrokenResourceError as error:
            lost = ConnectionLost(f"the connection to {send.request.origin} was lost: {error.__cause__ or error}")
            lost.__cause__ = error
            self.machine.connection_lost(lost)
        except trio.ClosedResourceError:
            self.machine.connection_lost(LocalProtocolError("the client was closed in the middle of this"))
        else:
            self.machine.receive_data(bytes(data))

    def close(self) -> None:
        """End the connection at once, without a word to the server. A second time does nothing."""
        self._socket.close()


async def connect(config: Config, send: Send, *, ssl_context: ssl.SSLContext | None, uds: str | None) -> Connection:
    """A new connection. Raises `ConnectFailed`, or `TimedOut` where it takes too long."""
    origin = send.request.origin
    try:
        with trio.move_on_after(send.deadline.bound(send.timeout)):
            return await _connect(config, ssl_context, uds)
    except (OSError, ValueError, trio.BrokenResourceError) as error:  # ValueError: the host is no name
        raise ConnectFailed(f"cannot connect to {origin}: {_why(error)}") from error
    late = send.deadline.timeout_error(f"connecting to {origin} took too long")
    late.request_sent = False
    raise late


async def _connect(config: Config, ssl_context: ssl.SSLContext | None, uds: str | None) -> Connection:
    host, port = config.address
    transport = await trio.open_tcp_stream(host, port) if uds is None else await trio.open_unix_socket(uds)
    stream: trio.abc.Stream = transport
    if config.tls:
        context = ssl_context if ssl_context is not None else ssl.create_default_context()
        try:
            # RFC 9110, section 4.3.4: many servers end TLS without saying so, and HTTP has its own ends.
            stream = tls = trio.SSLStream(transport, context, server_hostname=host, https_compatible=True)
            await tls.do_handshake()
        except BaseException:  # a cancellation too; it is raised again
            transport.socket.close()
            raise
    return Connection(stream, transport.socket, ClientConnection(config=config))


def _after(seconds: float) -> float:
    return trio.current_time() + seconds


def _why(error: BaseException) -> str:
    """The innermost reason: trio tries several addresses, and tells of TLS by a cause."""
    if isinstance(error, BaseExceptionGroup):
        return _why(error.exceptions[0])
    return str(error) if error.__cause__ is None else _why(error.__cause__)
