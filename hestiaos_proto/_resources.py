"""The methods of a client and of its namespaces, over an abstract executor.

Each class comes twice: `AsyncChat` has coroutines only, for a client that has nothing else, and `Chat` has both kinds.
Each method takes `CallOptions` by keyword, for that call alone, and raises `HestiaError`. A synchronous method and its
coroutine have one docstring.
"""

from __future__ import annotations

from collections.abc import Callable
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
F = TypeVar("F", bound=Callable[..., Any])


def _documented_as(coroutine: Callable[..., Any]) -> Callable[[F], F]:
    def document(method: F) -> F:
        method.__doc__ = coroutine.__doc__
        return method

    return document


class AsyncExecutor(Protocol):
    """Carries out operations for coroutines."""

    async def execute_async(self, operation: Operation[T], options: CallOptions, /) -> T:
        """Carry out `operation`. Raises `HestiaError`, and `ValueError` or `TypeError` for wrong options."""
        ...


class Executor(AsyncExecutor, Protocol):
    """Carries out operations for threads and for coroutines."""

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
        """Ask whether the server works."""
        return await self._execute_async(operations.health(), options)

    async def trace_async(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        """Fetch the audit of one execution. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.trace(trace_id), options)


class Runs(_Namespace, AsyncRuns):
    """The methods of a client itself, of both kinds."""

    @_documented_as(AsyncRuns.run_async)
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

    @_documented_as(AsyncRuns.health_async)
    def health(self, **options: Unpack[CallOptions]) -> HealthResponse:
        return self._execute(operations.health(), options)

    @_documented_as(AsyncRuns.trace_async)
    def trace(self, trace_id: str, **options: Unpack[CallOptions]) -> TraceResponse:
        return self._execute(operations.trace(trace_id), options)


class AsyncChat(_AsyncNamespace):
    """Chat completion: coroutines."""

    async def run_async(
        self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]
    ) -> ChatResponse:
        """Send a message. Without `session_id` the server begins a session, whose id is in the result."""
        return await self._execute_async(operations.chat(message, session_id=session_id), options)


class Chat(_Namespace, AsyncChat):
    """Chat completion: methods of both kinds."""

    @_documented_as(AsyncChat.run_async)
    def run(self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]) -> ChatResponse:
        return self._execute(operations.chat(message, session_id=session_id), options)


class AsyncAgents(_AsyncNamespace):
    """Agents: coroutines."""

    async def run_async(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        """Have an agent carry out a task.

        A task that governance blocks is not an exception: its result has the `status` `"BLOCKED"`, and the reason as
        `error`. `config` is the agent's own.
        """
        return await self._execute_async(operations.run_agent(agent_id, task, config=config), options)


class Agents(_Namespace, AsyncAgents):
    """Agents: methods of both kinds."""

    @_documented_as(AsyncAgents.run_async)
    def run(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        return self._execute(operations.run_agent(agent_id, task, config=config), options)


class AsyncSystem(_AsyncNamespace):
    """The server itself: coroutines."""

    async def status_async(self, **options: Unpack[CallOptions]) -> SystemStatus:
        """Fetch the state of the server and its parts."""
        return await self._execute_async(operations.system_status(), options)

    async def config_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Fetch the server's configuration."""
        return await self._execute_async(operations.system_config(), options)

    async def metrics_async(self, **options: Unpack[CallOptions]) -> SystemMetrics:
        """Fetch the server's measurements."""
        return await self._execute_async(operations.system_metrics(), options)


class System(_Namespace, AsyncSystem):
    """The server itself: methods of both kinds."""

    @_documented_as(AsyncSystem.status_async)
    def status(self, **options: Unpack[CallOptions]) -> SystemStatus:
        return self._execute(operations.system_status(), options)

    @_documented_as(AsyncSystem.config_async)
    def config(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.system_config(), options)

    @_documented_as(AsyncSystem.metrics_async)
    def metrics(self, **options: Unpack[CallOptions]) -> SystemMetrics:
        return self._execute(operations.system_metrics(), options)


class AsyncSecrets(_AsyncNamespace):
    """The server's secrets: coroutines."""

    async def get_async(self, key: str, **options: Unpack[CallOptions]) -> str:
        """Fetch the value of a secret. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.get_secret(key), options)

    async def set_async(self, key: str, value: str, provider: str = "custom", **options: Unpack[CallOptions]) -> None:
        """Store a secret."""
        return await self._execute_async(operations.set_secret(key, value, provider=provider), options)

    async def delete_async(self, key: str, **options: Unpack[CallOptions]) -> None:
        """Delete a secret. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.delete_secret(key), options)


class Secrets(_Namespace, AsyncSecrets):
    """The server's secrets: methods of both kinds."""

    @_documented_as(AsyncSecrets.get_async)
    def get(self, key: str, **options: Unpack[CallOptions]) -> str:
        return self._execute(operations.get_secret(key), options)

    @_documented_as(AsyncSecrets.set_async)
    def set(self, key: str, value: str, provider: str = "custom", **options: Unpack[CallOptions]) -> None:
        return self._execute(operations.set_secret(key, value, provider=provider), options)

    @_documented_as(AsyncSecrets.delete_async)
    def delete(self, key: str, **options: Unpack[CallOptions]) -> None:
        return self._execute(operations.delete_secret(key), options)


class AsyncGovernance(_AsyncNamespace):
    """Governance: coroutines."""

    async def explain_async(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Ask how governance would decide on a command, and why.

        `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do:
        `explain("RUN", {"input": "rm -rf /"})`. Raises `ValueError` without an input where the type is not in
        capitals.
        """
        return await self._execute_async(operations.explain(command_type, command_input), options)

    async def status_async(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        """Fetch governance's drift and stability scores."""
        return await self._execute_async(operations.governance_status(), options)

    async def trace_async(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        """Fetch the trace of a command, `None` if there is none. Every other failure is raised."""
        return await self._execute_async(operations.governance_trace(command_id), options)


class Governance(_Namespace, AsyncGovernance):
    """Governance: methods of both kinds."""

    @_documented_as(AsyncGovernance.explain_async)
    def explain(
        self, command_type: str, command_input: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        return self._execute(operations.explain(command_type, command_input), options)

    @_documented_as(AsyncGovernance.status_async)
    def status(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.governance_status(), options)

    @_documented_as(AsyncGovernance.trace_async)
    def trace(self, command_id: str, **options: Unpack[CallOptions]) -> dict[str, Any] | None:
        return self._execute(operations.governance_trace(command_id), options)
