"""One class for each binding. A new binding is tested by adding its class here."""

from __future__ import annotations

import asyncio
import gc
import ssl
from functools import partial
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
import trio
from anyio.from_thread import start_blocking_portal

from hestiaos import AsyncClient, Client, HestiaError, Platform, StreamEvent
from tests.support.broad import BROAD
from tests.support.http_library import NAME, http
from tests.support.selecting import SelectorClient
from tests.support.sessions import EventStream, Session, method

__all__ = [
    "ASYNC",
    "BINDINGS",
    "BLOCKING",
    "HTTPX",
    "REMOTE",
    "HttpxAsyncio",
    "HttpxSync",
    "HttpxTrio",
    "InProcess",
    "params",
]


class _SyncStream(EventStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def native(self) -> Any:
        return self._stream

    def _next(self) -> StreamEvent:
        return next(self._stream)

    def _read_into(self, events: list[StreamEvent]) -> HestiaError | None:
        try:
            for event in self._stream:
                events.append(event)
        except HestiaError as error:
            return error
        return None

    def close(self) -> None:
        self._stream.close()

    def leave_with_block(self) -> None:
        with self._stream:
            pass

    def drop(self) -> None:
        self._stream = None
        gc.collect()


class HttpxSync(Session):
    name = "httpx sync"
    shared = True
    blocks = True

    def __init__(self, url: str, **options: Any) -> None:
        self.client = self.new_client(url, **self.options(options))

    @classmethod
    def new_client(cls, url: str, *, ssl_context: ssl.SSLContext | None = None, **options: Any) -> Any:
        return Client(url, verify=ssl_context or True, **options)

    def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return method(self.client, operation)(*args, **kwargs)

    def stream(self, *args: Any, **kwargs: Any) -> EventStream:
        return _SyncStream(self.client.run_stream(*args, **kwargs))

    def close_client(self) -> None:
        self.client.close()


class Selectors(HttpxSync):
    """A bare `selectors` loop over the core, as an embedder writes it."""

    name = "selectors"
    shared = False

    @classmethod
    def new_client(cls, url: str, **options: Any) -> Any:
        return SelectorClient(url, **options)

    def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return self.client.call(operation, *args, **kwargs)


class InProcess(HttpxSync):
    """The embedded platform without a socket; the URL is there for its form only."""

    name = "in-process"
    remote = False
    backends = ("asyncio", "trio")
    blocks = False

    def __init__(self, url: str = "http://localhost:8000", **options: Any) -> None:
        from hestiaos import LocalTransport

        self.platform = Platform()
        try:
            super().__init__(url, transport=LocalTransport(self.platform), **options)
        except ValueError:
            self.platform.close()
            raise

    def close(self) -> None:
        super().close()
        self.platform.close()

    @classmethod
    def async_client(cls, url: str, *, one_connection: bool = False, **options: Any) -> Any:
        from hestiaos import LocalTransport

        return AsyncClient(url, transport=LocalTransport(Platform()), **cls.options(options))


class _AsyncStream(EventStream):
    def __init__(self, portal: Any, stream: Any) -> None:
        self._portal = portal
        self._stream = stream

    @property
    def native(self) -> Any:
        return self._stream

    def _next(self) -> StreamEvent:
        async def next_event() -> StreamEvent | None:
            async for event in self._stream:
                return event
            return None

        event = self._portal.call(next_event)
        if event is None:
            raise StopIteration
        return event

    def _read_into(self, events: list[StreamEvent]) -> HestiaError | None:
        async def drain() -> HestiaError | None:
            try:
                async for event in self._stream:
                    events.append(event)
            except HestiaError as error:
                return error
            return None

        return self._portal.call(drain)

    def close(self) -> None:
        self._portal.call(self._stream.aclose)

    def leave_with_block(self) -> None:
        async def leave() -> None:
            async with self._stream:
                pass

        self._portal.call(leave)

    def drop(self) -> None:
        self._stream = None
        gc.collect()


class _Async(Session):
    """An asynchronous client in an event loop that runs in a thread of its own as long as the session."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = self.async_client(url, **options)
        self._running = start_blocking_portal(self.backends[0])
        self.portal = self._running.__enter__()
        self._tasks = self.portal.call(_count_tasks)

    def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return self.portal.call(partial(method(self.client, operation, "_async"), *args, **kwargs))

    def stream(self, *args: Any, **kwargs: Any) -> EventStream:
        return _AsyncStream(self.portal, self.client.run_stream(*args, **kwargs))

    def close_client(self) -> None:
        self.portal.call(self.client.aclose)

    def close(self) -> None:
        try:
            self.close_client()
            self.portal.call(_wait_for_tasks, self._tasks)
        finally:
            self._running.__exit__(None, None, None)

    @classmethod
    def call_in_main_thread(cls, url: str) -> None:
        async def main() -> None:
            async with cls.async_client(url) as client:
                await client.run_async("x")

        anyio.run(main, backend=cls.backends[0])


class HttpxAsyncio(_Async):
    name = "httpx asyncio"
    shared = True
    backends = ("asyncio",)

    @classmethod
    def async_client(
        cls, url: str, *, one_connection: bool = False, ssl_context: ssl.SSLContext | None = None, **options: Any
    ) -> Any:
        limits = http.Limits(max_connections=1) if one_connection else None
        return AsyncClient(url, verify=ssl_context or True, limits=limits, **cls.options(options))


class HttpxTrio(HttpxAsyncio):
    name = "httpx trio"
    backends = ("trio",)


class TrioStreams(_Async):
    name = "trio streams"
    backends = ("trio",)

    @classmethod
    def async_client(cls, url: str, *, one_connection: bool = False, **options: Any) -> Any:
        from hestiaos_trio import TrioClient

        return TrioClient(url, max_connections=1 if one_connection else 100, **cls.options(options))


class AsyncioProtocol(_Async):
    name = "asyncio protocol"
    backends = ("asyncio",)

    @classmethod
    def async_client(cls, url: str, *, one_connection: bool = False, **options: Any) -> Any:
        from hestiaos_asyncio import AsyncioClient

        return AsyncioClient(url, max_connections=1 if one_connection else 100, **cls.options(options))


async def _count_tasks() -> int:
    if trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


async def _wait_for_tasks(count: int) -> None:
    """Wait until there are no more tasks than that: the close of a dropped stream is a task for a moment."""
    with anyio.fail_after(30):
        while await _count_tasks() > count:  # noqa: ASYNC110  # there is no event to wait for
            await anyio.sleep(0.01)


HTTPX: tuple[type[Session], ...] = (HttpxSync, HttpxAsyncio, HttpxTrio)
BINDINGS = (*HTTPX, TrioStreams, AsyncioProtocol, Selectors, InProcess)
REMOTE = tuple(binding for binding in BINDINGS if binding.remote)
ASYNC = tuple(binding for binding in BINDINGS if binding.backends)
BLOCKING = tuple(binding for binding in BINDINGS if binding.blocks)

_NEEDED = {TrioStreams: "hestiaos_trio", AsyncioProtocol: "hestiaos_asyncio"}


def params(bindings: tuple[type[Session], ...]) -> list[Any]:
    """The bindings as pytest's parameters; one that is not there, as in a part of the packages, is skipped.

    All but the first are `broad`.
    """
    return [
        pytest.param(binding, id=binding.name, marks=_missing(binding) + [BROAD] * (binding is not bindings[0]))
        for binding in bindings
    ]


def _missing(binding: type[Session]) -> list[pytest.MarkDecorator]:
    package = _NEEDED.get(binding)
    if binding is InProcess and NAME != "httpx":
        return [pytest.mark.skip(reason="LocalTransport is httpx's")]
    return [pytest.mark.skipif(find_spec(package) is None, reason=f"there is no {package}")] if package else []
