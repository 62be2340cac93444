"""What an exchange sends, and what takes its response: the core's `Send` and `Response`, or others like them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from hestiaos_proto import Deadline, HestiaError, Redactor, Request

__all__ = ["Outgoing", "Received"]


class Received(Protocol):
    """Accepts a response whose head has arrived. Without a `stream`, the body is received before it is returned."""

    complete: bool

    @property
    def stream(self) -> object | None: ...

    def receive_data(self, data: bytes, /) -> None:
        """Receive a piece of the body; `b""` is its end."""

    def connection_lost(self, error: HestiaError, /) -> None:
        """Receive the fault that ended the body."""


R_co = TypeVar("R_co", bound=Received, covariant=True)


class Outgoing(Protocol[R_co]):
    """A request to send. `timeout` bounds the connect, the others each write and each read, in seconds.

    `deadline` bounds everything. `redactor` hides secrets in what is quoted of the response.
    """

    @property
    def request(self) -> Request: ...

    @property
    def timeout(self) -> float: ...

    @property
    def write_timeout(self) -> float: ...

    @property
    def read_timeout(self) -> float: ...

    @property
    def deadline(self) -> Deadline: ...

    @property
    def redactor(self) -> Redactor: ...

    def response(self, status: int, headers: Iterable[tuple[bytes, bytes]], /) -> R_co:
        """Create the object that receives the response with this head."""
        ...
