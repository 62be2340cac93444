"""Has a fork wait until no thread is inside OpenSSL.

A child of a process with threads inherits the locks that they hold, but not the threads. One that was forked while a
thread was inside OpenSSL waits forever in its own handshake (openssl/openssl#19066).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar
from weakref import ref

__all__ = ["ForkGuard"]

P = ParamSpec("P")
T = TypeVar("T")

_PAUSE = 0.0001  # seconds
_MAX_PAUSES = 10_000  # before a fork; a second or two


class _Inside:
    """Marks a thread as inside OpenSSL until it is garbage-collected, so that no interrupt can leave the mark set."""

    __slots__ = ("__weakref__",)


class ForkGuard:
    """Keeps threads out of guarded functions during a fork, and forks waiting for those inside, for a second or two.

    `sleep` is `time.sleep`; `register` is `os.register_at_fork`, `None` if the system has no fork.
    """

    def __init__(self, sleep: Callable[[float], object], register: Callable[..., object] | None) -> None:
        self._sleep = sleep
        self._inside: dict[int, object] = {}
        self._forks: list[None] = []  # that are about to happen
        if register is not None:
            # The last `before` is called first. What is written in C cannot be interrupted, and threads may fork at
            # once.
            register(before=self._wait, after_in_child=self._inside.clear)
            forks = self._forks
            end = partial(forks.__delitem__, slice(1))  # of none, if this is called during the first fork
            register(before=partial(forks.append, None), after_in_parent=end, after_in_child=forks.clear)

    @property
    def inside(self) -> int:
        """The number of threads that are inside."""
        return len(self._inside)

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that takes locks in C."""
        inside = self._enter()
        try:
            return function(*args, **kwargs)
        finally:
            del inside  # the traceback of an exception would hold it

    def guarded(self, context: Any) -> Any:
        """Return an `ssl.SSLContext`, with the method `wrap_bio` only, whose objects have guarded methods."""
        return _Context(self, context)

    def _enter(self) -> _Inside:
        while True:
            inside = _Inside()
            key = id(inside)
            self._inside[key] = ref(inside, partial(self._inside.pop, key))
            if not self._forks:
                return inside
            del inside
            self._sleep(_PAUSE)

    def _wait(self) -> None:
        for _ in range(_MAX_PAUSES):
            if not self._inside:
                break
            self._sleep(_PAUSE)


class _Context:
    def __init__(self, guard: ForkGuard, context: Any) -> None:
        self._guard = guard
        self._context = context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> _Object:
        return _Object(self._guard, self._guard.call(self._context.wrap_bio, *args, **kwargs))


class _Object:
    """As an `ssl.SSLObject`."""

    def __init__(self, guard: ForkGuard, inner: Any) -> None:
        self._guard = guard
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return partial(self._guard.call, value) if callable(value) else value
