"""One row of the table of operations: how its request is written and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from attrs import Factory, field, frozen

from hestiaos_proto import json
from hestiaos_proto._body_schemas import BodySchema, FieldError, Param, build, params_of, parse
from hestiaos_proto._client_messages import Response
from hestiaos_proto._errors import InvalidInput
from hestiaos_proto._models import Model
from hestiaos_proto._query import build_query, parse_query

__all__ = ["Route", "invalid"]

T = TypeVar("T")


@frozen(eq=False)
class Route(Generic[T]):
    """One row of the table.

    `idempotent` (RFC 9110, section 9.2.2) says that a repeat does no more than the first request did. `read` makes the
    result of a successful response, and of a 404 where `absent` says that it is an answer; `write` makes the
    response's JSON of a `result`. Where that is a list, `listed` has its field in the JSON, and the type of what is in
    it. `streams` is whether the answer is an event stream. A server answers at each of the `aliases` as at the path.
    `query` has the arguments in the target's query. `params` are all arguments, those of the path first,
    `secrets` the names of those that must not be shown. `since` is the version that added the operation.
    """

    operation: str
    method: str
    path: str
    body: BodySchema | None = field(default=None, repr=False)
    query: tuple[Param, ...] = field(default=(), kw_only=True, repr=False)
    result: type = field(default=dict, kw_only=True, repr=False)
    listed: tuple[str, type[Model] | type[str]] | None = field(default=None, kw_only=True, repr=False)
    read: Callable[[Response], T] = field(kw_only=True, repr=False)
    write: Callable[[Any], Any] = field(default=lambda result: result, kw_only=True, repr=False)
    idempotent: bool = field(default=True, kw_only=True)
    absent: bool = field(default=False, kw_only=True)
    streams: bool = field(default=False, kw_only=True)
    aliases: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    since: str = field(default="1.0", kw_only=True, repr=False)

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
        """Return the request's path, with its query, and body. Raises `ValueError` that names an invalid argument."""
        segments = [
            _escape(segment[1:-1], arguments[segment[1:-1]]) if segment.startswith("{") else segment
            for segment in self.path.split("/")
        ]
        path = "/".join(segments) + build_query(self.query, arguments)
        if self.body is None:
            return path, b""
        try:
            return path, json.dumps(build(self.body, arguments))
        except ValueError as error:
            raise ValueError(f"{self.operation}: {error}") from None

    def match(self, segments: list[str]) -> dict[str, Any] | None:
        """Return the arguments in a path, or `None` if the path is not that of this route."""
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

    def decode_query(self, target: str) -> dict[str, Any]:
        """Return the arguments in a target's query. Raises `InvalidInput` whose details name each wrong argument."""
        problems: list[FieldError] = []
        arguments = dict(parse_query(self.query, target, problems))
        if problems:
            raise invalid(problems)
        return arguments

    def decode(self, body: bytes) -> dict[str, Any]:
        """Return the body's arguments. Raises `InvalidInput` whose details name each missing or wrong field."""
        if self.body is None:
            return {}
        try:
            value = json.loads(body)
        except ValueError as error:
            raise invalid(
                [FieldError(loc=["body"], msg=f"the body is not JSON: {error}", type="json_invalid")]
            ) from None
        problems: list[FieldError] = []
        arguments = dict(parse(self.body, value, ["body"], problems))
        if problems:
            raise invalid(problems)
        return arguments


def _params(route: Route[Any]) -> tuple[Param, ...]:
    in_path = (Param(part[1:-1], str, filled=True) for part in route.path.split("/") if part.startswith("{"))
    return (*in_path, *route.query, *params_of(route.body or {}))


def invalid(problems: list[FieldError]) -> InvalidInput:
    """Return the refusal of a request with these problems."""
    return InvalidInput(
        "; ".join(f"{'.'.join(problem['loc'])}: {problem['msg']}" for problem in problems), None, problems
    )


def _escape(name: str, value: str) -> str:
    """Escape a path segment (RFC 3986, section 3.3). Dot segments too, since clients and proxies resolve them."""
    try:
        escaped = quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: a lone surrogate at position {error.start} cannot be sent as UTF-8") from None
    return escaped.replace(".", "%2E") if value in (".", "..") else escaped
