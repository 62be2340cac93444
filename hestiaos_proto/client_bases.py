"""What every client does alike, whatever carries its calls: its configuration, its namespaces, copying and printing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hestiaos_proto.calls import CallContext, Runtime
from hestiaos_proto.config import Config, recall_key, remember_key
from hestiaos_proto.hooks import Hooks
from hestiaos_proto.resources import (
    Agents,
    AsyncAgents,
    AsyncChat,
    AsyncExecutor,
    AsyncGovernance,
    AsyncRuns,
    AsyncSecrets,
    AsyncSystem,
    Chat,
    Executor,
    Governance,
    Runs,
    Secrets,
    System,
)

__all__ = ["AsyncClientBase", "ClientBase"]

_OF_CONFIG = ("base_url", "api_key", "timeout", "retries", "deadline", "headers", "strict")


class _Client:
    """A client's arguments. `_environ` and `_runtime` are what the core may not fetch for itself.

    Its copies, pickled ones too, have the same configuration and connections of their own. A pickle does not hold the
    API key: when it is read, that is the environment's, or one that the process has seen, and else a `ValueError`.
    """

    _environ: ClassVar[Mapping[str, str]]
    _runtime: ClassVar[Runtime]

    def _configure(self, arguments: dict[str, Any]) -> CallContext:
        """The context of the calls. `arguments` are the constructor's, its `locals()`.

        Raises `ValueError` or `TypeError` for what is wrong.
        """
        self._arguments = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
        own = {name: self._arguments[name] for name in _OF_CONFIG}
        config = Config.from_environ(self._environ, **own | {"headers": own["headers"] or {}})
        self._arguments |= {"base_url": config.base_url, "api_key": config.api_key}
        hooks = self._arguments.get("hooks")
        if hooks is not None and not isinstance(hooks, Hooks):
            raise TypeError(f"hooks must be a Hooks or None, not {type(hooks).__name__}")
        return CallContext(config, self._runtime, () if hooks is None else (hooks,))

    def __repr__(self) -> str:
        base_url = getattr(self, "_arguments", {}).get("base_url")  # none yet while the constructor runs
        return f"{type(self).__name__}(base_url={base_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle

        arguments = dict(self._arguments)
        digest = remember_key(arguments.pop("api_key"))
        for name, value in arguments.items():
            try:
                pickle.dumps(value)
            except Exception as error:  # whatever a value's own class raises
                raise TypeError(
                    f"a client with {name}={type(value).__name__}(…) cannot be copied or pickled: make a new one"
                ) from error
        return _restore, (type(self), arguments, digest)


def _restore(cls: Any, arguments: dict[str, Any], digest: str | None) -> Any:
    api_key = recall_key(digest, cls._environ.get("HESTIAOS_API_KEY"))
    return cls(**arguments, api_key=api_key or "")  # not the environment's, where it had none


class AsyncClientBase(_Client, AsyncRuns):
    """A client with coroutines alone."""

    chat: AsyncChat
    """Chat completion."""
    agents: AsyncAgents
    """Agents."""
    system: AsyncSystem
    """The server itself."""
    secrets: AsyncSecrets
    """The server's secrets."""
    governance: AsyncGovernance
    """How governance decides."""

    def _serve(self, executor: AsyncExecutor) -> None:
        """Have every method carried out by `executor`."""
        AsyncRuns.__init__(self, executor)
        self.chat = AsyncChat(executor)
        self.agents = AsyncAgents(executor)
        self.system = AsyncSystem(executor)
        self.secrets = AsyncSecrets(executor)
        self.governance = AsyncGovernance(executor)


class ClientBase(_Client, Runs):
    """A client with both kinds of methods."""

    chat: Chat
    """Chat completion."""
    agents: Agents
    """Agents."""
    system: System
    """The server itself."""
    secrets: Secrets
    """The server's secrets."""
    governance: Governance
    """How governance decides."""

    def _serve(self, executor: Executor) -> None:
        """Have every method carried out by `executor`."""
        Runs.__init__(self, executor)
        self.chat = Chat(executor)
        self.agents = Agents(executor)
        self.system = System(executor)
        self.secrets = Secrets(executor)
        self.governance = Governance(executor)
