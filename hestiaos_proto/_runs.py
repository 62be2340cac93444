"""The methods of a client itself, over an abstract executor."""

from __future__ import annotations

from typing import Unpack

from hestiaos_proto import operations
from hestiaos_proto._call_options import CallOptions
from hestiaos_proto._executors import AsyncNamespace, Namespace, documented_as
from hestiaos_proto._models import HealthResponse, RunResponse, TraceResponse
from hestiaos_proto.operations import ModeHint

__all__ = ["AsyncRuns", "Runs"]


class AsyncRuns(AsyncNamespace):
    """The methods of a client itself, as coroutines."""

    async def run_async(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> RunResponse:
        """Execute `input` through governance.

        The server may take `timeout_ms` milliseconds, by default 30,000; if it is given and longer than `timeout`, the
        client waits as long. `timeout` bounds each connect, read and write, in seconds; `deadline` bounds the whole
        call. `stream` is the flag of the wire: the result is whole either way, and `run_stream` is what streams.

        Raises `GovernanceBlock` where governance refuses.
        """
        return await self._execute_async(
            operations.run(
                input,
                session_id=session_id,
                agent_id=agent_id,
                mode_hint=mode_hint,
                timeout_ms=timeout_ms,
                stream=stream,
            ),
            options,
        )

    async def health_async(self, **options: Unpack[CallOptions]) -> HealthResponse:
        """Check the server's health."""
        return await self._execute_async(operations.health(), options)

    async def trace_async(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        """Fetch the audit of one execution. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.trace(trace_id), options)


class Runs(Namespace, AsyncRuns):
    """The methods of a client itself, of both kinds."""

    @documented_as(AsyncRuns.run_async)
    def run(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> RunResponse:
        return self._execute(
            operations.run(
                input,
                session_id=session_id,
                agent_id=agent_id,
                mode_hint=mode_hint,
                timeout_ms=timeout_ms,
                stream=stream,
            ),
            options,
        )

    @documented_as(AsyncRuns.health_async)
    def health(self, **options: Unpack[CallOptions]) -> HealthResponse:
        return self._execute(operations.health(), options)

    @documented_as(AsyncRuns.trace_async)
    def trace(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        return self._execute(operations.trace(trace_id), options)
