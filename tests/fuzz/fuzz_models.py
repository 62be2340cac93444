"""JSON and the models: any bytes are read the same by both readers, and what is read can be written and read again."""

from __future__ import annotations

import copy
from typing import Any

from cutting import KEY, discreet

from hestiaos_proto import (
    AgentResult,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    RemoteProtocolError,
    RunResponse,
    RunStream,
    StreamEvent,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
    encode_stream_event,
    error_from_response,
    json,
)
from hestiaos_proto._error_bodies import error_to_wire
from hestiaos_proto._models import Model
from hestiaos_proto._redaction import Redactor

__all__ = ["check"]

_MODELS: tuple[type[Model], ...] = (
    AgentResult,
    ChatResponse,
    ErrorResponse,
    HealthResponse,
    RunResponse,
    SystemMetrics,
    SystemStatus,
    TraceResponse,
)
_STATUSES = (400, 401, 403, 404, 422, 429, 500, 503, 302, 599)


def check(data: bytes) -> None:
    """The low bits of the first byte choose the status that the rest is the body of."""
    body = data[1:]
    _an_error(_STATUSES[(data[0] & 0x3F) % len(_STATUSES)] if data else 400, body)
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    else:
        _same_in_both(body, value)
    for model in _MODELS:
        _a_model(model, value)
    if isinstance(value, dict):
        _an_event(value)


def _same_in_both(body: bytes, value: object) -> None:
    """What was read is what the standard library reads, and msgspec if it reads it; and it can be written."""
    text = repr(value)  # which tells 1 from 1.0 and from True
    assert repr(json._read_plain(body)) == text
    if json._read_fast is not None:
        try:
            fast = json._read_fast(body)
        except ValueError:
            pass
        else:
            assert repr(fast) == text
    assert (json.unclosed(body), json.ends_in_string(body)) == (0, False)
    try:
        written = json.dumps(value)
    except ValueError:
        assert "\\u" in text.lower(), "only a lone surrogate may not be written"
        return
    assert repr(json.loads(written)) == text


def _a_model(model: type[Model], value: Any) -> None:
    before = repr(value)
    try:
        read = model.from_wire(value)
    except RemoteProtocolError as error:
        discreet(error)
        return
    finally:
        assert repr(value) == before, "the body was changed"
    again = model.from_wire(read.to_wire())
    assert (again, again.to_wire()) == (read, read.to_wire())


def _an_event(value: dict[str, Any]) -> None:
    try:
        event = StreamEvent.from_wire(copy.copy(value))
    except RemoteProtocolError as error:
        discreet(error)
        return
    try:
        written = encode_stream_event(event)
    except ValueError:
        return  # a lone surrogate
    stream = RunStream(strict=False)
    stream.receive_data(written)
    (again,) = stream.events()
    assert (again, again.extra) == (event, event.extra)


def _an_error(status: int, body: bytes) -> None:
    error = error_from_response(status, body, redactor=Redactor(KEY))
    discreet(error)
    assert error.status_code == status
    try:
        written = json.dumps(error_to_wire(error))
    except ValueError:
        return  # a lone surrogate
    again = error_from_response(status, written)
    assert (type(again), again.code, again.message) == (type(error), error.code, error.message)
    assert (again.trace_id, again.details) == (error.trace_id, error.details)
