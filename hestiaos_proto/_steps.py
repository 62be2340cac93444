"""The steps of a call, which its binding carries out, and what may be put between the two."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol, Self, TypeVar

from attrs import field, frozen

from hestiaos_proto._arguments import type_name
from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._config import Config
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._stream import RunStream
from hestiaos_proto.operations import Operation

__all__ = ["CallFlow", "Interceptor", "LocalResponse", "Send", "Wait", "check_interceptor"]

T = TypeVar("T")


@frozen(eq=False)
class Send:
    """Asks for `request` to be sent. The answer is `response(status, headers)`, into which the body is fed.

    `timeout` bounds the connect and each write, `read_timeout` each read, in seconds; `deadline` bounds everything.
    """

    operation: Operation[Any]
    request: Request
    timeout: float
    read_timeout: float
    deadline: Deadline
    redactor: Redactor = field(repr=False)
    """Hides the key and the secrets of this request in what is quoted of the response."""
    _config: Config = field(repr=False)
    new_response: Callable[..., Response] = field(default=Response, repr=False)
    """Makes the response: `Response`, or a subclass of it."""
    answer: Response | None = field(default=None, repr=False)
    """The response to a stream's request that an interceptor gave: nothing is sent."""
    stream: RunStream | None = field(default=None, repr=False)
    """Reads the events of the response. A resumed one has begun already."""

    @property
    def write_timeout(self) -> float:
        """Bounds each write, in seconds."""
        return self.timeout

    @classmethod
    def of(
        cls,
        operation: Operation[Any],
        config: Config,
        deadline: Deadline,
        idempotency_key: str | None = None,
        stream: RunStream | None = None,
    ) -> Self:
        """Return the step that sends this operation. `stream` reads its events, and may have begun."""
        return cls(
            operation,
            operation.request(config, idempotency_key, None if stream is None else stream.last_event_id or ""),
            deadline.bound(config.timeout),
            deadline.bound(max(config.timeout, operation.server_timeout)),
            deadline,
            operation.redactor(config),
            config,
            stream=stream,  # pyright: ignore[reportCallIssue]  # attrs' name of the private field
        )

    def response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Return the response whose head has arrived. With a `stream`, the call is answered now, else at its end."""
        config = self._config
        stream = self.stream
        if stream is None and self.operation.route.streams:
            stream = RunStream(strict=config.strict, max_event_size=config.max_event_size, redactor=self.redactor)
        return self.new_response(
            status,
            headers,
            stream=stream,
            max_body_size=config.max_body_size,
            deadline=self.deadline,
            redactor=self.redactor,
            url=self.request.url,
        )


@frozen
class Wait:
    """Asks to let `seconds` pass."""

    seconds: float


CallFlow = Generator[Send | Wait, Response | None, T]
"""A call as a generator: it yields `Send` and `Wait`, is sent a `Response` or `None`, and returns the result."""


class LocalResponse(Response, ABC):
    """A response that an interceptor makes, and whose stream gets its data from it, not from a connection."""

    @property
    @abstractmethod
    def wait(self) -> float:
        """The seconds until `receive_next` may be called."""

    @abstractmethod
    def receive_next(self) -> bool:
        """Receive what arrives next, as `receive_data` and `connection_lost` do. Return False at the end."""


class Interceptor(Protocol):
    """Passes the steps of a client's calls to its binding, and may change them on the way."""

    def exchange(self, send: Send, /) -> CallFlow[Response]:
        """Carry out one exchange: a flow that yields `send`, or `Wait`s only, and returns the response.

        A response that it makes itself is a whole one, or one with a stream, a `LocalResponse`, for which it yields
        the `Send` with this `answer`.
        """
        ...

    def pause(self, seconds: float, /) -> float:
        """Return how long to wait before a repeat, where `seconds` are due."""
        ...


def check_interceptor(cassette: object) -> None:
    """Raise `TypeError` if `cassette` is neither an `Interceptor` nor `None`."""
    methods = (getattr(cassette, "exchange", None), getattr(cassette, "pause", None))
    if cassette is not None and (isinstance(cassette, type) or not all(map(callable, methods))):
        raise TypeError(f"cassette must be a Cassette or None, not {type_name(cassette)}")
