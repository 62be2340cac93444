"""The common bases of all clients: configuration, namespaces, copying and `repr`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, Unpack

from hestiaos_proto import operations
from hestiaos_proto._api_keys import key_digest, recall_key
from hestiaos_proto._call_options import StreamOptions
from hestiaos_proto._calls import CallContext
from hestiaos_proto._config import Config
from hestiaos_proto._event_streams import AsyncEventStreamBase
from hestiaos_proto._executors import AsyncExecutor, Executor
from hestiaos_proto._governance import AsyncGovernance, Governance
from hestiaos_proto._hooks import hooks_of
from hestiaos_proto._namespaces import (
    Agents,
    AsyncAgents,
    AsyncChat,
    AsyncSecrets,
    AsyncSystem,
    Chat,
    Secrets,
    System,
)
from hestiaos_proto._runs import AsyncRuns, Runs
from hestiaos_proto._runtime import Runtime
from hestiaos_proto._steps import check_interceptor
from hestiaos_proto._stream import RunStream
from hestiaos_proto.operations import ModeHint, Operation

__all__ = ["AsyncClientBase", "AsyncStreams", "ClientBase"]

S = TypeVar("S", bound=AsyncEventStreamBase)

_OF_CONFIG = ("base_url", "timeout", "retries", "deadline", "headers", "strict")  # and the key


class _Client:
    """The arguments of a client. `_environ` and `_runtime` are what the core may not fetch for itself.

    A copy or an unpickled client has the same configuration and connections of its own. A pickle does not hold the API
    key, only its SHA-256: a process can read it that has the key in its environment, or has used it, or whose parent
    has. Any other raises `ValueError`.
    """

    _environ: ClassVar[Mapping[str, str]]
    _runtime: ClassVar[Runtime]

    def _configure(self, arguments: dict[str, Any]) -> CallContext:
        """Return the context of the calls. `arguments` are the constructor's, its `locals()`.

        Raises `ValueError` or `TypeError` for what is wrong.
        """
        own = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
        of_config = {name: own.pop(name) for name in ("api_key", *_OF_CONFIG)}
        if of_config["headers"] is None:
            of_config["headers"] = {}
        config = Config.from_environ(self._environ, **of_config)
        self._arguments = own
        interceptor = own.get("cassette")
        check_interceptor(interceptor)
        self._context = CallContext(config, self._runtime, hooks_of(own.get("hooks")), interceptor)
        return self._context

    def __repr__(self) -> str:
        context = getattr(self, "_context", None)  # none yet while the constructor runs
        return f"{type(self).__name__}(base_url={context and context.config.base_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle

        config = self._context.config
        arguments = {name: getattr(config, name) for name in _OF_CONFIG} | self._arguments
        for name, value in arguments.items():
            try:
                pickle.dumps(value)
            except Exception as error:  # whatever a value's own class raises
                raise TypeError(
                    f"a client with {name}={type(value).__name__}(…) cannot be copied or pickled: make a new one"
                ) from error
        return _restore, (type(self), arguments, None if config.api_key is None else key_digest(config.api_key))


def _restore(cls: Any, arguments: dict[str, Any], digest: str | None) -> Any:
    # A client that had no key must not get that of the environment.
    api_key = "" if digest is None else recall_key(digest, cls._environ.get("HESTIAOS_API_KEY"))
    return cls(**arguments, api_key=api_key)


class AsyncClientBase(_Client, AsyncRuns):
    """A client with coroutines only."""

    @property
    def chat(self) -> AsyncChat:
        """Chat: `await client.chat.run_async("Hello!")`."""
        return self._chat

    @property
    def agents(self) -> AsyncAgents:
        """Agents: `await client.agents.run_async("agent-1", "analyze data")`."""
        return self._agents

    @property
    def system(self) -> AsyncSystem:
        """The server: `await client.system.status_async()`."""
        return self._system

    @property
    def secrets(self) -> AsyncSecrets:
        """The server's secrets: `await client.secrets.get_async("my-key")`."""
        return self._secrets

    @property
    def governance(self) -> AsyncGovernance:
        """The decisions of governance: `await client.governance.trace_async("abc-123-def")`."""
        return self._governance

    def _serve(self, executor: AsyncExecutor) -> None:
        """Have every method carried out by `executor`."""
        AsyncRuns.__init__(self, executor)
        self._chat = AsyncChat(executor)
        self._agents = AsyncAgents(executor)
        self._system = AsyncSystem(executor)
        self._secrets = AsyncSecrets(executor)
        self._governance = AsyncGovernance(executor)


class ClientBase(_Client, Runs):
    """A client with both kinds of methods."""

    @property
    def chat(self) -> Chat:
        """Chat: `client.chat.run("Hello!")`."""
        return self._chat

    @property
    def agents(self) -> Agents:
        """Agents: `client.agents.run("agent-1", "analyze data")`."""
        return self._agents

    @property
    def system(self) -> System:
        """The server: `client.system.status()`."""
        return self._system

    @property
    def secrets(self) -> Secrets:
        """The server's secrets: `client.secrets.get("my-key")`."""
        return self._secrets

    @property
    def governance(self) -> Governance:
        """The decisions of governance: `client.governance.trace("abc-123-def")`."""
        return self._governance

    def _serve(self, executor: Executor) -> None:
        """Have every method carried out by `executor`."""
        Runs.__init__(self, executor)
        self._chat = Chat(executor)
        self._agents = Agents(executor)
        self._system = System(executor)
        self._secrets = Secrets(executor)
        self._governance = Governance(executor)


class AsyncStreams(ABC, Generic[S]):
    """`run_stream` of an asynchronous client."""

    def run_stream(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        timeout: float | None = None,
        **options: Unpack[StreamOptions],
    ) -> S:
        """Execute `input` and stream its events. The request is sent at the first iteration.

        `timeout` bounds the whole stream, in seconds; the client's own `timeout` bounds each connect, read and write.
        The server may take `timeout_ms` milliseconds, by default 30,000.

        With `resume=True`, a stream whose connection was lost is resumed after the last event over a new connection, if
        the server's events have ids: each event is received once and in order, and nothing is executed twice. Waits and
        their number are those of the retries. The server continues the run for a while after the stream was closed.

        Iterating raises the `StatusError` of a refusal (`GovernanceBlock` by governance), `StreamInterrupted` if the
        stream ends before `done`, `RemoteProtocolError` if it is not the stream of a run, and `ConnectFailed` or
        `TimedOut`; always after the events that arrived whole. An `error` event is an event, and is not raised.
        """
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return self._new_stream(operation, timeout, options)

    @abstractmethod
    def _new_stream(self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions) -> S:
        """Return the stream of an operation."""
