"""Reads a request on the server's side: first its head, by which it may be refused, then its body."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import evolve

from hestiaos_proto._errors import StatusError
from hestiaos_proto._routes import ROUTES, find_route, method_not_allowed, path_of
from hestiaos_proto._server_messages import ServerRequest

__all__ = ["Resources", "check_body", "parse_body", "parse_head", "parse_request", "too_large"]

Resources = Mapping[str, Collection[str]]
"""A server's own paths with their methods."""


def parse_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> ServerRequest:
    """Parse a whole request."""
    return parse_body(parse_head(method, target, headers), body)


def parse_head(
    method: str, target: str, headers: Mapping[str, str], resources: Resources | None = None
) -> ServerRequest:
    """Parse the head of a request into its operation and the arguments in its path. `resources` are the server's own.

    The names of `headers` are in lower case. An unknown path or method is its `refusal`.
    """
    path = path_of(target)
    try:
        if resources is not None and (methods := resources.get(path)) is not None:
            if method not in methods and not (method == "HEAD" and "GET" in methods):
                raise method_not_allowed(path, method, methods)
            return ServerRequest("", {}, headers, resource=path, method=method, target=target)
        route, arguments = find_route(method, target)
    except StatusError as refusal:
        return ServerRequest("", {}, headers, refusal, method=method, target=target)
    return ServerRequest(route.operation, arguments, headers, method=method, target=target)


def check_body(headers: Mapping[str, str], length: int | None, max_size: int) -> StatusError | None:
    """Return the refusal of a body by the head of its request, or `None`. `length` is `None` if the head has none."""
    if length is not None and length > max_size:
        return too_large(max_size)
    if length != 0 and headers.get("content-encoding", "identity").lower() != "identity":
        return StatusError("the body has a content coding: send it without", status_code=415)
    return None


def too_large(max_size: int) -> StatusError:
    """Return the refusal of a body that is larger than `max_size` bytes."""
    return StatusError(f"the body is larger than {max_size} bytes", status_code=413)


def parse_body(request: ServerRequest, body: bytes) -> ServerRequest:
    """Add the arguments in the body to a request of `parse_head`. If they are invalid, it has a `refusal`."""
    if request.refusal is not None:
        return request
    if request.resource is not None:
        return evolve(request, body=body)
    route = ROUTES[request.operation]
    if route.body is None:
        return request
    method, target = request.method, request.target
    try:
        arguments = {**request.arguments, **route.decode(body)}
    except StatusError as refusal:
        return ServerRequest("", {}, request.headers, refusal, method=method, target=target)
    return ServerRequest(request.operation, arguments, request.headers, method=method, target=target)
