"""`StreamEvent`: one event of a run's stream."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal

import attrs
from attrs import field, frozen

from hestiaos_proto import json
from hestiaos_proto.errors import RemoteProtocolError
from hestiaos_proto.fields import object_of, wrong_field

__all__ = ["StreamEvent", "StreamEventType", "read_event"]

StreamEventType = Literal["start", "token", "delta", "tool_call", "final", "error", "done"]


@frozen(weakref_slot=False)  # so that `_Draft` is laid out alike
class StreamEvent:
    """One event of a stream; `timestamp` is ISO 8601, and `""` as `trace_id` is where the server sent none.

    A type that this version does not know arrives as it is.
    """

    type: StreamEventType
    data: dict[str, Any] = field(factory=dict)
    trace_id: str = ""
    timestamp: str = ""
    extra: Mapping[str, Any] = field(factory=dict, eq=False, repr=False, kw_only=True)

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> StreamEvent:
        """Read one decoded payload, which is used up. Raises `RemoteProtocolError` that names the wrong field."""
        kind = body.pop("type", None)
        data = body.pop("data", _NO_DATA)
        trace_id = body.pop("trace_id", "")
        timestamp = body.pop("timestamp", "")
        if type(kind) is not str:
            raise wrong_field("the event", "type", kind, (str,), missing=kind is None)
        if type(data) is not dict:
            raise wrong_field("the event", "data", data, (dict,))
        if type(trace_id) is not str and trace_id is not None:
            raise wrong_field("the event", "trace_id", trace_id, (str, NoneType))
        if type(timestamp) is not str and timestamp is not None:
            raise wrong_field("the event", "timestamp", timestamp, (str, NoneType))
        event: Any = _Draft()
        event.type = kind
        event.data = {} if data is _NO_DATA else data
        event.trace_id = trace_id or ""
        event.timestamp = timestamp or ""
        event.extra = body
        event.__class__ = cls
        return event  # type: ignore[no-any-return]  # of this class since the line above

    def to_wire(self) -> dict[str, Any]:
        """The JSON object that `from_wire` reads back to an equal event."""
        return dict(self.extra) | {
            "type": self.type,
            "data": self.data,
            "trace_id": self.trace_id,
            "timestamp": self.timestamp,
        }


_NO_DATA: dict[str, Any] = {}

_read_record = json.record_reader(
    ("type", StreamEventType), ("data", dict[str, Any], {}), ("trace_id", str, ""), ("timestamp", str, "")
)


class _Draft:
    """A `StreamEvent` that is being made: attrs takes four times as long to set the fields of a frozen one."""

    __slots__ = tuple(attrs.fields_dict(StreamEvent))


def read_event(payload: bytes) -> StreamEvent | None:
    """The event of a JSON text that has nothing unusual; `None` for any other, which has to be judged.

    It gives what `from_wire` gives, and is there for its speed: nearly every event of every stream goes this way.
    """
    try:
        if _read_record is None:
            return StreamEvent.from_wire(object_of("the event", json.loads(payload)))
        if len(payload) > json.SHALLOW and json.is_deep(payload):
            return None
        record = _read_record(payload)
    except (ValueError, RemoteProtocolError):
        return None
    event: Any = _Draft()
    event.type = record.type
    event.data = record.data
    event.trace_id = record.trace_id
    event.timestamp = record.timestamp
    event.extra = {}
    event.__class__ = StreamEvent
    return event  # type: ignore[no-any-return]  # a StreamEvent since the line above
