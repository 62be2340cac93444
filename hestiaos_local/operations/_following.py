"""Resume a stream after a `Last-Event-ID` by following the log of its run."""

from __future__ import annotations

from hestiaos_local.flow import Await, Emit, Flow
from hestiaos_local.operations._event_logs import EventLog
from hestiaos_proto import Control, ServerError, StatusError, StreamEvent, error_events

__all__ = ["follow"]

_LOOK = 0.02  # seconds between checks of the log, since its run may be in another thread or event loop


def follow(log: EventLog, number: int) -> Flow[None]:
    """Emit the events of a run from this number on, including future ones.

    If there is no event yet, a heartbeat is emitted first, so that the client receives the head of its response. Raises
    `StatusError` 409 if the first event was dropped already.
    """
    last: StreamEvent | None = None
    log.readers += 1
    try:
        if number == log.count and not log.closed:
            yield Emit(Control.HEARTBEAT)
        while True:
            over = log.closed  # checked before reading, so that no event is missed
            for last in log.after(number):
                number += 1
                yield Emit(last)
            if over:
                break
            yield Await(_moment)
        if not log.complete:
            raise ServerError("the run was cancelled", log.trace_id or None, code="CANCELLED")
    except StatusError as error:
        if last is None:
            raise
        for event in error_events(error, last):
            yield Emit(event)
    finally:
        log.readers -= 1


async def _moment() -> None:
    from anyio import sleep

    await sleep(_LOOK)
