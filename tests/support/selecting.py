"""A client over a bare `selectors` loop: what an embedder writes who has neither httpx nor an event loop's streams."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any
from urllib.parse import urlsplit

from hestiaos_proto import (
    CallContext,
    ClientConnection,
    Config,
    ConnectFailed,
    ConnectionLost,
    EventStreamBase,
    HestiaError,
    Interceptor,
    LocalProtocolError,
    Operation,
    Response,
    RunStream,
    Runtime,
    Send,
    StreamOptions,
    TimedOut,
    call_flow,
    operations,
    run_flow,
)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_LOOK = 0.02  # seconds between two looks at a caller's event


class Cancelled(LocalProtocolError):
    """The stream was cancelled while the loop waited."""

    def __init__(self) -> None:
        super().__init__("the stream was cancelled")


SEED = 4711


class Link:
    """A non-blocking socket with the core's machine on top."""

    def __init__(self, client: SelectorClient, send: Send, cancel: threading.Event | None) -> None:
        self.machine = ClientConnection(config=client.config)
        self.cancel = cancel
        self.sock: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        try:
            self._connect(client, send)
        except (OSError, UnicodeError, Cancelled) as error:  # UnicodeError: the host is not a name
            self.close()
            if isinstance(error, (Cancelled, HestiaError)):
                raise
            raise ConnectFailed(f"cannot connect to {client.config.origin}: {error}") from error

    def _connect(self, client: SelectorClient, send: Send) -> None:
        url = urlsplit(client.config.origin)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.sock = socket.socket(family, kind, proto)
        self.sock.setblocking(False)
        if self.sock.connect_ex(address):
            self._wait(WRITE, send, send.timeout, "connecting took too long", request_sent=False)
            if (code := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) != 0:
                raise OSError(code, "the connect failed")
        if url.scheme == "https":
            context = client.ssl_context or ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
            self._retry(self.sock.do_handshake, send, send.timeout)

    @property
    def usable(self) -> bool:
        """Whether another operation can be sent: nothing may have come meanwhile, not even the end."""
        assert self.sock is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, READ)
            return self.machine.reusable and not selector.select(0)

    def begin(self, send: Send) -> None:
        """Send the request and wait for the head of the response."""
        assert self.sock is not None
        data = memoryview(self.machine.send(send))
        try:
            while data:
                data = data[self._retry(partial(self.sock.send, data), send, send.timeout, WRITE) :]
        except ConnectionError:
            pass  # the server may have answered before it closed: what it said is still to be read
        except TimedOut as error:
            self.machine.connection_lost(error)
        while not self.machine.finished and self.machine.response is None:
            self.receive(send)

    def finish(self, send: Send) -> Response:
        """Wait for the rest of the response, or raise what came instead."""
        while not self.machine.finished:
            self.receive(send)
        return self.response()

    def response(self) -> Response:
        """What the machine answers with."""
        response = self.machine.response
        assert response is not None, "the machine has answered"
        return response

    def receive(self, send: Send, timeout: float | None = None) -> None:
        """Hand the machine what comes next, or what happened instead."""
        assert self.sock is not None
        try:
            seconds = send.read_timeout if timeout is None else timeout
            self.machine.receive_data(self._retry(partial(self.sock.recv, 65536), send, seconds))
        except TimedOut as error:
            self.machine.connection_lost(error)
        except OSError as error:
            lost = ConnectionLost(f"the connection was lost: {error}")
            lost.__cause__ = error
            self.machine.connection_lost(lost)

    def _retry(self, action: Callable[[], Any], send: Send, seconds: float, events: int = READ) -> Any:
        """Do it as soon as it can be done; `events` is what a plain socket waits for, TLS says so itself."""
        while True:
            try:
                return action()
            except ssl.SSLWantWriteError:
                wanted = WRITE
            except ssl.SSLWantReadError:
                wanted = READ
            except BlockingIOError:
                wanted = events
            self._wait(wanted, send, seconds)

    def _wait(
        self,
        events: int,
        send: Send,
        seconds: float,
        late: str = "the server was silent for too long",
        *,
        request_sent: bool = True,
    ) -> None:
        assert self.sock is not None
        end = time.monotonic() + send.deadline.bound(seconds)
        self._selector.register(self.sock, events)
        try:
            while True:
                if self.cancel is not None and self.cancel.is_set():  # however much there is to read
                    raise Cancelled
                left = end - time.monotonic()
                if self._selector.select(max(0.0, left if self.cancel is None else min(left, _LOOK))):
                    return
                if left <= 0:
                    error = send.deadline.timeout_error(late)
                    error.request_sent = request_sent
                    raise error
        finally:
            self._selector.unregister(self.sock)

    def close(self) -> None:
        self._selector.close()
        if self.sock is not None:
            self.sock.close()


