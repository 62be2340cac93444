"""Operations that return a stream of events, which a client can resume after a lost connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from hestiaos_local._logging import logger
from hestiaos_local.flow import Emit, Flow
from hestiaos_local.operations import (
    EventLog,
    EventLogs,
    Executions,
    RunEvents,
    check_place,
    check_text,
    follow,
    forgotten,
    note_first,
    number_of,
    recall,
)
from hestiaos_local.storage import Storage
from hestiaos_proto import (
    ChatResponse,
    GovernanceBlock,
    RunResponse,
    ServerRequest,
    StatusError,
    error_events,
)

__all__ = ["STREAMS", "RunStreams"]

M = TypeVar("M")


STREAMS: Mapping[str, tuple[type[RunResponse] | type[ChatResponse], Callable[..., Flow[Any]]]] = {
    "run_stream": (RunResponse, Executions.run),
    "chat_stream": (ChatResponse, Executions.chat),
}
"""The operations that return a stream."""


class Once(Protocol):
    """Executes a flow once for an Idempotency-Key. Implemented by `Platform`."""

    def __call__(
        self, call: ServerRequest, key: str | None, model: type[Any], flow: Flow[Any], events: RunEvents, /
    ) -> Flow[Any]: ...


class RunStreams:
    """The events of runs and chats. `key` is always the name of the caller's API key.

    The events of a call with an Idempotency-Key have ids, and are kept so that the client can resume the stream.
    """

    def __init__(self, storage: Storage, once: Once, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._once = once
        self._clock = clock
        self._logs = EventLogs(clock)

    def log(self, call: ServerRequest) -> EventLog | None:
        """Return the log of the run that this request began, if its stream can be resumed."""
        key, begins = call.idempotency_key, call.operation in STREAMS and call.last_event_id is None
        return self._logs.get(key) if key is not None and begins and call.resumable else None

    def begin(self, call: ServerRequest, key: str | None, executions: Executions) -> Flow[None]:
        """Execute a call. A refusal is raised before the first event; a later failure is the last event."""
        model, execute = STREAMS[call.operation]
        once, log = call.idempotency_key, None
        if once is not None:
            log = EventLog(check_text(call, key))
        events = RunEvents(self._clock, log)
        try:
            flow = execute(executions, call.arguments, key=key, events=events)
            if once is not None and log is not None:
                flow = self._logged(once, log, flow)
            result = yield from self._once(call, key, model, flow, events)
            if isinstance(result, GovernanceBlock):
                raise result
            for event in events.end(result):
                yield Emit(event)
        except Exception as error:
            if events.last is None:
                raise
            if not isinstance(error, StatusError):  # the client gets a `ServerError` without the cause
                logger().exception("a stream failed")
            for event in error_events(error, events.last):
                yield Emit(events.add(event))
        finally:
            if once is not None and log is not None:
                self._logs.close(once, log)

    def resume(self, call: ServerRequest, key: str | None) -> Flow[None]:
        """Emit the events after the `Last-Event-ID`. Nothing is executed."""
        request, once, last_id = check_text(call, key), call.idempotency_key, call.last_event_id
        assert last_id is not None, "the request has a Last-Event-ID"
        number_of(last_id)
        if once is None:
            raise forgotten("the events of a run without an Idempotency-Key are not kept")
        log = self._logs.get(once)
        if log is not None and log.fingerprint == request:
            yield from note_first(self._storage, log.trace_id or None)
            yield from follow(log, check_place(last_id, log.trace_id, log.count, over=log.complete))
            return
        model, _ = STREAMS[call.operation]
        events = RunEvents(self._clock, EventLog())
        result = yield from recall(self._storage, once, request, model, self._clock, events)
        if isinstance(result, GovernanceBlock):
            raise result
        rest = list(events.end(result))
        if not events.numbered:
            raise forgotten()
        for event in rest[check_place(last_id, result.trace_id or "", len(rest), over=True) :]:
            yield Emit(event)

    def _logged(self, once: str, log: EventLog, flow: Flow[M]) -> Flow[M]:
        """Run the flow with its log registered, so that a client can resume the stream from the beginning on."""
        self._logs.add(once, log)
        return (yield from flow)
