"""Errors for uses of a stream or a client that only the other kind supports; Python's own do not say what to write.

Type checkers do not see these methods, so that they still refuse such uses. At run time each stream is an instance
of both `Iterable` and `AsyncIterable`, and of `Awaitable`: ask whether it is an `EventStreamBase` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

__all__ = ["CoroutinesOnly", "NotAsynchronous", "NotSynchronous", "NotSynchronousClient"]


def _refuse(advice: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *args: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {advice}")

    refuse.__doc__ = f"Raise `TypeError`: it {advice}."
    return refuse


def _missing(owner: object, name: str, instead: str | None) -> AttributeError:
    hint = "" if instead is None else f": use {instead}"
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=owner)


class NotAsynchronous:
    """A stream for threads."""

    if not TYPE_CHECKING:  # pragma: no branch  # only type checkers go the other way
        __await__ = _refuse("is not awaitable: write `for event in client.run_stream(…)`, without `await`")
        __aiter__ = __anext__ = _refuse("is synchronous: write `for`, without `async`, or use AsyncClient")
        __aenter__ = __aexit__ = _refuse("is synchronous: write `with`, without `async`, or use AsyncClient")

        def __getattr__(self, name: str) -> NoReturn:
            """Raise `AttributeError` that says what to use instead."""
            raise _missing(self, name, "`close()`" if name == "aclose" else None)


class NotSynchronous:
    """A stream for event loops."""

    if not TYPE_CHECKING:  # pragma: no branch
        __await__ = _refuse("is not awaitable: write `async for event in client.run_stream(…)`, without `await`")
        __iter__ = __next__ = _refuse("is asynchronous: write `async for`, or use Client")
        __enter__ = __exit__ = _refuse("is asynchronous: write `async with`, or use Client")

        def __getattr__(self, name: str) -> NoReturn:
            """Raise `AttributeError` that says what to use instead."""
            raise _missing(self, name, "`await stream.aclose()`" if name in ("close", "cancel") else None)


class CoroutinesOnly:
    """An object whose methods are coroutines, with names that end in `_async`."""

    if not TYPE_CHECKING:  # pragma: no branch

        def __getattr__(self, name: str) -> NoReturn:
            """Raise `AttributeError` that says what to use instead."""
            known = hasattr(type(self), f"{name}_async")
            raise _missing(self, name, f"`await …{name}_async(…)`, or Client" if known else None)


class NotSynchronousClient:
    """A client for event loops."""

    if not TYPE_CHECKING:  # pragma: no branch
        __enter__ = __exit__ = _refuse("is asynchronous: write `async with`, or use Client")
        close = _refuse("is asynchronous: use `await client.aclose()`")
