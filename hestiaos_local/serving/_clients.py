"""A client that waits for its response, and may go meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from anyio import CancelScope, create_task_group

from hestiaos_local.serving._request_log import ResponseRecord
from hestiaos_local.serving._service import Service, ServiceResponse
from hestiaos_proto import RemoteProtocolError, ServerRequest

__all__ = ["Client", "respond_while_there"]


class Client(Protocol):
    """The client's side of a response. Its methods raise `OSError` where it has gone."""

    @property
    def ended(self) -> bool:
        """Whether the client sends no more; it may still read."""
        ...

    @property
    def send_tells(self) -> bool:
        """Whether `send` raises once the client has gone. Where it does not, only `receive` tells."""
        ...

    async def receive(self) -> int:
        """Read what arrives next, and keep it."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def keep_alive(self, data: bytes) -> None:
        """Send it without waiting, while another task may be sending."""


async def respond_while_there(
    service: Service, call: ServerRequest, client: Client, record: ResponseRecord | None = None
) -> ServiceResponse:
    """The service's response. Raises `OSError` where a model works on it, and the client goes meanwhile.

    One that sends no more counts as gone: nothing can be written that would tell whether it still reads.
    """
    if not service.may_take_long(call):
        return await service.respond(call, record)
    response: ServiceResponse = None
    async with create_task_group() as tasks:
        tasks.start_soon(_watch, client, tasks.cancel_scope)
        response = await service.respond(call, record)
        tasks.cancel_scope.cancel()
    if response is None:
        raise ConnectionAbortedError("the client has gone")
    return response


async def _watch(client: Client, scope: CancelScope) -> None:
    with suppress(OSError, RemoteProtocolError):
        while not client.ended:
            await client.receive()
    scope.cancel()
