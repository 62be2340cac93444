"""What is done over httpx is written once, for threads and for tasks: as generators that yield what they wait for.

`run` carries such steps out in a thread, `run_async` in a task of asyncio or trio. Each kind of wait is a class here,
with both ways beside each other: `block` and `wait`.
"""

from __future__ import annotations

import _thread  # its threads start without the locks of `threading`, which Ctrl-C could leave taken
import socket
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hestiaos_httpx._guard import Guard
from hestiaos_httpx._sockets import Address, wait_for

if TYPE_CHECKING:
    from hestiaos_httpx._network import Network

__all__ = ["Call", "Lookup", "Ready", "Shielded", "Steps", "Turn", "run", "run_async"]

T = TypeVar("T")


class Wait(Protocol):
    """Something to wait for."""

    def block(self) -> Any:
        """Wait in a thread."""

    async def wait(self) -> Any:
        """Wait in a task."""


Steps = Generator[Wait, Any, T]


def run(steps: Steps[T]) -> T:
    """Carry steps out in a thread."""
    try:
        step = next(steps)
        while True:
            step = _after(step, steps)
    except StopIteration as end:
        value: T = end.value
        return value
    except BaseException:  # Ctrl-C between two of these lines, of which the steps have not heard
        steps.close()
        raise


def _after(step: Wait, steps: Steps[Any]) -> Wait:
    """The next step. It is a function since CPython 3.11 leaves the line of a nested `try` out of the outer one."""
    try:
        result = step.block()
    except BaseException as error:  # Ctrl-C too: the steps clean up, and raise it again
        return steps.throw(error)
    return steps.send(result)


async def run_async(steps: Steps[T]) -> T:
    """Carry steps out in a task."""
    waited = False
    try:
        step = next(steps)
        waited = True
        while True:
            try:
                result = await step.wait()
            except GeneratorExit:  # the task is gone, nothing can be awaited
                steps.close()
                raise
            except BaseException as error:  # a cancellation too: the steps clean up, and raise it again
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        value: T = end.value
    if not waited:
        from anyio.lowlevel import checkpoint

        await checkpoint()  # other tasks get their turn, and this one can be cancelled, however fast the server is
    return value


class Call:
    """A call of httpx's, or of httpcore's: a function, or in a task a coroutine function, which `guard` can end."""

    def __init__(self, function: Callable[[], Any], guard: Guard | None = None) -> None:
        self.block = function
        self._guard = guard

    async def wait(self) -> Any:
        if self._guard is None:
            return await self.block()
        from anyio import move_on_after

        left = self._guard.deadline.left()
        try:
            with move_on_after(inf if left is None else left) as self._guard.scope:
                return await self.block()
        finally:
            self._guard.scope = None
        raise self._guard.deadline.expired_error()


class Shielded(Call):
    """A call that a cancellation does not stop."""

    async def wait(self) -> Any:
        from anyio import CancelScope

        with CancelScope(shield=True):
            return await self.block()


class Ready:
    """A network's socket can be read, or written. Raises `TimeoutError`, or `OSError` where the exchange is over."""

    def __init__(self, network: Network, sock: socket.socket, *, write: bool, until: float) -> None:
        self._network = network
        self._socket = sock
        self._write = write
        self._until = until

    def block(self) -> None:
        guard = self._network.guard
        # A connection can be ended under its reader; what has not connected yet, and an event, are looked at.
        look = guard.slice if guard.event is not None or not self._network.established else guard.left
        while not wait_for(self._socket, write=self._write, seconds=look(self._until)):
            pass

    async def wait(self) -> None:
        from anyio import wait_readable, wait_writable

        network = self._network
        try:
            await network.guard.within(self._until, wait_writable if self._write else wait_readable, self._socket)
        finally:
            if network.closing:
                network.close()


class Lookup:
    """The addresses of a host. In a thread of its own, since nothing else can be interrupted."""

    def __init__(self, guard: Guard, host: bytes, port: int, until: float) -> None:
        self._guard = guard
        self._name = host, port
        self._until = until

    def block(self) -> list[Address]:
        answer: SimpleQueue[list[Address] | Exception] = SimpleQueue()
        _thread.start_new_thread(_look_up, (*self._name, answer))
        while True:
            try:
                found = answer.get(timeout=self._guard.slice(self._until))
            except Empty:
                continue
            if isinstance(found, Exception):
                raise found
            return found

    async def wait(self) -> Any:
        from anyio import getaddrinfo

        return await self._guard.within(self._until, partial(getaddrinfo, *self._name, type=socket.SOCK_STREAM))


def _look_up(host: bytes, port: int, answer: SimpleQueue[list[Address] | Exception]) -> None:
    try:
        answer.put([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
    except Exception as error:  # raised by the one who waits
        answer.put(error)


class Turn:
    """Somebody has called `wake`. A lease that Ctrl-C has ended wakes nobody, so a thread looks now and then."""

    def __init__(self, guard: Guard, until: float, *, asynchronous: bool) -> None:
        self._guard = guard
        self._until = until
        if asynchronous:
            from anyio import Event

            self._event = Event()
            self.wake: Callable[[], object] = self._event.set
        else:
            self._queue: SimpleQueue[None] = SimpleQueue()
            self.wake = partial(self._queue.put, None)

    def block(self) -> None:
        with suppress(Empty):
            self._queue.get(timeout=self._guard.slice(self._until))

    async def wait(self) -> None:
        await self._guard.within(self._until, self._event.wait)
