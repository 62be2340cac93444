"""Ways over httpx, for what watches it or takes its place: over our own connections, and over a given client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from attrs import frozen

from tests.support.bindings import HttpxAsyncio, HttpxSync, HttpxTrio
from tests.support.wire import GOOD_EVENTS

GOOD_TYPES = [each["type"] for each in GOOD_EVENTS]


@frozen
class Way:
    """A binding, over our own connections or over a given client of `library`, `"httpx"` or `"httpx2"`."""

    binding: type[HttpxSync | HttpxAsyncio]
    library: str | None = None

    @contextmanager
    def open(self, url: str, **options: Any) -> Iterator[Any]:
        """A session of the conformance suite."""
        if self.library is None:
            with self.binding(url, **options) as session:
                yield session
            return
        http = import_module(self.library)
        given = http.AsyncClient() if self.binding.backends else http.Client()
        with self.binding(url, http_client=given, **options) as session:
            try:
                yield session
            finally:
                if isinstance(session, HttpxAsyncio):
                    session.portal.call(given.aclose)
                else:
                    given.close()


def use(session: Any) -> tuple[str, list[str]]:
    """A call and a stream: the result of the one, the types of the events of the other."""
    result = session.call("run", "x").result
    events, error = session.stream("x").read()
    assert error is None
    return result, [each.type for each in events]


def ways(*libraries: str | None) -> list[Any]:
    """Every binding over each of these, as pytest's parameters; `None` is our own connections."""
    return [
        pytest.param(Way(binding, library), id=f"{binding.name}, {library or 'own'}")
        for library in libraries
        for binding in (HttpxSync, HttpxAsyncio, HttpxTrio)
    ]
