"""The table of operations: a client writes its requests by it, and a server recognizes them.

Both sides use the same table, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import methodcaller
from types import NoneType
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote_to_bytes

from attrs import Factory, field, frozen

from hestiaos_proto import json
from hestiaos_proto._body_schemas import BodySchema, FieldError, Param, build, params_of, parse
from hestiaos_proto._client_messages import IS_IT_HESTIAOS, Response
from hestiaos_proto._errors import InvalidInput, NotFound, RemoteProtocolError, StatusError
from hestiaos_proto._models import (
    AgentResult,
    ChatResponse,
    HealthResponse,
    Model,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
from hestiaos_proto._stream import RunStream

__all__ = ["ROUTES", "Route", "find_route", "method_not_allowed", "path_of", "resolve"]

T = TypeVar("T")


@frozen(eq=False)
class Route(Generic[T]):
    """One row of the table.

    `idempotent` (RFC 9110, section 9.2.2) says that a repeat does no more than the first request did. `read` makes the
    result of a successful response, and of a 404 where `absent` says that it is an answer; `write` makes the
    response's JSON of a `result`. `streams` is whether the answer is an event stream. A server answers at each of the
    `aliases` as at the path. `params` are the arguments, those of the path first, `secrets` the names of those that
    must not be shown.
    """

    operation: str
    method: str
    path: str
    body: BodySchema | None = field(default=None, repr=False)
    result: type = field(default=dict, kw_only=True, repr=False)
    read: Callable[[Response], T] = field(kw_only=True, repr=False)
    write: Callable[[Any], Any] = field(default=lambda result: result, kw_only=True, repr=False)
    idempotent: bool = field(default=True, kw_only=True)
    absent: bool = field(default=False, kw_only=True)
    streams: bool = field(default=False, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True, repr=False)

    params: tuple[Param, ...] = field(init=False, repr=False, default=Factory(lambda self: _params(self), True))
    secrets: tuple[str, ...] = field(
        init=False, repr=False, default=Factory(lambda self: tuple(arg.name for arg in self.params if arg.secret), True)
    )

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise `TypeError` for an argument of the wrong type, `ValueError` for one that must not be empty."""
        for arg in self.params:
            if not arg.accepts(value := arguments[arg.name]):
                error = ValueError if arg.filled and value == "" else TypeError
                raise error(f"{self.operation}: {arg.name} {arg.refusal(value)}")

    def encode(self, arguments: Mapping[str, Any]) -> tuple[str, bytes]:
        """The request's path and body. Raises `ValueError` that names the argument which cannot be sent."""
        segments = [
            _escape(segment[1:-1], arguments[segment[1:-1]]) if segment.startswith("{") else segment
            for segment in self.path.split("/")
        ]
        if self.body is None:
            return "/".join(segments), b""
        try:
            return "/".join(segments), json.dumps(build(self.body, arguments))
        except ValueError as error:
            raise ValueError(f"{self.operation}: {error}") from None

    def match(self, segments: list[str]) -> dict[str, Any] | None:
        """The arguments in a path, `None` if the path is not that of this route."""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        arguments: dict[str, Any] = {}
        for mine, theirs in zip(own, segments, strict=True):
            if mine.startswith("{") and theirs:
                arguments[mine[1:-1]] = theirs
            elif mine != theirs:
                return None
        return arguments

    def decode(self, body: bytes) -> dict[str, Any]:
        """The body's arguments. Raises `InvalidInput` whose details name each field that is missing or wrong."""
        if self.body is None:
            return {}
        try:
            value = json.loads(body)
        except ValueError as error:
            raise _invalid(
                [FieldError(loc=["body"], msg=f"the body is not JSON: {error}", type="json_invalid")]
            ) from None
        problems: list[FieldError] = []
        arguments = dict(parse(self.body, value, ["body"], problems))
        if problems:
            raise _invalid(problems)
        return arguments


def _params(route: Route[Any]) -> tuple[Param, ...]:
    in_path = (Param(part[1:-1], str, filled=True) for part in route.path.split("/") if part.startswith("{"))
    return (*in_path, *params_of(route.body or {}))


def resolve(method: str, target: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation of a request, and its arguments.

    Raises what `find_route` raises, and `InvalidInput` for arguments that do not fit.
    """
    route, arguments = find_route(method, target)
    return route.operation, arguments | route.decode(body)


def find_route(method: str, target: str) -> tuple[Route[Any], dict[str, Any]]:
    """The row for a method and a target, and the arguments in the path. HEAD is answered where GET is.

    Raises `NotFound` for a path that is not in the table, `StatusError` 405 for a method that the path does not have,
    `InvalidInput` for a path that is not UTF-8.
    """
    path = path_of(target)
    found = _BY_PATH.get(path) or _find_templates(path)
    wanted = "GET" if method == "HEAD" else method
    for route, arguments in found:
        if route.method == wanted:
            return route, arguments
    if not found:
        raise NotFound(f"there is no {path}")
    raise method_not_allowed(path, method, [route.method for route, _ in found])


def path_of(target: str) -> str:
    """The path of a request's target, without its query. RFC 9112, section 3.2.2: a server takes a URL too."""
    path = target.partition("?")[0]
    return path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2]


def method_not_allowed(path: str, method: str, methods: Collection[str]) -> StatusError:
    """The refusal of a method that a path has not; HEAD is one of its methods where GET is (RFC 9110, section 9.1)."""
    allowed = sorted({*methods, "HEAD"} if "GET" in methods else methods)
    return StatusError(
        f"{path} allows {', '.join(allowed)}, not {method}",
        None,
        {"allowed": allowed},
        status_code=405,
        code="METHOD_NOT_ALLOWED",
    )


