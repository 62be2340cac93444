"""A client that waits for its response, and may disconnect meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from anyio import CancelScope, create_task_group

from hestiaos_local.serving._request_log import ResponseRecord
from hestiaos_local.serving._service import Service, ServiceResponse
from hestiaos_proto import RemoteProtocolError, ServerRequest

__all__ = ["Client", "respond_while_there"]


class Client(Protocol):
    """The client of a response. Its methods raise `OSError` if it has disconnected."""

    @property
    def ended(self) -> bool:
        """Whether the client has closed its sending side. It may still read."""
        ...

    @property
    def send_raises(self) -> bool:
        """Whether `send` raises after a disconnect. If not, only `receive` does."""
        ...

    async def receive(self) -> int:
        """Receive and buffer what arrives next. Return the number of bytes."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""

    async def keep_alive(self, data: bytes) -> None:
        """Send a heartbeat without waiting. Another task may be sending."""


async def respond_while_there(
    service: Service, call: ServerRequest, client: Client, record: ResponseRecord | None = None
) -> ServiceResponse:
    """Return the service's response. Raises `OSError` if the client disconnects while a model works on it.

    A client that has closed its sending side counts as disconnected, since nothing can be written before the response
    to find out whether it still reads.
    """
    if not service.may_take_long(call):
        return await service.respond(call, record)
    response: ServiceResponse = None
    async with create_task_group() as tasks:
        tasks.start_soon(_watch, client, tasks.cancel_scope)
        response = await service.respond(call, record)
        tasks.cancel_scope.cancel()
    if response is None:
        raise ConnectionAbortedError("the client has disconnected")
    return response


async def _watch(client: Client, scope: CancelScope) -> None:
    with suppress(OSError, RemoteProtocolError):
        while not client.ended:
            await client.receive()
    scope.cancel()
