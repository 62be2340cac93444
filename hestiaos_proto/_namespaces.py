"""The namespaces `chat`, `agents`, `system` and `secrets` of a client, over an abstract executor."""

from __future__ import annotations

from typing import Any, Unpack

from hestiaos_proto import operations
from hestiaos_proto._call_options import CallOptions
from hestiaos_proto._executors import AsyncNamespace, Namespace, documented_as
from hestiaos_proto._listed_models import AgentInfo, SessionInfo
from hestiaos_proto._models import AgentResult, ChatResponse, SystemMetrics, SystemStatus

__all__ = [
    "Agents",
    "AsyncAgents",
    "AsyncChat",
    "AsyncSecrets",
    "AsyncSystem",
    "Chat",
    "Secrets",
    "System",
]

# In a class with a method `list`, the built-in type needs another name.
AgentList = list[AgentInfo]
KeyList = list[str]


class AsyncChat(AsyncNamespace):
    """Chat completion: coroutines."""

    async def run_async(
        self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]
    ) -> ChatResponse:
        """Send a message. Without `session_id` the server begins a session, whose id is in the result."""
        return await self._execute_async(operations.chat(message, session_id=session_id), options)

    async def sessions_async(
        self, limit: int = 100, before: str | None = None, **options: Unpack[CallOptions]
    ) -> list[SessionInfo]:
        """List the sessions, last used first, without their messages.

        With `before`, the id of a session, those that come after it.
        """
        return await self._execute_async(operations.list_sessions(limit=limit, before=before), options)

    async def session_async(
        self, session_id: str, last: int | None = None, **options: Unpack[CallOptions]
    ) -> SessionInfo:
        """Fetch a session with its messages: all, or the `last` N. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.get_session(session_id, last=last), options)

    async def delete_session_async(self, session_id: str, **options: Unpack[CallOptions]) -> None:
        """Delete a session and its messages. Raises `NotFound` if there is none."""
        return await self._execute_async(operations.delete_session(session_id), options)


class Chat(Namespace, AsyncChat):
    """Chat completion: methods of both kinds."""

    @documented_as(AsyncChat.run_async)
    def run(self, message: str, session_id: str | None = None, **options: Unpack[CallOptions]) -> ChatResponse:
        return self._execute(operations.chat(message, session_id=session_id), options)

    @documented_as(AsyncChat.sessions_async)
    def sessions(
        self, limit: int = 100, before: str | None = None, **options: Unpack[CallOptions]
    ) -> list[SessionInfo]:
        return self._execute(operations.list_sessions(limit=limit, before=before), options)

    @documented_as(AsyncChat.session_async)
    def session(self, session_id: str, last: int | None = None, **options: Unpack[CallOptions]) -> SessionInfo:
        return self._execute(operations.get_session(session_id, last=last), options)

    @documented_as(AsyncChat.delete_session_async)
    def delete_session(self, session_id: str, **options: Unpack[CallOptions]) -> None:
        return self._execute(operations.delete_session(session_id), options)


class AsyncAgents(AsyncNamespace):
    """Agents: coroutines."""

    async def run_async(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        """Have an agent carry out a task.

        A task that governance blocks is not an exception: its result has the `status` `"BLOCKED"`, and the reason as
        `error`. `config` is the agent's own.
        """
        return await self._execute_async(operations.run_agent(agent_id, task, config=config), options)

    async def list_async(self, **options: Unpack[CallOptions]) -> AgentList:
        """List the agents that the server has. If none is configured, any name is accepted."""
        return await self._execute_async(operations.list_agents(), options)


class Agents(Namespace, AsyncAgents):
    """Agents: methods of both kinds."""

    @documented_as(AsyncAgents.run_async)
    def run(
        self, agent_id: str, task: str, config: dict[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AgentResult:
        return self._execute(operations.run_agent(agent_id, task, config=config), options)

    @documented_as(AsyncAgents.list_async)
    def list(self, **options: Unpack[CallOptions]) -> AgentList:
        return self._execute(operations.list_agents(), options)


class AsyncSystem(AsyncNamespace):
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


class System(Namespace, AsyncSystem):
    """The server itself: methods of both kinds."""

    @documented_as(AsyncSystem.status_async)
    def status(self, **options: Unpack[CallOptions]) -> SystemStatus:
        return self._execute(operations.system_status(), options)

    @documented_as(AsyncSystem.config_async)
    def config(self, **options: Unpack[CallOptions]) -> dict[str, Any]:
        return self._execute(operations.system_config(), options)

    @documented_as(AsyncSystem.metrics_async)
    def metrics(self, **options: Unpack[CallOptions]) -> SystemMetrics:
        return self._execute(operations.system_metrics(), options)


class AsyncSecrets(AsyncNamespace):
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

    async def list_async(self, **options: Unpack[CallOptions]) -> KeyList:
        """List the keys of the secrets, without their values."""
        return await self._execute_async(operations.list_secrets(), options)


class Secrets(Namespace, AsyncSecrets):
    """The server's secrets: methods of both kinds."""

    @documented_as(AsyncSecrets.get_async)
    def get(self, key: str, **options: Unpack[CallOptions]) -> str:
        return self._execute(operations.get_secret(key), options)

    @documented_as(AsyncSecrets.set_async)
    def set(self, key: str, value: str, provider: str = "custom", **options: Unpack[CallOptions]) -> None:
        return self._execute(operations.set_secret(key, value, provider=provider), options)

    @documented_as(AsyncSecrets.delete_async)
    def delete(self, key: str, **options: Unpack[CallOptions]) -> None:
        return self._execute(operations.delete_secret(key), options)

    @documented_as(AsyncSecrets.list_async)
    def list(self, **options: Unpack[CallOptions]) -> KeyList:
        return self._execute(operations.list_secrets(), options)
