"""Asynchronous clients of every kind with few connections, work for them, and a look at their places afterwards."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio
import pytest
import trio
from attrs import frozen

from hestiaos import AsyncClient, AsyncioClient, TrioClient
from tests.support.broad import BROAD
from tests.support.http_library import http
from tests.support.leftovers import open_things

PATIENCE = 20.0  # seconds; a place that is lost is noticed by waiting for so long

Open = Callable[..., AbstractAsyncContextManager[Any]]


@frozen
class Kind:
    """One kind of client on one event loop; `open(url, context, places, **options)` makes one for a block."""

    name: str
    backend: str
    open: Open


def _options(options: dict[str, Any]) -> dict[str, Any]:
    return {"timeout": PATIENCE, "retries": 0} | options


@asynccontextmanager
async def _over_httpx(url: str, context: ssl.SSLContext | None, places: int, **options: Any) -> AsyncIterator[Any]:
    limits = http.Limits(max_connections=places)
    async with AsyncClient(url, limits=limits, verify=context or True, **_options(options)) as client:
        yield client


@asynccontextmanager
async def _over_httpx2(url: str, context: ssl.SSLContext | None, places: int, **options: Any) -> AsyncIterator[Any]:
    """A client of httpx2's that is given: its connections are its own."""
    httpx2 = import_module("httpx2")
    limits = httpx2.Limits(max_connections=places)
    async with (
        httpx2.AsyncClient(limits=limits, verify=context or True, trust_env=False) as given,
        AsyncClient(url, http_client=given, **_options(options)) as client,
    ):
        yield client


@asynccontextmanager
async def _over_asyncio(url: str, context: ssl.SSLContext | None, places: int, **options: Any) -> AsyncIterator[Any]:
    async with AsyncioClient(url, max_connections=places, ssl_context=context, **_options(options)) as client:
        yield client


@asynccontextmanager
async def _over_trio(url: str, context: ssl.SSLContext | None, places: int, **options: Any) -> AsyncIterator[Any]:
    async with TrioClient(url, max_connections=places, ssl_context=context, **_options(options)) as client:
        yield client


OWN = [
    Kind("httpx on asyncio", "asyncio", _over_httpx),
    Kind("trio", "trio", _over_trio),
    Kind("httpx on trio", "trio", _over_httpx),
    Kind("asyncio", "asyncio", _over_asyncio),
]
"""Those whose connections are ours."""

GIVEN = [Kind("given httpx2 on asyncio", "asyncio", _over_httpx2), Kind("given httpx2 on trio", "trio", _over_httpx2)]
"""Those whose connections are the library's; httpx's own loses places (encode/httpcore#1093), httpx2's does not."""


def params(kinds: list[Kind]) -> list[Any]:
    """The kinds as pytest's parameters, one of them not `broad`; what is not installed is skipped."""
    no_httpx2 = pytest.mark.skipif(find_spec("httpx2") is None, reason="httpx2 is not installed")
    return [
        pytest.param(each, id=each.name, marks=[no_httpx2] * (each in GIVEN) + [BROAD] * (each not in kinds[:1]))
        for each in kinds
    ]


async def one_call(client: Any) -> None:
    assert (await client.run_async("x")).result == "r"


async def one_stream(client: Any) -> None:
    async with client.run_stream("x") as stream:
        assert [event.type async for event in stream][-1] == "done"


async def half_a_stream(client: Any) -> None:
    async with client.run_stream("x") as stream:
        assert (await anext(stream)).type == "start"


async def check_places(client: Any, places: int) -> None:
    """As many streams as there are places are under way at once; the server holds each until it is closed."""
    streams = [client.run_stream("hold") for _ in range(places)]
    for stream in streams:
        assert (await anext(stream)).type == "start"
    for stream in streams:
        await stream.aclose()
    await one_call(client)


def _task_count(backend: str) -> int:
    return len(asyncio.all_tasks()) if backend == "asyncio" else trio.lowlevel.current_statistics().tasks_living


class Leftovers:
    """What is open before a piece of work, and is all that may be open after it: descriptors, threads and tasks."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._things = open_things()
        self._tasks = _task_count(backend)

    async def check(self, what: str) -> None:
        """Wait until no other file is open: the server is in this process, and closes its end when it hears of it."""
        end = time.monotonic() + PATIENCE
        while True:
            left, tasks = open_things() - self._things, _task_count(self._backend) - self._tasks
            if not left and tasks <= 0:
                return
            assert time.monotonic() < end, f"{what}: left are {left}, and {tasks} tasks"
            await anyio.sleep(0.001)
