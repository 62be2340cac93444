"""The limits and the waits of an exchange: in a thread by blocking, in a task of asyncio or trio by awaiting.

What is done over httpx is written once, as generators that delegate by `yield from` to the waits of a `Scope`. A task
awaits them. In a thread `run` carries them out: there they block, and their `yield` is never reached. They are not
coroutines because Ctrl-C between the making and the awaiting of one would have Python warn of it.
"""

from __future__ import annotations

import _thread  # its threads start without the locks of `threading`, which Ctrl-C could leave taken
import select
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from hestiaos_httpx._messages import Outgoing

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["Address", "Scope", "Steps", "can_wait", "run", "shut_down", "sleep"]

T = TypeVar("T")

Address = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, canonical name, address."""

Steps = Generator[Any, Any, T]
"""Work to be carried out, with its result."""

_SLICE = 0.05  # seconds between two checks: nothing in Python waits for a socket and an event at once


def run(steps: Steps[T]) -> T:
    """Carry out steps in a thread."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("these steps wait for an event loop, and there is none")


class Scope:
    """Limits one exchange: by its deadline, by `cancel`, and by the close of its client.

    This is that of a thread, whose reads end only when their socket is shut down; a set `event` ends it, too. The
    `TaskScope` of a task does the same by awaiting. A wait raises `TimeoutError`, and `OSError` if the exchange is
    over. `client` says by `closed` whether it is. `connect_timeout` bounds the connect as a whole, `read_timeout` each
    read, in seconds.
    """

    asynchronous = False

    def __init__(self, send: Outgoing[Any], client: Any, event: threading.Event | None = None) -> None:
        self.connect_timeout: float = send.timeout
        self.read_timeout: float = send.read_timeout
        self._deadline = send.deadline
        self._client = client
        self._event = event
        self._cancelled = False

    def cancel(self) -> None:
        """End the exchange."""
        self._cancelled = True

    def is_over(self) -> bool:
        """Return whether the caller has cancelled the exchange, or closed the client."""
        return self._cancelled or self._client.closed or (self._event is not None and self._event.is_set())

    def left(self, until: float) -> float:
        """Return the seconds until that time, or until the deadline, by `time.monotonic`. Raises like a wait."""
        if self.is_over():
            raise OSError("the exchange was ended by its caller")
        left = self._deadline.bound(until - time.monotonic())
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _slice(self, until: float) -> float:
        return min(_SLICE, self.left(until))

    @staticmethod
    def run(steps: Steps[T]) -> Any:
        """Carry out steps: returns their result, or in a task an awaitable for it."""
        return run(steps)

    @staticmethod
    def call_in(loop: Any, function: Callable[[], object]) -> bool:
        """Call `function`, in an event loop as soon as it runs, from any thread; false if that has ended."""
        function()
        return True

    @classmethod
    def drop(cls, loop: Any, exchange: Exchange[Any]) -> bool:
        """Close an exchange that is not referred to any more, in its event loop; false if that has ended."""
        run(exchange.close())
        return True

    def finish(self) -> None:
        """Release what belongs to the exchange, which has ended. Its connection may be used by another."""

    def close(self, sock: socket.socket) -> None:
        """Close a socket, for which a task may be waiting."""
        sock.close()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
        """Call a function of httpx's or httpcore's, or await its coroutine."""
        return function(*arguments)
        yield

    bounded_call = call
    """As `call`, for a function that does not check this scope itself. In a thread it cannot be cancelled."""

    shielded_call = call
    """As `call`, shielded from cancellation."""

    def wait_to_write(self, sock: socket.socket, until: float) -> Steps[None]:
        """Wait until a socket can be written."""
        while not can_wait(sock, write=True, seconds=self._slice(until)):
            pass
        return
        yield

    def receive(self, sock: socket.socket, max_bytes: int, until: float) -> Steps[bytes]:
        """Receive at most `max_bytes` bytes from a socket; `b""` is the end."""
        look = self.left if self._event is None else self._slice  # it can be ended by a shutdown, which no event does
        while True:
            sock.settimeout(look(until))
            try:
                return sock.recv(max_bytes)
            except TimeoutError:
                continue  # `look` raises if no time is left
        yield

    def look_up(self, host: bytes, port: int, until: float) -> Steps[list[Address]]:
        """Look up the addresses of a host."""
        # In a separate thread, since the lookup cannot be interrupted. Ctrl-C could leave the lock of a Future locked.
        outcome: SimpleQueue[tuple[list[Address], Exception | None]] = SimpleQueue()
        _thread.start_new_thread(_look_up, (host, port, outcome))
        while True:
            with suppress(Empty):
                addresses, failure = outcome.get(timeout=self._slice(until))
                if failure is not None:
                    raise failure
                return addresses
        yield

    def event(self) -> tuple[Callable[[], object], Callable[[float], Steps[object]]]:
        """Return two functions: one wakes the other, from any thread, which waits until a time, or a little less."""
        queue: SimpleQueue[None] = SimpleQueue()  # Ctrl-C cannot leave its lock taken, unlike that of an Event
        return partial(queue.put, None), partial(self._wait_for, queue)

    def _wait_for(self, queue: SimpleQueue[None], until: float) -> Steps[None]:
        with suppress(Empty):
            queue.get(timeout=self._slice(until))
        return
        yield


def _look_up(host: bytes, port: int, outcome: SimpleQueue[tuple[list[Address], Exception | None]]) -> None:
    try:
        outcome.put(([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)], None))
    except Exception as error:  # raised by the thread that waits
        outcome.put(([], error))


def sleep(seconds: float, is_over: Callable[[], bool]) -> None:
    """Let `seconds` pass in a thread, or fewer if the call was ended."""
    until = time.monotonic() + seconds
    while not is_over() and (left := until - time.monotonic()) > 0:
        time.sleep(min(_SLICE, left))


def can_wait(sock: socket.socket, *, write: bool, seconds: float) -> bool:
    """Wait until a socket can be read, or written, for at most this many seconds. Return whether it can."""
    if hasattr(select, "poll"):  # `select.select` takes no descriptor over 1023
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    ready = select.select([] if write else [sock], [sock] if write else [], [sock], seconds)
    return any(ready)


def shut_down(sock: socket.socket | None) -> None:
    """Shut down a connection while another thread reads from it; its owner closes the descriptor."""
    if sock is not None:
        with suppress(OSError):  # it may not be connected yet, or be closed already
            sock.shutdown(socket.SHUT_RDWR)
