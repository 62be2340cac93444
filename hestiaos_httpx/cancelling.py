"""Ending a blocked read from another thread, for a cancellation or a deadline: the socket is shut down under it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from hestiaos_proto.deadline import Deadline

__all__ = ["CONNECTED", "Cancelled", "Canceller", "shut_down"]

_POLL = 0.05  # seconds between two looks at a caller's event; nothing in Python can wait for two things at once

CONNECTED = (".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")
"""The ends of httpcore's trace events that bring a connection; a proxy's have another beginning."""


class Cancelled(Exception):
    """Raised inside a call that was cancelled; it never reaches a caller."""


class Canceller:
    """Ends one stream or one call. It does not know the stream, so that a dropped stream is not kept alive by it."""

    def __init__(self) -> None:
        self.cancelled = False
        self._cancelled = threading.Event()  # the same, for those who wait
        self._over = threading.Event()
        self._network: Any = None  # an httpcore.NetworkStream
        self._lock = threading.RLock()  # a finalizer may run, and stop us, while this thread has it
        self._watcher: threading.Thread | None = None

    def cancel(self) -> None:
        """Let the stream's blocked read return now, and none begin any more."""
        self.cancelled = True
        self._cancelled.set()
        self._shut_down()

    def attach(self, network: Any) -> None:
        """Name the connection that is read from now on. Raises `Cancelled` where it is too late for that."""
        self._network = network
        self.check()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """httpcore's trace extension, which tells of a new connection before its first read."""
        if event.endswith(CONNECTED):
            network = info["return_value"]
            try:
                self.attach(network)
            except Cancelled:
                network.close()  # httpcore does not have it yet
                raise

    def check(self) -> None:
        """Raise `Cancelled` where the stream is."""
        if self.cancelled:
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """`time.sleep`, which ends in `Cancelled` where the stream is cancelled meanwhile."""
        self._cancelled.wait(seconds)
        self.check()

    def watch(self, event: threading.Event | None, deadline: Deadline) -> None:
        """Cancel as soon as `event` is set, and end what is read as soon as `deadline` has passed.

        Raises `Cancelled` where the event is set already.
        """
        if event is not None and event.is_set():
            self.cancel()
            self.check()
        if self._watcher is None and (event is not None or deadline.left() is not None):
            work = (event, deadline)
            self._watcher = threading.Thread(target=self._watch, args=work, name="hestiaos-cancel", daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        """The stream is over: nothing is watched or cancelled any more."""
        with self._lock:  # what is cancelled from now on no longer is our stream's connection
            self._network = None
        self._over.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()

    def _watch(self, event: threading.Event | None, deadline: Deadline) -> None:
        while not self._over.wait(deadline.left() if event is None else deadline.bound(_POLL)):
            if event is not None and event.is_set():
                self.cancel()
                return
            if deadline.left() == 0:
                break
        while not self._over.wait(_POLL):  # again and again: a connection may only just have been made
            self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            shut_down(self._network)


def shut_down(network: Any) -> None:
    """End a connection, an httpcore.NetworkStream or `None`, under whoever reads from it, and leave it open here."""
    connection = network.get_extra_info("socket") if network is not None else None
    if connection is not None:
        with suppress(OSError):  # it may be closed already, which is all that is wanted
            # Not ssl's own shutdown, which would take the TLS layer from under the reader's feet.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
