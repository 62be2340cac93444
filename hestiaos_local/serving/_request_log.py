"""What a log is told of each request that is served."""

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
    """A request that was answered, `seconds` after it was there, or whose client has gone.

    `method` and `path` are empty where what came was not a request; the path is without its query. `status` is that of
    the response, `None` where none was begun. `operation` is the wire's, `key` the name of the API key. `decision`,
    `trace_id` and `outcome` are those of what was executed for it: the outcome is `completed`, `blocked`, `failed` or
    `cancelled`, and that of a stream whatever its status.
    """

    method: str
    path: str
    status: int | None
    operation: str | None = None
    key: str | None = None
    decision: str | None = None
    trace_id: str | None = None
    outcome: str | None = None
    seconds: float


@define
class ResponseRecord:
    """What becomes known of a response while it is made."""

    status: int | None = None
    key: str | None = None
    execution: Observation = field(factory=Observation)


@contextmanager
def log_request(
    tell: Callable[[ServedRequest], object] | None, request_line: tuple[str, str] | None, operation: str = ""
) -> Iterator[ResponseRecord]:
    """Tell of a request, which is answered in the `with` block, at its end."""
    if tell is None:
        yield ResponseRecord()
        return
    method, target = request_line or ("", "")
    began = time.monotonic()
    with observe() as execution:
        record = ResponseRecord(execution=execution)
        try:
            yield record
        finally:
            tell(
                ServedRequest(
                    method=method,
                    path=urlsplit(target).path,
                    status=record.status,
                    operation=operation or None,
                    key=record.key,
                    decision=execution.decision,
                    trace_id=execution.trace_id,
                    outcome=execution.outcome,
                    seconds=time.monotonic() - began,
                )
            )
