"""A stream that goes on after a `Last-Event-ID`: from the log of its run, as long as that goes on."""

from __future__ import annotations

from hestiaos_local.flow import Await, Emit, Flow
from hestiaos_local.operations._event_logs import EventLog
from hestiaos_proto import Control, ServerError, StatusError, StreamEvent, error_events

__all__ = ["follow"]

_LOOK = 0.02  # seconds between two looks at the log: its run may be in another thread or event loop


def follow(log: EventLog, number: int) -> Flow[None]:
    """Emit the events of a run from this number on, those to come too.

    The first item is a heartbeat where no event is there yet, so that the client gets the head of its response. Raises
    `StatusError` 409 where the first event is forgotten already.
    """
    last: StreamEvent | None = None
    log.readers += 1
    try:
        if number == log.count and not log.closed:
            yield Emit(Control.HEARTBEAT)
        while True:
            over = log.closed  # before the last look
            for last in log.after(number):
                number += 1
                yield Emit(last)
            if over:
                break
            yield Await(_moment)
        if not log.complete:
            raise ServerError("the run was given up", log.trace_id or None, code="CANCELLED")
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
