"""httpx and httpx2, its maintained successor.

If both are installed, our own clients use httpx, the frozen transport. A user's client or transport can be of either,
and is used with the requests and exceptions of its own library.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ImportError:  # only the successor is installed
        import httpx2 as httpx

__all__ = ["BASE", "Library", "core", "httpx", "is_patched", "library_of"]


class _Body:
    """A body in memory, as an asynchronous iterator. httpx's is a generator; trio warns if one is not finished."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self._left = list(pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._left = list(self._pieces)
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class Library:
    """One of the two."""

    def __init__(self, http: Any) -> None:
        self.http = http
        self.body: Any = type("Body", (_Body, http.AsyncByteStream), {})  # an asynchronous stream of a body in memory
        # What it raises instead of a response; the last two for an invalid URL.
        self.errors: tuple[type[Exception], ...] = (http.HTTPError, http.InvalidURL, UnicodeError)


BASE = Library(httpx)
_LIBRARIES = {httpx.__name__: BASE}


@cache
def core() -> Any:
    """Return the module of our connections, httpcore or httpcore2. Imported late, since it may import trio."""
    return import_module(httpx.__name__.replace("httpx", "httpcore"))


def library_of(given: Any, name: str, kind: str) -> Library:
    """Return the library to which the argument `name` belongs.

    Raises `TypeError` if it is not an instance of the class `kind` of one of the two.
    """
    for module in ("httpx", "httpx2"):
        http = sys.modules.get(module)  # a library that is not imported has no instances
        if http is not None and isinstance(given, getattr(http, kind)):
            return _LIBRARIES.setdefault(module, Library(http))
    kind_of = given if isinstance(given, type) else type(given)
    description = f"{'the class ' if kind_of is given else ''}{kind_of.__module__}.{kind_of.__qualname__}"
    example = ", such as LocalTransport(platform)" if name == "transport" else ""
    raise TypeError(f"{name} must be a {kind} of httpx or httpx2{example}, not {description}")


def is_patched(owner: type, method: str) -> bool:
    """Return whether a method of one of the libraries' classes was replaced."""
    function = getattr(owner, method)
    # The name and module say nothing: they are copied to wrappers. wrapt's wrapper is not a function.
    if type(function) is not FunctionType:
        return True
    home: str = function.__globals__["__name__"]
    return home.partition(".")[0] != owner.__module__.partition(".")[0]
