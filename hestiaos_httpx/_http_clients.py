"""The httpx clients of one of our clients: one for each process and event loop, or the one that the user gave.

A connection belongs to the process and the event loop in which it was made, so each has its own. Thus our client can be
used after a fork and in several event loops, one after another or in several threads.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

from hestiaos_httpx._http import Http, new_client
from hestiaos_httpx._library import BASE, library_of
from hestiaos_httpx._pool import Pool
from hestiaos_httpx._route import Route
from hestiaos_httpx._scopes import Scope
from hestiaos_proto import LocalProtocolError

__all__ = ["HttpClients"]


class HttpClients:
    """Manages the httpx clients, one for each process and event loop.

    `transport` and `http_client` are of httpx or httpx2, and are the user's: an `http_client` stays open. Without them
    our own connections take `route`. Raises `TypeError` for an object of neither library, or of the other kind.
    """

    def __init__(self, route: Route | None, *, transport: object, http_client: object, asynchronous: bool) -> None:
        if transport is not None and http_client is not None:
            raise TypeError("give a transport or an http_client, not both")
        self.closed: bool = False
        self._route = route
        given, name, self._kind = transport, "transport", "BaseTransport"
        if http_client is not None:
            given, name, self._kind = http_client, "http_client", "Client"
        self._given: Any = given
        kind = f"Async{self._kind}" if asynchronous else self._kind
        self._library = BASE if given is None else library_of(given, name, kind)
        self._process = os.getpid()
        self._made: dict[tuple[int, int], Http] = {}  # by process, and the id of the event loop
        # A script may not close its client: its sockets are closed when it is garbage-collected, or at the exit.
        weakref.finalize(self, _end_all, self._made)

    def for_threads(self) -> Http:
        """Return the client for the threads of this process.

        Raises `LocalProtocolError` after a close, and if the user's client or transport is of the other kind.
        """
        return self._get(Scope, None)

    def for_tasks(self) -> Http:
        """Return the client for the running event loop. Raises like `for_threads`, and `RuntimeError` without one."""
        from hestiaos_httpx._tasks import TaskScope, current_loop

        return self._get(TaskScope, current_loop())

    def _get(self, scope: type[Scope], loop: object) -> Http:
        self._check_open()
        key = os.getpid(), id(loop)
        http = self._made.get(key)
        if http is None or not http.serves(loop):
            for each, other in list(self._made.items()):
                if other.has_ended() and self._made.pop(each, None) is not None:  # another thread may do it too
                    other.abandon()
            http = self._made.setdefault(key, self._new(scope, loop))
        return http

    def _check_open(self) -> None:
        if self.closed:
            raise LocalProtocolError("the client is closed: make a new one")
        http = self._library.http
        locking = http.Client, http.AsyncClient, http.HTTPTransport, http.AsyncHTTPTransport
        if self._process != os.getpid() and isinstance(self._given, locking):  # a lock may stay locked forever
            raise LocalProtocolError(
                "the given client or transport belongs to the process before the fork: make another one"
            )

    def _new(self, scope: type[Scope], loop: object) -> Http:
        library, given, asynchronous = self._library, self._given, scope.asynchronous
        if self._route is not None:
            pool = Pool(self._route, scope)
            return Http(scope, library, new_client(library, pool, asynchronous=asynchronous), pool, loop)
        if not isinstance(given, getattr(library.http, f"Async{self._kind}" if asynchronous else self._kind)):
            other = "the methods without _async" if asynchronous else "the …_async methods"
            raise LocalProtocolError(f"the {type(given).__name__} that was given cannot serve this call: use {other}")
        client = given if self._kind == "Client" else new_client(library, given, asynchronous=asynchronous)
        return Http(scope, library, client, None, loop)

    def close(self) -> None:
        """Close every connection of all threads and event loops, those in use too. It does not wait.

        A synchronous transport of the user is closed too.
        """
        self.closed = True
        _end_all(self._made)
        given = self._given
        if isinstance(given, self._library.http.BaseTransport) and self._process == os.getpid():
            self._given = None
            given.close()

    async def aclose(self) -> None:
        """Close like `close`, including an asynchronous transport of the user."""
        from anyio.lowlevel import checkpoint

        from hestiaos_httpx._tasks import current_loop

        given = self._given
        self.close()
        if (here := self._made.get((os.getpid(), id(current_loop())))) is not None:
            here.end()  # now, not soon
        if isinstance(given, self._library.http.AsyncBaseTransport) and self._process == os.getpid():
            self._given = None
            await given.aclose()
        await checkpoint()  # let the transports close


def _end_all(made: dict[tuple[int, int], Http]) -> None:
    for http in list(made.values()):
        http.end_soon()
