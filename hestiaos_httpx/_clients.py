"""`Client` and `AsyncClient`."""

from __future__ import annotations

import logging
import os
import random
import ssl
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar, Self, Unpack

from hestiaos_httpx._executor import AsyncEventStream, EventStream, Executor
from hestiaos_httpx._limits import Limits
from hestiaos_proto import (
    AsyncStreams,
    ClientBase,
    Hooks,
    Interceptor,
    ModeHint,
    Operation,
    RunStream,
    Runtime,
    StreamingChat,
    StreamOptions,
    operations,
)

__all__ = ["AsyncClient", "Client"]


class _Client(ClientBase):
    """Each operation is a method and, with `_async` at the end of its name, a coroutine.

    The methods use httpx's synchronous client, so they work inside a running event loop too. The coroutines run on
    asyncio and trio. `close` and `aclose` both close everything.

    `base_url` is by default `$HESTIAOS_BASE_URL`, else `http://localhost:8000`; `api_key` is by default
    `$HESTIAOS_API_KEY`. `timeout` bounds each connect, read and write, `deadline` a whole call with its retries, in
    seconds. (The `timeout` of `run_stream` bounds the whole stream.) A call is repeated at most `retries` times.
    `headers` are sent with every request, `hooks` are called during each call. `strict` is whether the order of a
    stream's events is enforced. A `cassette` records what is sent and received, or replays it without a network.

    `transport` or `http_client`, of httpx or of httpx2, carries every request instead of our own connections, with its
    own limits: there a synchronous `deadline` or `cancel` acts between two reads only, and a cancellation is as safe as
    in that library. Otherwise `verify` and `limits` are as in httpx, and a proxy of the environment is used
    (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), through TLS if its URL is https; SOCKS needs `socksio`.
    The environment is read once, here.

    Raises `ValueError` for an argument or a variable of the environment that is wrong, `TypeError` for an argument of
    the wrong type.
    """

    _environ: ClassVar[Mapping[str, str]] = os.environ
    _runtime: ClassVar[Runtime] = Runtime(
        time.monotonic, time.time, random.SystemRandom(), logging.getLogger("hestiaos.calls")
    )
    _asynchronous: ClassVar[bool]

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        *,
        deadline: float | None = None,
        transport: object = None,
        http_client: object = None,
        verify: ssl.SSLContext | bool = True,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
        strict: bool = True,
        cassette: Interceptor | None = None,
    ) -> None:
        context = self._configure(locals())
        # httpx is loaded with the first client, as httpcore is with httpx's: to name the classes takes neither.
        from hestiaos_httpx._http_clients import HttpClients
        from hestiaos_httpx._route import Route

        given = transport is not None or http_client is not None
        self._http_clients = HttpClients(
            None if given else Route(context.config, verify=verify, limits=limits),
            transport=transport,
            http_client=http_client,
            asynchronous=self._asynchronous,
        )
        self._executor = Executor(context, self._http_clients)
        self._serve(self._executor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    def close(self) -> None:
        """Close every connection, those in use too. The client cannot be used again. A second call does nothing."""
        self._http_clients.close()

    async def aclose(self) -> None:
        """Close like `close`, in an event loop."""
        await self._http_clients.aclose()


class Client(_Client):
    """The client for scripts, threads and the command line; closed by `close` or a `with` block."""

    __doc__ = f"{__doc__}\n\n    {_Client.__doc__}"

    _asynchronous = False

    @property
    def chat(self) -> StreamingChat[EventStream]:
        """Chat: `client.chat.run("Hello!")`, `client.chat.stream("Hello!")`."""
        return StreamingChat(self._executor, self._new_stream)

    def run_stream(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        timeout: float | None = None,
        *,
        cancel: threading.Event | None = None,
        **options: Unpack[StreamOptions],
    ) -> EventStream:
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return EventStream(self._executor, operation, timeout, cancel, options)

    run_stream.__doc__ = f"""{AsyncStreams.run_stream.__doc__}
        Setting `cancel` ends the iteration within 100 ms and without an error; `EventStream.cancel` does so at once.
        """

    def _new_stream(
        self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> EventStream:
        return EventStream(self._executor, operation, timeout, None, options)


class AsyncClient(AsyncStreams[AsyncEventStream], _Client):
    """The client for event loops, asyncio's and trio's; closed by `aclose` or an `async with` block."""

    __doc__ = f"{__doc__}\n\n    {_Client.__doc__}"

    _asynchronous = True

    @property
    def chat(self) -> StreamingChat[AsyncEventStream]:
        """Chat: `await client.chat.run_async("Hello!")`, `client.chat.stream("Hello!")`."""
        return StreamingChat(self._executor, self._new_stream)

    def _new_stream(
        self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> AsyncEventStream:
        return AsyncEventStream(self._executor, operation, timeout, options)
