"""httpx or httpx2, its maintained successor: which of the two an object belongs to.

Where both are installed our own clients stand on httpx, the frozen transport. A client or transport of either may be
given to us, and is used with its own library's requests and exceptions.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
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

__all__ = ["BASE", "Library", "httpx", "is_patched", "library_of"]


class _Body:
    """A body that is there, as an asynchronous iterator. httpx's is a generator, and trio warns of one not finished."""

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
    """One of the two, and the connections under it: httpcore for httpx, httpcore2 for httpx2."""

    def __init__(self, http: Any) -> None:
        self.http = http
        self.body: Any = type("Body", (_Body, http.AsyncByteStream), {})  # an asynchronous one that is there
        self.forkless: tuple[Any, Any] = (http.HTTPTransport, http.AsyncHTTPTransport)  # which do not survive a fork
        # What it raises where no response comes; the last two for a text that is not a URL.
        self.errors: tuple[type[Exception], ...] = (http.HTTPError, http.InvalidURL, UnicodeError)

    @property
    def core(self) -> Any:
        """The module of its connections, loaded when one is first made: it loads trio where that is installed."""
        return import_module(self.http.__name__.replace("httpx", "httpcore"))


BASE = Library(httpx)
_LIBRARIES = {httpx.__name__: BASE}


def library_of(given: Any, name: str, kind: str) -> Library:
    """The library of what was given as the argument `name`.

    Raises `TypeError` where it is not of the class `kind` of one of the two.
    """
    for module in ("httpx", "httpx2"):
        http = sys.modules.get(module)  # what was never imported has no instances
        if http is not None and isinstance(given, getattr(http, kind)):
            return _LIBRARIES.setdefault(module, Library(http))
    kind_of = given if isinstance(given, type) else type(given)
    told = f"{'the class ' if kind_of is given else ''}{kind_of.__module__}.{kind_of.__qualname__}"
    raise TypeError(f"{name} must be a {kind} of httpx or httpx2, not {told}")


def is_patched(owner: type, method: str) -> bool:
    """Whether somebody has put another function in the place of a method of one of the libraries' classes."""
    function = getattr(owner, method)
    # Its name and its module are copied to a wrapper, and wrapt's shows every attribute of what it wraps.
    if type(function) is not FunctionType:
        return True
    home: str = function.__globals__["__name__"]
    return home.partition(".")[0] != owner.__module__.partition(".")[0]
