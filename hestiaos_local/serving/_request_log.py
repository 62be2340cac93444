"""The log of served requests: one `ServedRequest` for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from attrs import define, field, frozen

from hestiaos_local.decisions import Observation, observe

__all__ = ["ResponseRecord", "ServedRequest", "log_request"]


@frozen(kw_only=True)
class ServedRequest:
    """A request whose response has ended, or whose client has disconnected, `seconds` after it was received.

    `method` and `path`, which excludes the query, are empty if the input was not a request. `status` is None if no
    response was begun. `operation` is the name in the protocol, `key` the name of the API key. If something was
    executed, `decision` and `trace_id` identify it, and `outcome` is `completed`, `blocked`, `failed` or `cancelled`. A
    stream can have a status of 200 and any outcome. `repeated` says that an earlier request with the same
    Idempotency-Key began the execution.
    """

    method: str
    path: str
    status: int | None
    operation: str | None = None
    key: str | None = None
    decision: str | None = None
    trace_id: str | None = None
    outcome: str | None = None
    repeated: bool = False
    seconds: float


@define
class ResponseRecord:
    """What is recorded of a response while it is made."""

    status: int | None = None
    key: str | None = None
    execution: Observation = field(factory=Observation)


@contextmanager
def log_request(
    on_request: Callable[[ServedRequest], object] | None, request_line: tuple[str, str] | None, operation: str = ""
) -> Iterator[ResponseRecord]:
    """Call `on_request` at the end of the `with` block, which responds to the request and fills the record."""
    if on_request is None:
        yield ResponseRecord()
        return
    method, target = request_line or ("", "")
    began = time.monotonic()
    with observe() as execution:
        record = ResponseRecord(execution=execution)
        try:
            yield record
        finally:
            on_request(
                ServedRequest(
                    method=method,
                    path=urlsplit(target).path,
                    status=record.status,
                    operation=operation or None,
                    key=record.key,
                    decision=execution.decision,
                    trace_id=execution.trace_id,
                    outcome=execution.outcome,
                    repeated=execution.repeated,
                    seconds=time.monotonic() - began,
                )
            )
