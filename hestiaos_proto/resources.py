"""What a client can be asked, itself and in its namespaces, over an abstract way of calling.

Each comes twice: `AsyncChat` has the coroutines alone, for a client that has nothing else, and `Chat` both kinds.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from hestiaos_proto import operations
from hestiaos_proto.models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto.operations import ModeHint, Operation

__all__ = [
    "Agents",
    "AsyncAgents",
    "AsyncCaller",
    "AsyncChat",
    "AsyncGovernance",
    "AsyncRuns",
    "AsyncSecrets",
    "AsyncSystem",
    "Caller",
    "Chat",
    "Governance",
    "Runs",
    "Secrets",
    "System",
]

T = TypeVar("T")


class AsyncCaller(Protocol):
    """Whatever carries out an operation for a coroutine."""

    async def call_async(self, operation: Operation[T], /) -> T:
        """Carry out `operation`. Raises `HestiaError`."""
        ...


class Caller(AsyncCaller, Protocol):
    """Whatever carries out an operation either way."""

    def call(self, operation: Operation[T], /) -> T:
        """Carry out `operation`. Raises `HestiaError`."""
        ...


class _AsyncNamespace:
    def __init__(self, caller: AsyncCaller) -> None:
        self._call_async = caller.call_async


class _Namespace(_AsyncNamespace):
    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self._call = caller.call


class AsyncRuns(_AsyncNamespace):
    """What a client itself can be asked, as coroutines."""

    async def run_async(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        stream: bool = False,
    ) -> RunResponse:
        """Execute `input` through governance.

        The server may take `timeout_ms` milliseconds, by default 30,000. Where it is given and longer than the
        client's timeout, the client waits as long. Raises `GovernanceBlock` where governance refuses.
        """
        return await self._call_async(
            operations.run(
                input,
                session_id=session_id,
                agent_id=agent_id,
                mode_hint=mode_hint,
                timeout_ms=timeout_ms,
                stream=stream,
            )
        )

    async def health_async(self) -> HealthResponse:
        """Whether the server is well."""
        return await self._call_async(operations.health())

    async def trace_async(self, trace_id: str) -> TraceResponse:
        """The audit of one execution. Raises `NotFound` where there is none."""
        return await self._call_async(operations.trace(trace_id))


class Runs(_Namespace, AsyncRuns):
    """What a client itself can be asked, either way."""

    def run(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        stream: bool = False,
    ) -> RunResponse:
        """Execute `input` through governance.

        The server may take `timeout_ms` milliseconds, by default 30,000. Where it is given and longer than the
        client's timeout, the client waits as long. Raises `GovernanceBlock` where governance refuses.
        """
        return self._call(
            operations.run(
                input,
                session_id=session_id,
                agent_id=agent_id,
                mode_hint=mode_hint,
                timeout_ms=timeout_ms,
                stream=stream,
            )
        )

    def health(self) -> HealthResponse:
        """Whether the server is well."""
        return self._call(operations.health())

    def trace(self, trace_id: str) -> TraceResponse:
        """The audit of one execution. Raises `NotFound` where there is none."""
        return self._call(operations.trace(trace_id))


class AsyncChat(_AsyncNamespace):
    """Chat completion, as coroutines."""

    async def run_async(self, message: str, session_id: str | None = None) -> ChatResponse:
        """Send a message; without `session_id` the server begins a session."""
        return await self._call_async(operations.chat(message, session_id=session_id))


class Chat(_Namespace, AsyncChat):
    """Chat completion, either way."""

    def run(self, message: str, session_id: str | None = None) -> ChatResponse:
        """Send a message; without `session_id` the server begins a session."""
        return self._call(operations.chat(message, session_id=session_id))


class AsyncAgents(_AsyncNamespace):
    """Agents, as coroutines."""

    async def run_async(self, agent_id: str, task: str, config: dict[str, Any] | None = None) -> AgentResult:
        """Have an agent carry out a task."""
        return await self._call_async(operations.run_agent(agent_id, task, config=config))


class Agents(_Namespace, AsyncAgents):
    """Agents, either way."""

    def run(self, agent_id: str, task: str, config: dict[str, Any] | None = None) -> AgentResult:
        """Have an agent carry out a task."""
        return self._call(operations.run_agent(agent_id, task, config=config))


class AsyncSystem(_AsyncNamespace):
    """The server itself, as coroutines."""

    async def status_async(self) -> SystemStatus:
        """The state of the server and its parts."""
        return await self._call_async(operations.system_status())

    async def config_async(self) -> dict[str, Any]:
        """The server's configuration."""
        return await self._call_async(operations.system_config())

    async def metrics_async(self) -> SystemMetrics:
        """The server's measurements."""
        return await self._call_async(operations.system_metrics())


class System(_Namespace, AsyncSystem):
    """The server itself, either way."""

    def status(self) -> SystemStatus:
        """The state of the server and its parts."""
        return self._call(operations.system_status())

    def config(self) -> dict[str, Any]:
        """The server's configuration."""
        return self._call(operations.system_config())

    def metrics(self) -> SystemMetrics:
        """The server's measurements."""
        return self._call(operations.system_metrics())


class AsyncSecrets(_AsyncNamespace):
    """The server's secrets, as coroutines."""

    async def get_async(self, key: str) -> str:
        """A secret's value. Raises `NotFound` where there is none."""
        return await self._call_async(operations.get_secret(key))

    async def set_async(self, key: str, value: str, provider: str = "custom") -> None:
        """Store a secret."""
        return await self._call_async(operations.set_secret(key, value, provider=provider))

    async def delete_async(self, key: str) -> None:
        """Delete a secret. Raises `NotFound` where there is none."""
        return await self._call_async(operations.delete_secret(key))


class Secrets(_Namespace, AsyncSecrets):
    """The server's secrets, either way."""

    def get(self, key: str) -> str:
        """A secret's value. Raises `NotFound` where there is none."""
        return self._call(operations.get_secret(key))

    def set(self, key: str, value: str, provider: str = "custom") -> None:
        """Store a secret."""
        return self._call(operations.set_secret(key, value, provider=provider))

    def delete(self, key: str) -> None:
        """Delete a secret. Raises `NotFound` where there is none."""
        return self._call(operations.delete_secret(key))


class AsyncGovernance(_AsyncNamespace):
    """Governance, as coroutines."""

    async def explain_async(self, command_type: str, command_input: dict[str, Any] | None = None) -> dict[str, Any]:
        """How governance would decide on a command, and why."""
        return await self._call_async(operations.explain(command_type, command_input))

    async def status_async(self) -> dict[str, Any]:
        """Governance's drift and stability scores."""
        return await self._call_async(operations.governance_status())

    async def trace_async(self, command_id: str) -> dict[str, Any] | None:
        """A command's trace, `None` where there is none; every other failure is raised."""
        return await self._call_async(operations.governance_trace(command_id))


class Governance(_Namespace, AsyncGovernance):
    """Governance, either way."""

    def explain(self, command_type: str, command_input: dict[str, Any] | None = None) -> dict[str, Any]:
        """How governance would decide on a command, and why."""
        return self._call(operations.explain(command_type, command_input))

    def status(self) -> dict[str, Any]:
        """Governance's drift and stability scores."""
        return self._call(operations.governance_status())

    def trace(self, command_id: str) -> dict[str, Any] | None:
        """A command's trace, `None` where there is none; every other failure is raised."""
        return self._call(operations.governance_trace(command_id))