def _find_templates(path: str) -> list[tuple[Route[Any], dict[str, Any]]]:
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")]
    except UnicodeDecodeError:
        raise _invalid([FieldError(loc=["path"], msg="the path is not UTF-8", type="path_invalid")]) from None
    return [(route, arguments) for route in ROUTES.values() if (arguments := route.match(segments)) is not None]


def _invalid(problems: list[FieldError]) -> InvalidInput:
    return InvalidInput(
        "; ".join(f"{'.'.join(problem['loc'])}: {problem['msg']}" for problem in problems), None, problems
    )


def _escape(name: str, value: str) -> str:
    """One path segment (RFC 3986, section 3.3). Dot segments are escaped too, as clients and proxies resolve them."""
    try:
        escaped = quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: a lone surrogate at position {error.start} cannot be sent as UTF-8") from None
    return escaped.replace(".", "%2E") if value in (".", "..") else escaped


def _nothing(response: Response) -> None:
    """Ignore the body."""


def _no_fields(result: object) -> dict[str, Any]:
    return {}


def _json(read: Callable[[Any], T], *, quoted: bool | None = None) -> Callable[[Response], T]:
    """A function that decodes the body and applies `read`; `quoted` is as in `Response.describe`."""

    def read_response(response: Response) -> T:
        if not response.body:
            raise RemoteProtocolError(f"JSON was expected: {response.describe()}; {IS_IT_HESTIAOS}")
        try:
            return read(json.loads(response.body))
        except ValueError as error:
            wrong, described = f"the response's body is not JSON ({error})", response.describe(quoted=quoted)
        except RemoteProtocolError as error:
            wrong, described = error.message, response.describe(quoted=False)
        raise RemoteProtocolError(f"{wrong}: {described}; {IS_IT_HESTIAOS}")

    return read_response


def _object(body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise RemoteProtocolError("the response's JSON must be an object")
    return body


def _secret(body: Any) -> str:
    if not isinstance(value := _object(body).get("value"), str):
        raise RemoteProtocolError("the response's field 'value' must be a string")
    return value


def _object_or_none(response: Response) -> dict[str, Any] | None:
    return None if response.status == 404 else _json(_object)(response)


def _stream(response: Response) -> RunStream:
    if response.stream is None:
        raise RemoteProtocolError(f"an event stream was expected: {response.describe(quoted=True)}; {IS_IT_HESTIAOS}")
    return response.stream


_RUN: BodySchema = {
    "input": Param("input", str),
    "context": {
        "session_id": Param("session_id", str, None),
        "agent_id": Param("agent_id", str, None),
        "mode_hint": Param("mode_hint", str, None),
    },
    "options": {"timeout_ms": Param("timeout_ms", int, 30_000), "stream": Param("stream", bool, False)},
}
_SET_SECRET: BodySchema = {
    "credential_ref": Param("key", str, filled=True),
    "secret": Param("value", str, secret=True),
    "provider": Param("provider", str, "custom"),
    "allowed_tools": ["*"],
}
_AGENT: BodySchema = {
    "agent_id": Param("agent_id", str),
    "task": Param("task", str),
    "config": Param("config", dict, None),
}
_CHAT: BodySchema = {"message": Param("message", str), "session_id": Param("session_id", str, None)}
_EXPLAIN: BodySchema = {"command_type": Param("command_type", str), "command_input": Param("command_input", dict)}

_wire = methodcaller("to_wire")


def _of(model: type[Model]) -> dict[str, Any]:
    """The attributes of a row whose result is a model."""
    return {"result": model, "read": _json(model.from_wire), "write": _wire}


_TABLE: tuple[Route[Any], ...] = (
    Route("run", "POST", "/api/v1/run", _RUN, **_of(RunResponse), idempotent=False),
    Route("run_stream", "POST", "/api/v1/run/stream", _RUN, read=_stream, idempotent=False, streams=True),
    Route("health", "GET", "/api/v1/health", aliases=("/health",), **_of(HealthResponse)),
    Route("trace", "GET", "/api/v1/trace/{trace_id}", **_of(TraceResponse)),
    Route("chat", "POST", "/api/chat", _CHAT, **_of(ChatResponse), idempotent=False),
    Route("run_agent", "POST", "/api/agents/run", _AGENT, **_of(AgentResult), idempotent=False),
    Route("system_status", "GET", "/api/system/status", **_of(SystemStatus)),
    Route("system_config", "GET", "/api/system/config", read=_json(_object)),
    Route("system_metrics", "GET", "/api/system/metrics", **_of(SystemMetrics)),
    Route(
        "get_secret",
        "GET",
        "/api/secrets/{key}",
        result=str,
        read=_json(_secret, quoted=False),
        write=lambda value: {"value": value},
    ),
    Route("set_secret", "POST", "/api/secrets", _SET_SECRET, result=NoneType, read=_nothing, write=_no_fields),
    Route("delete_secret", "DELETE", "/api/secrets/{key}", result=NoneType, read=_nothing, write=_no_fields),
    Route("explain", "POST", "/api/governance/explain", _EXPLAIN, read=_json(_object)),
    Route("governance_status", "GET", "/api/governance/stability", read=_json(_object)),
    Route("governance_trace", "GET", "/api/governance/trace/{command_id}", read=_object_or_none, absent=True),
)

ROUTES: Mapping[str, Route[Any]] = {route.operation: route for route in _TABLE}
"""The table, by operation."""

# Most paths have no argument, and are found at once. There is one method at each of them.
_BY_PATH: Mapping[str, list[tuple[Route[Any], dict[str, Any]]]] = {
    path: [(route, {})] for route in _TABLE for path in (route.path, *route.aliases) if "{" not in path
}
