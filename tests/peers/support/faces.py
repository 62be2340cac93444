"""One face for every client, so that a scenario is written once, as a coroutine function that takes a face's client."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from operator import attrgetter
from typing import Any

import anyio
from attrs import frozen

from hestiaos import AsyncClient, AsyncioClient, Client, StreamEvent, TrioClient

__all__ = ["FACES", "Face", "FacedClient", "FacedStream", "command_line"]


class FacedStream:
    """A stream of either kind, read by coroutines."""

    def __init__(self, stream: Any, *, synchronous: bool) -> None:
        self.stream = stream
        self._synchronous = synchronous

    async def next(self) -> StreamEvent | None:
        """The next event, `None` at the end."""
        event: StreamEvent | None
        event = next(self.stream, None) if self._synchronous else await anext(self.stream, None)
        return event

    async def types(self) -> list[str]:
        """The types of the events up to the end."""
        types: list[str] = []
        while (event := await self.next()) is not None:
            types.append(event.type)
        return types

    async def leave(self) -> None:
        """Leave the `with` block of a stream that is not over."""
        if self._synchronous:
            with self.stream:
                pass
        else:
            async with self.stream:
                pass


class FacedClient:
    """A client of either kind, called by coroutines."""

    def __init__(self, client: Any, *, synchronous: bool) -> None:
        self._client = client
        self._synchronous = synchronous

    async def call(self, name: str, *arguments: Any) -> Any:
        """What the method of this name comes to, `…_async` where that is the client's kind."""
        if self._synchronous:
            return attrgetter(name)(self._client)(*arguments)
        return await attrgetter(f"{name}_async")(self._client)(*arguments)

    def stream(self, *arguments: Any, **kwargs: Any) -> FacedStream:
        """What `run_stream` returns."""
        return FacedStream(self._client.run_stream(*arguments, **kwargs), synchronous=self._synchronous)


Scenario = Callable[[FacedClient], Awaitable[None]]


@frozen
class Face:
    """A kind of client, and the event loop that it runs on; `None` where it needs none."""

    name: str
    kind: Any
    tls_argument: str
    backend: str | None = None

    def run(self, scenario: Scenario, url: str, *, tls: ssl.SSLContext | None = None, **arguments: Any) -> None:
        """Run the scenario with a client for this URL. Without `retries` nothing is repeated."""
        arguments = {"retries": 0} | ({} if tls is None else {self.tls_argument: tls}) | arguments
        if self.backend is None:
            with self.kind(url, **arguments) as client:
                _run_without_waiting(scenario(FacedClient(client, synchronous=True)))
            return

        async def main() -> None:
            async with self.kind(url, **arguments) as client:
                await scenario(FacedClient(client, synchronous=False))

        anyio.run(main, backend=self.backend)


def _run_without_waiting(coroutine: Awaitable[None]) -> None:
    assert isinstance(coroutine, Coroutine)
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("a scenario of a synchronous client waited for an event loop")


FACES = [
    Face("Client", Client, "verify"),
    Face("AsyncClient-asyncio", AsyncClient, "verify", "asyncio"),
    Face("AsyncClient-trio", AsyncClient, "verify", "trio"),
    Face("AsyncioClient", AsyncioClient, "ssl_context", "asyncio"),
    Face("TrioClient", TrioClient, "ssl_context", "trio"),
]


def command_line(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What `hestiaos …` comes to, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hestiaos_cli", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environ,
    )
