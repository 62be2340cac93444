"""A server from its start to its end: it accepts clients, ends those that let it wait, and stops on a signal."""

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
_TICK = 1.0  # how often is looked for clients that let the server wait
_GRACE = 8.0  # how long the clients of a server that stops may take to read their last responses
_ACCEPT_AGAIN = 0.1  # where there was no room for a client, and none could be made
_ROOM_IS_MADE = 0.01  # how long the connections that make room take to end

_SPARED = 16  # clients whose idle connections are closed at once where there is no room for others
_AT_ONCE = 1000  # how many clients are accepted before the others have their turn
_EXHAUSTED = (EMFILE, ENFILE, ENOBUFS, ENOMEM)

Reload = Callable[[], Callable[[], object] | None]
"""Reads what a server goes by anew. Returns what puts it into effect, `None` where nothing is to be."""

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

    Port 0 takes a free one; `on_listening` is called with the base URL as soon as clients can connect. `token_delay`
    seconds pass before each `token` event: a model's pace. A stream that has been silent for `heartbeat` seconds gets a
    comment. A run whose client has lost the connection, and comes back for the rest of its stream, goes on for `grace`
    seconds, and as long as it is followed. With an `api_key`, every request but one for health must bear it; with
    `keys`, one of these that has the role for it. Web pages may ask only where their origin is the server's own or one
    of `allow_origins`, each like `https://example.com`.

    `on_request` is called with each request once it is answered, a stream when it has ended, or its client has gone.

    With `handle_signals`, which needs the main thread, SIGTERM and SIGINT end it: no client is accepted any more, what
    is executed is finished, open streams get `error` and `done`, and it returns. A second signal ends the process.
    SIGHUP has `reload` called in a thread, to read files; what that returns is called between two steps of requests: it
    may set up the platform anew (`Platform.reload`) and replace the `keys`. Where one of them raises, the log says so,
    and nothing ends. Where SIGHUP means that the server's terminal is gone, it stops.

    Raises `ValueError` for an argument that cannot be, one of them a host beyond loopback without an API key, and
    `ServeError`, which is an `OSError`, where the address cannot be listened on.
    """
    access = Access(accepted_keys(api_key, keys), host, allow_origins)
    service = Service(platform, access, token_delay, heartbeat, on_request=on_request, grace=grace)
    with ExitStack() as opened:
        signals = opened.enter_context(Signals(reload=reload is not None)) if handle_signals else None
        platform.prepare()  # no request is to wait for that
        listeners = await listen(host, port, protected=access.keys is not None)
        for listener in listeners:
            opened.enter_context(listener)
        if on_listening is not None:
            on_listening(base_url(host, listeners))
        await _Server(service, reload).run(listeners, signals)


class _Server:
    """The clients that are served, and what is done with all of them."""

    def __init__(self, service: Service, reload: Reload | None) -> None:
        self._service = service
        self._reload = reload
        self._clients: set[ClientConnection] = set()
        self._exhausted = False  # no client can be accepted for now
        self._empty: Event | None = None  # set when a server that stops has no client left

    async def run(self, listeners: list[socket.socket], signals: Signals | None) -> None:
        """Serve until a signal comes, or for ever."""
        async with create_task_group() as tasks:
            tasks.start_soon(self._look_after)
            async with create_task_group() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, tasks)
                await (sleep_forever() if signals is None else self._heed(signals))
                accepting.cancel_scope.cancel()
            for listener in listeners:
                listener.close()
            await self._stop()
            tasks.cancel_scope.cancel()

    async def _heed(self, signals: Signals) -> None:
        """Reload as often as a signal says so, and return when one says to stop."""
        while not await signals.wait():
            assert self._reload is not None, "else there is no such signal"
            try:
                if (put_into_effect := await to_thread.run_sync(self._reload)) is not None:
                    put_into_effect()
            except Exception:
                _log.exception("nothing was reloaded")

    async def _stop(self) -> None:
        """Let the clients that are being answered have their answers."""
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

    async def _look_after(self) -> None:
        """End the connections of clients that have let the server wait for too long."""
        while True:
            await sleep(_TICK)
            for client in [*self._clients]:
                client.time_left -= _TICK
                if client.time_left <= 0:
                    client.end()

    async def _accept(self, listener: socket.socket, tasks: TaskGroup) -> None:
        """Accept all clients that wait, whenever there are some: one at a time, they would wait for each other."""
        while True:
            await wait_readable(listener)
            for _ in range(_AT_ONCE):
                if not await self._accept_one(listener, tasks):
                    break
            await checkpoint()

    async def _accept_one(self, listener: socket.socket, tasks: TaskGroup) -> bool:
        """Returns whether there may be more."""
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            self._exhausted = False
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                await self._make_room(error)
            return False  # else this one client has gone already
        client = ClientConnection(ClientSocket(sock), self._service)
        self._clients.add(client)
        tasks.start_soon(self._serve, client)
        return True

    async def _make_room(self, error: OSError) -> None:
        """Close what is idle, and wait: a client that connects now stays in the queue of the system."""
        if not self._exhausted:
            self._exhausted = True
            _log.warning("no client can be accepted for now, the others are served: %s", error.strerror)
        idle = [client for client in self._clients if client.idle and client.time_left <= IDLE - _TICK]
        for client in sorted(idle, key=lambda client: client.time_left)[:_SPARED]:
            client.end()
        await sleep(_ROOM_IS_MADE if idle else _ACCEPT_AGAIN)