class SelectorClient:
    """Calls and streams, one at a time, over one kept-alive connection."""

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        deadline: float | None = None,
        cassette: Interceptor | None = None,
        **options: Any,
    ) -> None:
        self.cassette = cassette
        self.config = Config(base_url=url, deadline=deadline, **options)
        self.ssl_context = ssl_context
        self.runtime = Runtime(time.monotonic, time.time, Random(SEED))
        self.waits: list[float] = []
        self._idle: Link | None = None
        self._closed = False

    def call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        steps = call_flow(
            getattr(operations, operation)(*args, **kwargs), self.config, self.runtime, interceptor=self.cassette
        )
        return run_flow(steps, self._send, self.sleep)

    def run_stream(
        self, input: str, *, timeout: float | None = None, cancel: threading.Event | None = None, **kwargs: Any
    ) -> Stream:
        context = CallContext(self.config, self.runtime, interceptor=self.cassette)
        options = StreamOptions(**{name: kwargs.pop(name) for name in StreamOptions.__optional_keys__ & kwargs.keys()})
        operation = operations.run_stream(input, **kwargs)
        return Stream(self, context, operation, timeout, cancel or threading.Event(), options)

    def close(self) -> None:
        self._closed = True
        if self._idle is not None:
            self._idle.close()

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        with selectors.DefaultSelector() as selector:
            selector.select(seconds)

    def take(self, send: Send, cancel: threading.Event | None = None) -> Link:
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.usable:
                idle.cancel = cancel
                return idle
            idle.close()
        return Link(self, send, cancel)

    def give_back(self, link: Link) -> None:
        if link.machine.reusable and not self._closed and self._idle is None:
            self._idle = link
        else:
            link.close()

    def _send(self, send: Send) -> Response:
        link = self.take(send)
        try:
            link.begin(send)
            return link.finish(send)
        finally:
            self.give_back(link)


class Stream(EventStreamBase):
    """The events of a run."""

    def __init__(
        self,
        client: SelectorClient,
        context: CallContext,
        operation: Operation[RunStream],
        timeout: float | None,
        cancel: threading.Event,
        options: StreamOptions,
    ) -> None:
        super().__init__(context, operation, timeout, options)
        self._client = client
        self._cancel = cancel
        self._link: Link | None = None

    def cancel(self) -> None:
        self._cancel.set()

    @property
    def _cancelled(self) -> bool:
        return self._cancel.is_set()

    def _exchange(self, send: Send) -> Response:
        self._end()  # an attempt that failed
        self._link = link = self._client.take(send, self._cancel)
        link.begin(send)
        self._over = link.machine.finished
        response = link.response()
        if response.stream is not None:
            return response
        response = link.finish(send)
        self._end()
        return response

    def _read(self, machine: RunStream, timeout: float) -> None:
        assert self._link is not None
        assert self._send is not None
        self._link.receive(self._send, timeout)
        self._over = self._link.machine.finished

    def _sleep(self, seconds: float) -> None:
        self._client.sleep(seconds)

    def _end(self) -> None:
        self._over = True
        link, self._link = self._link, None
        if link is not None:
            self._client.give_back(link)
