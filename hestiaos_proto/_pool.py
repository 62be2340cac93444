"""The bookkeeping of a pool of kept-alive connections: who may use which, and what has to be closed.

No I/O, no clock and no lock. An exchange takes a `Lease`, waits until it is its turn, acquires a kept connection or
opens one, and releases or discards it:

    lease = Lease(wake)
    pool.enqueue(lease)                           # takes its place in the queue
    while not pool.admits(lease): ...             # wait until `wake` is called, then ask again
    connection = pool.acquire(lease)              # kept alive from an earlier exchange, or None:
    connection = open_one(); pool.opened(lease, connection)
    ...
    pool.release(lease)                           # the connection is kept for the next exchange
    pool.discard(lease)                           # or it is not kept: the caller closes it
    for connection in pool.surplus(): ...         # close connections that are not kept any longer

Threads need no lock, and Ctrl-C can come between any two lines: each step is one operation of a `dict`, which is atomic
in CPython, and there is no counter; the places in use are the leases that are alive. A lease that is garbage-collected,
because an exception dropped the variables of a frame, frees its place, and `surplus` returns its connection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from itertools import count, islice
from typing import Any, Generic, TypeVar
from weakref import ref

__all__ = ["ConnectionPool", "Lease"]

C = TypeVar("C", bound=Hashable)

_KEYS = count()
_RETIRED = -1  # the owner, instead of a lease, of a connection that is being removed from the pool


class Lease(Generic[C]):
    """The right of one exchange to one connection, from its place in the queue to its end.

    `wake` is called, from any thread and maybe more than once, when `ConnectionPool.admits` may have become true.
    `connection` is the connection that it has acquired or opened, or `None`. An exchange that stores its lease before
    it enqueues it can discard it after any interrupt.
    """

    __slots__ = ("__weakref__", "_key", "_wake", "connection")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.connection: C | None = None
        self._key = next(_KEYS)
        self._wake: Callable[[], object] | None = wake


class ConnectionPool(Generic[C]):
    """At most `max_connections` leases are admitted at a time, in the order in which they were enqueued.

    At most `max_keepalive` connections are kept without being in use; `None` means no limit for either. `usable` says
    whether a kept connection can serve another exchange: it is not too old, and the server has not closed it.
    """

    def __init__(self, max_connections: int | None, max_keepalive: int | None, *, usable: Callable[[C], bool]) -> None:
        self.closed: bool = False
        self._max_connections = max_connections
        self._max_keepalive = max_keepalive
        self._usable = usable
        self._leases: dict[int, ref[Lease[C]]] = {}  # in the order of the queue; the first of them are admitted
        self._dropped: dict[int, object] = {}  # the keys of garbage-collected leases, until `surplus` has seen them
        self._owners: dict[C, int] = {}  # by connection in use, the key of its lease
        self._retired: dict[C, None] = {}  # being removed
        self._idle: dict[C, None] = {}  # the one that was released last is last

    def enqueue(self, lease: Lease[C]) -> None:
        """Put the lease at the end of the queue."""
        # A callback written in Python could be interrupted itself: a method of dict cannot.
        dropped: Callable[[Any], object] = partial(self._dropped.setdefault, lease._key)
        self._leases[lease._key] = ref(lease, dropped)

    def admits(self, lease: Lease[C]) -> bool:
        """Return whether this lease is admitted. It then stays admitted; in a closed pool every lease is.

        A lease that is garbage-collected does not wake others: if that can happen, ask at intervals.
        """
        for key in list(self._dropped):
            self._leases.pop(key, None)
        most = self._max_connections
        admitted = most is None or self.closed or len(self._leases) <= most or lease._key in islice(self._leases, most)
        if admitted:
            lease._wake = None
        return admitted

    def acquire(self, lease: Lease[C]) -> C | None:
        """Assign the kept connection that was used last to the lease; `None` if one has to be opened."""
        for connection in reversed(list(self._idle)):
            if self._owners.setdefault(connection, lease._key) != lease._key:
                continue  # another thread has just taken it
            if self._idle.pop(connection, self) is not None:
                del self._owners[connection]  # another thread took it and gave it up before
                continue
            if self._usable(connection):
                lease.connection = connection
                return connection
            self._retire(connection)
        return None

    def opened(self, lease: Lease[C], connection: C) -> None:
        """Assign a new connection to the lease. If the pool was closed meanwhile, discard it."""
        self._owners[connection] = lease._key
        lease.connection = connection

    def release(self, lease: Lease[C]) -> None:
        """End the lease and keep its connection. A second call does nothing."""
        connection, lease.connection = lease.connection, None
        if connection is not None:
            if self.closed:
                self._retire(connection)
            else:
                self._idle[connection] = None
                self._owners.pop(connection, None)
        self._end(lease)

    def discard(self, lease: Lease[C]) -> None:
        """End the lease and remove its connection, which the caller closes. A second call does nothing."""
        connection, lease.connection = lease.connection, None
        if connection is not None:
            self._owners.pop(connection, None)
        else:  # unless an interrupt occurred between the connection and the lease
            self._dropped.setdefault(lease._key, None)
        self._end(lease)

    def surplus(self) -> list[C]:
        """Remove and return the connections to be closed: of dropped leases, unusable, or over the limit."""
        idle = list(self._idle)
        most = len(idle) if self._max_keepalive is None else self._max_keepalive
        for place, connection in enumerate(idle):
            # The oldest come first, so that the first which can be kept ends the search.
            if len(idle) - place <= most and not self.closed and (len(idle) == 1 or self._usable(connection)):
                break
            if self._owners.setdefault(connection, _RETIRED) == _RETIRED:
                self._retired[connection] = None
        connections = list(self._retired)
        keys = set(self._dropped)
        if keys:
            connections += [connection for connection, key in list(self._owners.items()) if key in keys]
        for connection in connections:
            self._idle.pop(connection, None)
            self._owners.pop(connection, None)
            self._retired.pop(connection, None)
        for key in keys:
            self._leases.pop(key, None)
            self._dropped.pop(key, None)
        return connections

    def close(self) -> list[C]:
        """Admit every lease, keep no connection from now on, and return all of them, those in use too, to be closed."""
        self.closed = True
        connections = list(dict.fromkeys([*self._idle, *self._owners]))
        self._idle.clear()
        self._notify(list(self._leases.values()))
        return connections

    def _retire(self, connection: C) -> None:
        self._retired[connection] = None
        self._owners[connection] = _RETIRED

    def _end(self, lease: Lease[C]) -> None:
        self._leases.pop(lease._key, None)
        if self._max_connections is not None and len(self._leases) >= self._max_connections:
            self._notify(list(self._leases.values())[: self._max_connections])

    @staticmethod
    def _notify(leases: list[ref[Lease[C]]]) -> None:
        for each in leases:
            lease = each()
            if lease is not None and (wake := lease._wake) is not None:
                wake()
