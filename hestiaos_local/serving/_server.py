"""The TCP server: it accepts clients, disconnects those that are too slow, and stops on a signal."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection
from contextlib import ExitStack
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

from anyio import Event, create_task_group, move_on_after, sleep, sleep_forever, to_thread, wait_readable
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from hestiaos_local._platform import Platform
from hestiaos_local.keys import Keys, accepted_keys
from hestiaos_local.serving._access import Access
from hestiaos_local.serving._connection import IDLE, ClientConnection
from hestiaos_local.serving._listeners import base_url, listen
from hestiaos_local.serving._request_log import ServedRequest
from hestiaos_local.serving._service import Service
from hestiaos_local.serving._signals import Signals
from hestiaos_local.serving._sockets import ClientSocket

__all__ = ["serve"]

# In seconds:
_TICK = 1.0  # how often to check for slow clients
_GRACE = 8.0  # how long clients may take to read their last responses while the server stops
_ACCEPT_AGAIN = 0.1  # the pause when out of file descriptors, without idle connections to close
_ROOM_IS_MADE = 0.01  # the pause until idle connections have closed

_SPARED = 16  # how many idle connections to close at once when out of file descriptors
_AT_ONCE = 1000  # how many clients to accept before other tasks have their turn
_EXHAUSTED = (EMFILE, ENFILE, ENOBUFS, ENOMEM)

Reload = Callable[[], Callable[[], object] | None]
"""Reads the configuration again. Returns a function that applies it, or None if there is nothing to apply."""

_log = logging.getLogger("hestiaos_local")


async def serve(
    platform: Platform,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    keys: Keys | None = None,
    token_delay: float = 0.02,
    heartbeat: float = 15.0,
    grace: float = 30.0,
    on_listening: Callable[[str], None] | None = None,
    allow_origins: Collection[str] = (),
    handle_signals: bool = False,
    reload: Reload | None = None,
    on_request: Callable[[ServedRequest], object] | None = None,
) -> None:
    """Serve `platform` until cancelled, on asyncio or trio.

    Port 0 selects a free port. `on_listening` is called with the base URL as soon as clients can connect.

    The echo executor waits `token_delay` seconds before each `token` event, like a model. A stream gets a comment after
    `heartbeat` seconds without an event. If a client loses its connection and can resume the stream, its run continues
    for `grace` seconds without a client, and for as long as a client follows it.

    With an `api_key`, every request except for health must have it; with `keys`, one of them with a role for the
    operation. Requests from web pages are accepted only if their origin is the server's own or one of `allow_origins`,
    each like `https://example.com`. `on_request` is called with each request when its response has ended or its client
    has disconnected.

    With `handle_signals`, which requires the main thread, SIGTERM and SIGINT stop the server: it stops accepting
    clients, finishes what is being executed, ends open streams with `error` and `done`, and returns. A second signal
    ends the process. On SIGHUP, `reload` is called in a thread to read files. The function that it returns is called in
    the event loop, between steps of requests; it may configure the platform (`Platform.reload`) and replace the `keys`.
    If one of the two raises, the error is logged and the server continues as before. If SIGHUP means that the server's
    terminal was closed, the server stops.

    Raises `ValueError` for an invalid argument, such as a host that is not loopback without an API key, and
    `ServeError`, an `OSError`, if the server cannot listen on the address.
    """
    access = Access(accepted_keys(api_key, keys), host, allow_origins)
    service = Service(platform, access, token_delay, heartbeat, on_request=on_request, grace=grace)
    with ExitStack() as opened:
        signals = opened.enter_context(Signals(reload=reload is not None)) if handle_signals else None
        platform.prepare()  # so that no request has to wait for it
        listeners = await listen(host, port, protected=access.keys is not None)
        for listener in listeners:
            opened.enter_context(listener)
        if on_listening is not None:
            on_listening(base_url(host, listeners))
        await _Server(service, reload).run(listeners, signals)


class _Server:
    """The connected clients, and the tasks that concern all of them."""

    def __init__(self, service: Service, reload: Reload | None) -> None:
        self._service = service
        self._reload = reload
        self._clients: set[ClientConnection] = set()
        self._exhausted = False  # accepting has failed for lack of file descriptors or memory
        self._empty: Event | None = None  # set when a stopping server has no clients left

    async def run(self, listeners: list[socket.socket], signals: Signals | None) -> None:
        """Serve until a signal to stop, or until cancelled."""
        async with create_task_group() as tasks:
            tasks.start_soon(self._end_slow_clients)
            async with create_task_group() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, tasks)
                await (sleep_forever() if signals is None else self._wait_for_stop(signals))
                accepting.cancel_scope.cancel()
            for listener in listeners:
                listener.close()
            await self._stop()
            tasks.cancel_scope.cancel()

    async def _wait_for_stop(self, signals: Signals) -> None:
        """Reload at each signal to reload, and return at a signal to stop."""
        while not await signals.wait():
            assert self._reload is not None, "SIGHUP is handled only if there is a `reload`"
            try:
                if (apply := await to_thread.run_sync(self._reload)) is not None:
                    apply()
            except Exception:
                _log.exception("reloading failed; the configuration in use stays")

    async def _stop(self) -> None:
        """Wait until the responses in progress have been sent."""
        self._empty = Event()
        for client in [*self._clients]:
            client.stop()
        if self._clients:
            with move_on_after(_GRACE):
                await self._empty.wait()

    async def _serve(self, client: ClientConnection) -> None:
        try:
            await client.serve()
        finally:
            self._clients.discard(client)
            if self._empty is not None and not self._clients:
                self._empty.set()

    async def _end_slow_clients(self) -> None:
        """End the connections of clients that the server has waited for too long."""
        while True:
            await sleep(_TICK)
            for client in [*self._clients]:
                client.time_left -= _TICK
                if client.time_left <= 0:
                    client.end()

    async def _accept(self, listener: socket.socket, tasks: TaskGroup) -> None:
        """Accept all waiting clients whenever there are any. One per turn of the event loop would delay the others."""
        while True:
            await wait_readable(listener)
            for _ in range(_AT_ONCE):
                if not await self._accept_one(listener, tasks):
                    break
            await checkpoint()

    async def _accept_one(self, listener: socket.socket, tasks: TaskGroup) -> bool:
        """Accept one client, if one is waiting. Return whether there may be more."""
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            self._exhausted = False
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                await self._make_room(error)
            return False  # any other error means that this client has already disconnected
        client = ClientConnection(ClientSocket(sock), self._service)
        self._clients.add(client)
        tasks.start_soon(self._serve, client)
        return True

    async def _make_room(self, error: OSError) -> None:
        """Close idle connections and wait. New clients stay in the system's queue meanwhile."""
        if not self._exhausted:
            self._exhausted = True
            _log.warning("no more clients can be accepted until others disconnect: %s", error.strerror)
        idle = [client for client in self._clients if client.idle and client.time_left <= IDLE - _TICK]
        for client in sorted(idle, key=lambda client: client.time_left)[:_SPARED]:
            client.end()
        await sleep(_ROOM_IS_MADE if idle else _ACCEPT_AGAIN)
