"""What a client can be asked, itself and in its namespaces, over an abstract way of carrying it out.

Each comes twice: `AsyncChat` has the coroutines alone, for a client that has nothing else, and `Chat` both kinds. Each
method takes `CallOptions` by keyword, for that call alone, and raises `HestiaError`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, Unpack

from hestiaos_proto import operations
from hestiaos_proto._calls import CallOptions
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._other_kind import CoroutinesOnly
from hestiaos_proto.operations import ModeHint, Operation

__all__ = [
    "Agents",
    "AsyncAgents",
    "AsyncChat",
    "AsyncExecutor",
    "AsyncGovernance",
    "AsyncRuns",
    "AsyncSecrets",
    "AsyncSystem",
    "Chat",
    "Executor",
    "Governance",
    "Runs",
    "Secrets",
    "System",
]

T = TypeVar("T")


class AsyncExecutor(Protocol):
    """Whatever carries out an operation for a coroutine."""

    async def execute_async(self, operation: Operation[T], options: CallOptions, /) -> T:
        """Carry out `operation`. Raises `HestiaError`, and `ValueError` or `TypeError` for wrong options."""
        ...


class Executor(AsyncExecutor, Protocol):
    """Whatever carries out an operation either way."""

    def execute(self, operation: Operation[T], options: CallOptions, /) -> T:
        """As `execute_async`."""
        ...


class _AsyncNamespace(CoroutinesOnly):
    def __init__(self, executor: AsyncExecutor) -> None:
        self._execute_async = executor.execute_async

    def __repr__(self) -> str:
        execute = vars(self).get("_execute_async")  # not there while the constructor runs
        return f"<{type(self).__name__} of {getattr(execute, '__self__', None)!r}>"


class _Namespace(_AsyncNamespace):
    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self._execute = executor.execute


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
        **options: Unpack[CallOptions],
    ) -> RunResponse:
        """Execute `input` through governance.

        The server may take `timeout_ms` milliseconds, by default 30,000. Where it is given and longer than the
        client's timeout, the client waits as long. Raises `GovernanceBlock` where governance refuses.
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
        """Whether the server is well."""
        return await self._execute_async(operations.health(), options)

    async def trace_async(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        """The audit of one execution. Raises `NotFound` where there is none."""
        return await self._execute_async(operations.trace(trace_id), options)


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
        **options: Unpack[CallOptions],
    ) -> RunResponse:
        """Execute `input` through governance.

        The server may take `timeout_ms` milliseconds, by default 30,000. Where it is given and longer than the
        client's timeout, the client waits as long. Raises `GovernanceBlock` where governance refuses.
        """
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

    def health(self, **options: Unpack[CallOptions]) -> HealthResponse:
        """Whether the server is well."""
        return self._execute(operations.health(), options)

    def trace(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        """The audit of one execution. Raises `NotFound` where there is none."""
        return self._execute(operations.trace(trace_id), options)


class AsyncChat(_AsyncNamespace):
    """Chat completion, as coroutines."""

    async def run_async(
        self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]
    ) -> ChatResponse:
        """Send a message; without `session_id` the server begins a session."""
        return await self._execute_async(operations.chat(message, session_id=session_id), options)


class Chat(_Namespace, AsyncChat):
    """Chat completion, either way."""

    def run(self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]) -> ChatResponse:
        """Send a message; without `session_id` the server begins a session."""
        return self._execute(operations.chat(message, session_id=session_id), options)


class AsyncAgents(_AsyncNamespace):
    """Agents, as coroutines."""

    async def run_async(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        """Have an agent carry out a task."""
        return await self._execute_async(operations.run_agent(agent_id, task, config=config), options)


class Agents(_Namespace, AsyncAgents):
    """Agents, either way."""

    def run(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        """Have an agent carry out a task."""
        return self._execute(operations.run_agent(agent_id, task, config=config), options)


class AsyncSystem(_AsyncNamespace):
    """The server itself, as coroutines."""

    async def status_async(self, **options: Unpack[CallOptions]) -> SystemStatus:
        """The state of the server and its parts."""
        return await self._execute_async(operations.system_status(), options)

    async def config_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """The server's configuration."""
        return await self._execute_async(operations.system_config(), options)

    async def metrics_async(self, **options: Unpack[CallOptions]) -> SystemMetrics:
        """The server's measurements."""
        return await self._execute_async(operations.system_metrics(), options)


class System(_Namespace, AsyncSystem):
    """The server itself, either way."""

    def status(self, **options: Unpack[CallOptions]) -> SystemStatus:
        """The state of the server and its parts."""
        return self._execute(operations.system_status(), options)

    def config(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """The server's configuration."""
        return self._execute(operations.system_config(), options)

    def metrics(self, **options: Unpack[CallOptions]) -> SystemMetrics:
        """The server's measurements."""
        return self._execute(operations.system_metrics(), options)


class AsyncSecrets(_AsyncNamespace):
    """The server's secrets, as coroutines."""

    async def get_async(self, key: str, **options: Unpack[CallOptions]) -> str:
        """A secret's value. Raises `NotFound` where there is none."""
        return await self._execute_async(operations.get_secret(key), options)

    async def set_async(self, key: str, value: str, provider: str = "custom", **options: Unpack[CallOptions]) -> None:
        """Store a secret."""
        return await self._execute_async(operations.set_secret(key, value, provider=provider), options)

    async def delete_async(self, key: str, **options: Unpack[CallOptions]) -> None:
        """Delete a secret. Raises `NotFound` where there is none."""
        return await self._execute_async(operations.delete_secret(key), options)


class Secrets(_Namespace, AsyncSecrets):
    """The server's secrets, either way."""

    def get(self, key: str, **options: Unpack[CallOptions]) -> str:
        """A secret's value. Raises `NotFound` where there is none."""
        return self._execute(operations.get_secret(key), options)

    def set(self, key: str, value: str, provider: str = "custom", **options: Unpack[CallOptions]) -> None:
        """Store a secret."""
        return self._execute(operations.set_secret(key, value, provider=provider), options)

    def delete(self, key: str, **options: Unpack[CallOptions]) -> None:
        """Delete a secret. Raises `NotFound` where there is none."""
        return self._execute(operations.delete_secret(key), options)


class AsyncGovernance(_AsyncNamespace):
    """Governance, as coroutines."""

    async def explain_async(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """How governance would decide on a command, and why.

        `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do:
        `explain("RUN", {"input": "rm -rf /"})`. Raises `ValueError` without an input where the type is not in
        capitals.
        """
        return await self._execute_async(operations.explain(command_type, command_input), options)

    async def status_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Governance's drift and stability scores."""
        return await self._execute_async(operations.governance_status(), options)

    async def trace_async(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        """A command's trace, `None` where there is none; every other failure is raised."""
        return await self._execute_async(operations.governance_trace(command_id), options)


class Governance(_Namespace, AsyncGovernance):
    """Governance, either way."""

    def explain(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """How governance would decide on a command, and why.

        `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do:
        `explain("RUN", {"input": "rm -rf /"})`. Raises `ValueError` without an input where the type is not in
        capitals.
        """
        return self._execute(operations.explain(command_type, command_input), options)

    def status(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Governance's drift and stability scores."""
        return self._execute(operations.governance_status(), options)

    def trace(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        """A command's trace, `None` where there is none; every other failure is raised."""
        return self._execute(operations.governance_trace(command_id), options)
