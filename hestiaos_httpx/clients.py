"""`Client` and `AsyncClient`."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

from hestiaos_httpx.caller import Caller
from hestiaos_httpx.pools import AnyHttpClient, AnyTransport, Pools
from hestiaos_httpx.streams import AsyncEventStream, EventStream
from hestiaos_proto import Config, ModeHint, operations
from hestiaos_proto.resources import Agents, Chat, Governance, Runs, Secrets, System

__all__ = ["AsyncClient", "Client"]


class _Client(Runs):
    """What both clients have: every operation, as a call and as a coroutine.

    The calls use httpx's synchronous client, so they work in and outside of an event loop, as often as you like. The
    coroutines run on asyncio and trio.

    `base_url` is by default `$HESTIAOS_BASE_URL`, else `http://localhost:8000`; `api_key` is by default
    `$HESTIAOS_API_KEY`. `timeout` bounds each connect, read and write, `deadline` a whole call with its retries, in
    seconds; `retries` is the most repeats of one call. `transport` and `http_client` are httpx's own, for tests,
    proxies and the like; `verify`, `limits` and `headers` are as in httpx. `strict` is whether a stream's order of
    events is enforced.

    Raises `ValueError` for an argument that is wrong.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        *,
        deadline: float | None = None,
        transport: AnyTransport | None = None,
        http_client: AnyHttpClient | None = None,
        verify: ssl.SSLContext | bool = True,
        limits: httpx.Limits | None = None,
        headers: Mapping[str, str] | None = None,
        strict: bool = True,
    ) -> None:
        config = Config.from_environ(
            os.environ,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            retries=retries,
            deadline=deadline,
            headers=headers or {},
            strict=strict,
        )
        pools = Pools(config, transport=transport, http_client=http_client, verify=verify, limits=limits)
        self._caller = Caller(config, pools)
        super().__init__(self._caller)
        self.chat = Chat(self._caller)
        self.agents = Agents(self._caller)
        self.system = System(self._caller)
        self.secrets = Secrets(self._caller)
        self.governance = Governance(self._caller)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._caller.config.base_url!r})"


class Client(_Client):
    """The client for scripts, threads and the command line; closed by `close` or a `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used any more."""
        self._caller.pools.close()

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
    ) -> EventStream:
        """Execute `input` and stream what happens, from the first time that an event is asked for.

        `timeout` bounds the whole stream, in seconds. Setting `cancel` ends the iteration within 100 ms, as
        `EventStream.cancel` does at once.
        """
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return EventStream(self._caller, operation, timeout=timeout, cancel=cancel)


class AsyncClient(_Client):
    """The client for event loops, asyncio's and trio's; closed by `aclose` or an `async with` block."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; the client cannot be used any more."""
        await self._caller.pools.aclose()

    def run_stream(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        timeout: float | None = None,
    ) -> AsyncEventStream:
        """Execute `input` and stream what happens, from the first time that an event is asked for.

        `timeout` bounds the whole stream, in seconds.
        """
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return AsyncEventStream(self._caller, operation, timeout=timeout)
