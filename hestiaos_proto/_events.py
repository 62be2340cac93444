"""`StreamEvent`: one event of a run's stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Literal, NoReturn

from attrs import field, frozen

from hestiaos_proto import json
from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._fields import object_of, wrong_field
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._text import join_surrogates
from hestiaos_proto.json import SHALLOW

__all__ = [
    "TEXT_TYPES",
    "StreamEvent",
    "StreamEventType",
    "parse_event",
    "read_event",
    "read_events",
    "read_text_events",
]

StreamEventType = Literal["start", "token", "delta", "tool_call", "final", "error", "done"]
"""The types of events, in the order of a stream: `start → (token | delta | tool_call)* → (final | error) → done`."""

TEXT_TYPES = frozenset({"token", "delta"})
"""The types of events that have a text."""


def _refuse(*args: object, **kwargs: object) -> NoReturn:
    raise TypeError("the extra fields of an event cannot be changed")


class _NoFields(dict[str, Any]):
    """The `extra` of events without further fields: an empty `dict` that they share and that cannot be changed.

    A new one for each event would take 5 % of the time of decoding it.
    """

    __setitem__: Any = _refuse
    __ior__: Any = _refuse
    setdefault: Any = _refuse
    update: Any = _refuse


_NO_FIELDS = _NoFields()


@frozen(weakref_slot=False)
class StreamEvent:
    """One event of a stream; `timestamp` is ISO 8601. `timestamp` and `trace_id` are `""` if the server sent none.

    A type that this version does not know is kept as it is.
    """

    type: StreamEventType
    data: dict[str, Any] = field(factory=dict)
    trace_id: str = ""
    timestamp: str = ""
    extra: Mapping[str, Any] = field(default=_NO_FIELDS, eq=False, repr=False, kw_only=True)

    @property
    def text(self) -> str:
        """The text of a `token` or `delta` event, `""` of any other.

        It can be printed: half of a surrogate pair, which a server may send, is U+FFFD here. `data["text"]` is what was
        sent, and the `text` of the stream joins the halves.
        """
        text = self.data.get("text") if self.type in TEXT_TYPES else None
        return join_surrogates(text) if isinstance(text, str) else ""

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> StreamEvent:
        """Read one decoded payload, which is emptied. Raises `RemoteProtocolError` that names the wrong field."""
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
        return _make_event(kind, {} if data is _NO_DATA else data, trace_id or "", timestamp or "", body or _NO_FIELDS)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object that `from_wire` reads back to an equal event."""
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
# Data without objects and arrays in it cannot be nested too deep; other data has to be checked for that.
_read_text_record = json.record_reader(
    ("type", Literal["token", "delta"]),
    ("data", dict[str, str | int | float | bool | None], {}),
    ("trace_id", str, ""),
    ("timestamp", str, ""),
)


class _Draft(StreamEvent):
    """A `StreamEvent` whose fields can be set."""

    __slots__ = ()
    __init__: Any = object.__init__
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__  # one slot in C holds both, and is slow unless both are C


def _make_event(kind: str, data: dict[str, Any], trace_id: str, timestamp: str, extra: dict[str, Any]) -> StreamEvent:
    """Build a `StreamEvent`, in a quarter of the time that the initializer of a frozen attrs class takes."""
    event: Any = _Draft()
    event.type = kind
    event.data = data
    event.trace_id = trace_id
    event.timestamp = timestamp
    event.extra = extra
    event.__class__ = StreamEvent
    return event  # type: ignore[no-any-return]  # a StreamEvent since the line above


def parse_event(payload: bytes, redactor: Redactor) -> StreamEvent:
    """Strict path: decode any JSON text.

    Raises `ValueError` for what is not JSON, and `RemoteProtocolError`, which quotes the payload, for another value.
    """
    body = json.loads(payload)
    if type(body) is not dict:
        raise RemoteProtocolError(f"the payload is not a JSON object: {redactor.quote(payload)}")
    try:
        return StreamEvent.from_wire(body)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"{error.message}: {redactor.quote(payload)}") from None


def read_event(payload: bytes) -> StreamEvent | None:
    """Fast path: decode an ordinary payload, or return `None` so that the caller takes the strict path.

    It returns the same as `parse_event`. Nearly every event of every stream is decoded this way.
    """
    try:
        if _read_record is None:
            return StreamEvent.from_wire(object_of("the event", json.loads(payload)))
        if len(payload) > SHALLOW and json.is_deep(payload):
            return None
        record = _read_record(payload)
    except (ValueError, RemoteProtocolError):
        return None
    return _make_event(record.type, record.data, record.trace_id, record.timestamp, _NO_FIELDS)


def read_events(payloads: list[bytes]) -> list[StreamEvent]:
    """Decode payloads that arrived together on the fast path, up to the first that needs the strict path."""
    if _read_record is None or (max(map(len, payloads)) > SHALLOW and any(map(json.is_deep, payloads))):
        return _read_each(payloads)
    return [
        _make_event(one.type, one.data, one.trace_id, one.timestamp, _NO_FIELDS)
        for one in _read_together(_read_record, payloads)
    ]


def read_text_events(payloads: list[bytes]) -> list[StreamEvent]:
    """Decode like `read_events`, up to the first that is not a `token` or `delta`, or whose data is nested."""
    if _read_text_record is None:
        return _read_each(payloads, TEXT_TYPES)
    return [
        _make_event(one.type, one.data, one.trace_id, one.timestamp, _NO_FIELDS)
        for one in _read_together(_read_text_record, payloads)
    ]


def _read_together(read: Callable[[bytes], Any], payloads: list[bytes]) -> list[Any]:
    """Return the records up to the first payload that is refused.

    Each payload is read separately, so this is as strict as reading them one by one. A separate loop is a third faster.
    """
    records: list[Any] = []
    try:
        records.extend(map(read, payloads))
        return records
    except ValueError:
        return records  # to which those before it have been added


def _read_each(payloads: list[bytes], types: frozenset[str] | None = None) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    for payload in payloads:
        event = read_event(payload)
        if event is None or (types is not None and event.type not in types):
            break
        events.append(event)
    return events
