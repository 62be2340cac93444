"""`TrioClient`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from hestiaos_proto import Config, ModeHint, operations
from hestiaos_proto.resources import AsyncAgents, AsyncChat, AsyncGovernance, AsyncRuns, AsyncSecrets, AsyncSystem
from hestiaos_trio.caller import Caller
from hestiaos_trio.pool import Pools
from hestiaos_trio.streams import TrioEventStream

__all__ = ["TrioClient"]


class TrioClient(AsyncRuns):
    """The client for trio, over trio's own streams; the asynchronous methods of `AsyncClient`.

    `base_url`, `api_key`, `timeout`, `retries`, `deadline`, `headers` and `strict` are as in `AsyncClient`.
    `ssl_context` is what an https:// server is verified by, by default the system's authorities. `uds` is the path of
    a Unix socket to connect to instead of the base URL's host. At most `max_connections` are open at a time.

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
        ssl_context: ssl.SSLContext | None = None,
        uds: str | None = None,
        max_connections: int = 100,
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
        pools = Pools(config, ssl_context=ssl_context, uds=uds, max_connections=max_connections)
        self._caller = Caller(config, pools)
        super().__init__(self._caller)
        self.chat = AsyncChat(self._caller)
        self.agents = AsyncAgents(self._caller)
        self.system = AsyncSystem(self._caller)
        self.secrets = AsyncSecrets(self._caller)
        self.governance = AsyncGovernance(self._caller)

    def __repr__(self) -> str:
        return f"TrioClient(base_url={self._caller.config.base_url!r})"

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
    ) -> TrioEventStream:
        """Execute `input` and stream what happens, from the first time that an event is asked for.

        `timeout` bounds the whole stream, in seconds.
        """
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return TrioEventStream(self._caller, operation, timeout=timeout)
