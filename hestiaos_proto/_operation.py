"""One call: what is sent, and how its response is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._config import Config, check_idempotency_key
from hestiaos_proto._error_bodies import error_from_response, lacks_operation, unknown_operation
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._routes import ROUTES, Route

__all__ = ["RESUMABLE", "Operation", "make_operation"]

T = TypeVar("T")

RESUMABLE = "resumable-stream"
"""The preference of a client that will resume a stream if its connection is lost."""

_OF_RESUMING = frozenset({"prefer", "last-event-id"})
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

    def request(self, config: Config, idempotency_key: str | None = None, last_event_id: str | None = None) -> Request:
        """Create the request to send.

        With a `last_event_id` its stream is to be resumed if the connection is lost: it asks the server to keep the run
        (`Prefer`, RFC 7240), and resumes after the event with this id, with `""` from the beginning.

        Raises like `check_idempotency_key`.
        """
        headers = dict(config.common_headers)
        if "accept" not in config.given_headers:
            headers["Accept"] = "text/event-stream" if self.route.streams else "application/json"
        if self.route.body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
            headers["Idempotency-Key"] = idempotency_key
        if last_event_id is not None:
            given = {name.lower(): headers.pop(name) for name in list(headers) if name.lower() in _OF_RESUMING}
            headers["Prefer"] = ", ".join(filter(None, (given.get("prefer"), RESUMABLE)))
            if last_event_id:
                headers["Last-Event-ID"] = last_event_id
        return Request(self.route.method, config.origin, config.root_path + self.path, headers, self.body)

    def redactor(self, config: Config) -> Redactor:
        """Return the redactor for the key and for those arguments that are secrets."""
        secrets = self.route.secrets
        return Redactor(config.api_key, *(self.arguments[name] for name in secrets)) if secrets else config.redactor

    def read(self, response: Response, *, retry_after: float | None = None) -> T:
        """Return the result of a whole response, or of a stream whose head has arrived.

        Raises the `StatusError` of a status other than 2xx, `RemoteProtocolError` for a body that does not fit. If the
        server does not have an operation that was added after 1.0, the `NotFound` has the code `UNKNOWN_OPERATION`.
        """
        if 200 <= response.status < 300 or (response.status == 404 and self.route.absent):
            return self.route.read(response)
        described = response.describe()
        error = error_from_response(
            response.status,
            response.body,
            retry_after=retry_after,
            redactor=response.redactor,
            described=described,
        )
        if response.status == 404 and self.route.since != "1.0" and lacks_operation(response.body):
            error = unknown_operation(self.name, self.route.since, described, error)
        raise error

    def __reduce__(self) -> tuple[Any, ...]:
        # The route holds functions, which do not pickle; it is the same in every process.
        return _unpickle, (self.name, self.arguments, self.path, self.body, self.server_timeout)


def _unpickle(name: str, *rest: Any) -> Operation[Any]:
    return Operation(name, ROUTES[name], *rest)


def make_operation(name: str, *, server_timeout_ms: int | None = None, **arguments: Any) -> Operation[Any]:
    """Create an operation of the table. Raises like `Route.check` and `Route.encode`."""
    route = ROUTES[name]
    route.check(arguments)
    path, body = route.encode(arguments)
    server_timeout = min(max(server_timeout_ms or 0, 0), _LONGEST_SERVER_TIMEOUT_MS) / 1000
    return Operation(name, route, arguments, path, body, server_timeout)
