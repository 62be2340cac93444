"""`AsyncioClient`."""

from __future__ import annotations

import logging
import os
import random
import ssl
import time
from collections.abc import Mapping
from typing import ClassVar

from hestiaos_asyncio._executor import AsyncioEventStream, Executor
from hestiaos_proto import (
    AsyncTransport,
    ForkGuard,
    Hooks,
    Interceptor,
    LoopClient,
    NetworkOptions,
    Operation,
    RunStream,
    Runtime,
    StreamOptions,
    Transport,
    default_tls_context,
)

__all__ = ["AsyncioClient"]

_GUARD = ForkGuard(time.sleep, getattr(os, "register_at_fork", None))


class AsyncioClient(LoopClient[AsyncioEventStream]):
    """The client for asyncio, over asyncio's own transports; the asynchronous methods of `AsyncClient`.

    `base_url`, `api_key`, `timeout`, `retries`, `deadline`, `headers`, `strict` and `hooks` are as in
    `AsyncClient`. `ssl_context` verifies an https:// server; by default it has the authorities of the system, or
    those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. `uds` is the path of a Unix socket to connect to instead of
    the base URL's host. At most `max_connections` are open at a time in an event loop. `transport` answers the
    requests instead of a server: a `LocalTransport`, or a test's own. A `cassette` records what is sent and
    received, or replays it without a network.

    Proxies that the environment names are not used. The environment is read when the client is built.

    Raises `ValueError` for an argument or a variable of the environment that is wrong, `TypeError` for an argument of
    the wrong type.
    """

    _environ: ClassVar[Mapping[str, str]] = os.environ
    _runtime: ClassVar[Runtime] = Runtime(
        time.monotonic, time.time, random.SystemRandom(), logging.getLogger("hestiaos.calls")
    )

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        *,
        deadline: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
        max_connections: int = 100,
        headers: Mapping[str, str] | None = None,
        strict: bool = True,
        hooks: Hooks | None = None,
        transport: Transport | AsyncTransport | None = None,
        cassette: Interceptor | None = None,
    ) -> None:
        context = self._configure(locals())
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise TypeError(f"ssl_context must be an ssl.SSLContext or None, not {type(ssl_context).__name__}")
        if ssl_context is None and context.config.tls and transport is None:
            ssl_context = default_tls_context(os.environ, ssl.create_default_context, os.listdir, os.pathsep)
        guarded = None if ssl_context is None else _GUARD.guarded(ssl_context)
        network = NetworkOptions(context.config, guarded, uds, max_connections, transport)
        self._executor = Executor(context, network)
        self._serve(self._executor)

    def _new_stream(
        self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> AsyncioEventStream:
        return AsyncioEventStream(self._executor, operation, timeout, options)
