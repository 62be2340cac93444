"""One function per operation of the wire. Each returns an `Operation`: what to send, and how to read the response.

They raise `TypeError` for an argument of the wrong type and `ValueError` for one that cannot be sent (an empty key, a
lone surrogate), before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from attrs import field, frozen

from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._config import Config, check_idempotency_key
from hestiaos_proto._error_bodies import error_from_response
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._routes import ROUTES, Route
from hestiaos_proto._stream import RunStream

__all__ = [
    "ModeHint",
    "Operation",
    "chat",
    "delete_secret",
    "explain",
    "get_secret",
    "governance_status",
    "governance_trace",
    "health",
    "run",
    "run_agent",
    "run_stream",
    "set_secret",
    "system_config",
    "system_metrics",
    "system_status",
    "trace",
]

T = TypeVar("T")

ModeHint = Literal["fast", "balanced", "deep"]
"""How much reasoning a run should get; the server decides."""

_COMMAND_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")
_DEFAULT_TIMEOUT_MS = 30_000  # the default that is sent to the server
_LONGEST_SERVER_TIMEOUT_MS = 10**9  # 11 days; a socket's timeout cannot be as long as an int can


@frozen
class Operation(Generic[T]):
    """One call, whose result is a `T`; `server_timeout` is how long the server may take, in seconds.

    Its `repr` does not show the arguments, which may be secrets.
    """

    name: str
    route: Route[T] = field(repr=False)
    arguments: Mapping[str, Any] = field(repr=False)
    path: str = field(repr=False)
    body: bytes = field(repr=False)
    server_timeout: float = field(default=0.0, repr=False)

    def request(self, config: Config, idempotency_key: str | None = None) -> Request:
        """The request to send. Raises as `check_idempotency_key` does."""
        headers = dict(config.common_headers)
        if "accept" not in config.given_headers:
            headers["Accept"] = "text/event-stream" if self.route.streams else "application/json"
        if self.route.body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
            headers["Idempotency-Key"] = idempotency_key
        return Request(self.route.method, config.origin, config.root_path + self.path, headers, self.body)

    def redactor(self, config: Config) -> Redactor:
        """The redactor for the key and for those arguments that are secrets."""
        secrets = self.route.secrets
        return Redactor(config.api_key, *(self.arguments[name] for name in secrets)) if secrets else config.redactor

    def read(self, response: Response, *, retry_after: float | None = None) -> T:
        """The result of a whole response, or of a stream whose head has arrived.

        Raises the `StatusError` of a status other than 2xx, `RemoteProtocolError` for a body that does not fit.
        """
        if 200 <= response.status < 300 or (response.status == 404 and self.route.absent):
            return self.route.read(response)
        raise error_from_response(
            response.status,
            response.body,
            retry_after=retry_after,
            redactor=response.redactor,
            described=response.describe(),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # The route holds functions, which do not pickle; it is the same in every process.
        return _unpickle, (self.name, self.arguments, self.path, self.body, self.server_timeout)


def _unpickle(name: str, *rest: Any) -> Operation[Any]:
    return Operation(name, ROUTES[name], *rest)


def _operation(name: str, *, server_timeout_ms: int | None = None, **arguments: Any) -> Operation[Any]:
    route = ROUTES[name]
    route.check(arguments)
    path, body = route.encode(arguments)
    server_timeout = min(max(server_timeout_ms or 0, 0), _LONGEST_SERVER_TIMEOUT_MS) / 1000
    return Operation(name, route, arguments, path, body, server_timeout)


def run(
    input: str,
    *,
    session_id: str | None = None,
    agent_id: str | None = None,
    mode_hint: ModeHint | None = None,
    timeout_ms: int | None = None,
    stream: bool = False,
) -> Operation[RunResponse]:
    """Execute `input` through governance.

    `timeout_ms` is how long the server may take, in milliseconds; where it is given, the client waits as long too.
    """
    return _operation(
        "run",
        server_timeout_ms=timeout_ms,
        input=input,
        session_id=session_id,
        agent_id=agent_id,
        mode_hint=mode_hint,
        timeout_ms=_DEFAULT_TIMEOUT_MS if timeout_ms is None else timeout_ms,
        stream=stream,
    )


def run_stream(
    input: str,
    *,
    session_id: str | None = None,
    agent_id: str | None = None,
    mode_hint: ModeHint | None = None,
    timeout_ms: int | None = None,
) -> Operation[RunStream]:
    """Execute `input` through governance and stream what happens."""
    return _operation(
        "run_stream",
        server_timeout_ms=timeout_ms,
        input=input,
        session_id=session_id,
        agent_id=agent_id,
        mode_hint=mode_hint,
        timeout_ms=_DEFAULT_TIMEOUT_MS if timeout_ms is None else timeout_ms,
        stream=True,
    )


def health() -> Operation[HealthResponse]:
    """Ask whether the server is well."""
    return _operation("health")


def trace(trace_id: str) -> Operation[TraceResponse]:
    """Fetch the audit of one execution."""
    return _operation("trace", trace_id=trace_id)


def chat(message: str, *, session_id: str | None = None) -> Operation[ChatResponse]:
    """Send a chat message; without `session_id` the server begins a session."""
    return _operation("chat", message=message, session_id=session_id)


def run_agent(agent_id: str, task: str, *, config: dict[str, Any] | None = None) -> Operation[AgentResult]:
    """Have an agent carry out a task."""
    return _operation("run_agent", agent_id=agent_id, task=task, config=config)


def system_status() -> Operation[SystemStatus]:
    """Ask for the state of the server and its parts."""
    return _operation("system_status")


def system_config() -> Operation[dict[str, Any]]:
    """Fetch the server's configuration."""
    return _operation("system_config")


def system_metrics() -> Operation[SystemMetrics]:
    """Fetch the server's measurements."""
    return _operation("system_metrics")


def get_secret(key: str) -> Operation[str]:
    """Fetch a secret's value."""
    return _operation("get_secret", key=key)


def set_secret(key: str, value: str, *, provider: str = "custom") -> Operation[None]:
    """Store a secret."""
    return _operation("set_secret", key=key, value=value, provider=provider)


def delete_secret(key: str) -> Operation[None]:
    """Delete a secret."""
    return _operation("delete_secret", key=key)


def explain(command_type: str, command_input: dict[str, Any] | None = None) -> Operation[dict[str, Any]]:
    """Ask how governance would decide on a command, and why.

    `command_type` is the kind of command (`"RUN"`, `"WRITE"`), `command_input` what it is to do. Only a type in
    capitals can go without an input: `explain("rm -rf /")` is a `ValueError`, since the text would be taken for a type.
    """
    if command_input is None and isinstance(command_type, str) and not _COMMAND_TYPE.fullmatch(command_type):
        raise ValueError(
            "explain: command_type must be a type in capitals, like RUN, where no command_input is given; "
            'for a text: explain("RUN", {"input": "…"})'
        )
    return _operation(
        "explain", command_type=command_type, command_input={} if command_input is None else command_input
    )


def governance_status() -> Operation[dict[str, Any]]:
    """Fetch governance's drift and stability scores."""
    return _operation("governance_status")


def governance_trace(command_id: str) -> Operation[dict[str, Any] | None]:
    """Fetch a command's trace; `None` where there is none."""
    return _operation("governance_trace", command_id=command_id)
