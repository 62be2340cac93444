"""Server-sent events, by the WHATWG HTML standard, section 9.2 "Server-sent events".

Run streams are not read by these rules but by `RunStream`, which shares only the lines with them. It does not wait for
the blank line: an event is complete with the data line that completes its JSON object. White space is allowed before
`data`, the event's type is the JSON's, an empty payload is skipped, and a last line without a line end counts. The
reason is the 1.0 contract, which froze `line.split("data:", 1)[1].strip()` as the way from a line to its payload. A
conforming server's stream means the same either way, since no complete JSON object is the beginning of a longer one.

`SSEDecoder` reads any event stream; `encode_event` and `encode_comment` are the server's side.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._lines import MAX_EVENT_SIZE, LineDecoder

__all__ = ["MAX_EVENT_SIZE", "SSEDecoder", "ServerSentEvent", "encode_comment", "encode_event"]

_MAX_RETRY_DIGITS = 4300  # Python's own limit for the conversion of digits to an int


@frozen
class ServerSentEvent:
    """One event as the standard dispatches it.

    `event` is its type (`"message"` if the stream names none), `data` its lines joined with LF, `id` the stream's
    last event id so far, `retry` the reconnection time in milliseconds if this event's block set one.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Decodes any event stream, exactly by the standard.

    `last_event_id` and `reconnection_time` (milliseconds, `None` until the stream sets it) are what a client that
    reconnects needs. What has not ended with a blank line when the stream ends is discarded, as the standard says.
    An event over `max_event_size` bytes raises `RemoteProtocolError`.
    """

    def __init__(self, max_event_size: int = MAX_EVENT_SIZE) -> None:
        self._lines = LineDecoder(max_event_size)
        self._max_size = max_event_size
        self._error: RemoteProtocolError | None = None
        self.last_event_id: str = ""
        self.reconnection_time: int | None = None
        self._next_id = ""
        self._begin_block()

    def _begin_block(self) -> None:
        self._data = bytearray()
        self._event = ""
        self._retry: int | None = None

    def receive_data(self, data: bytes) -> None:
        """Receive data, in any pieces; `b""` is the end of the stream."""
        if self._error is None:
            self._lines.receive_data(data)

    def events(self) -> Iterator[ServerSentEvent]:
        """Yield the events that are complete."""
        if self._error is not None:
            raise self._error
        try:
            for line in self._lines.events():
                if line:
                    self._field(line)
                elif (event := self._dispatch()) is not None:
                    yield event
        except RemoteProtocolError as error:
            self._error = error
            raise

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value + b"\n"
            if len(self._data) - 1 > self._max_size:  # the LF of the last line is not the event's
                raise RemoteProtocolError(f"an event of the stream is larger than {self._max_size} bytes")
        elif name == b"event":
            self._event = _text(value)
        elif name == b"id":
            if b"\0" not in value:
                self._next_id = _text(value)
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:  # bytes.isdigit: ASCII only
            self._retry = self.reconnection_time = int(value)
        # Anything else is ignored: an unknown field, and a comment, whose name before the colon is empty.

    def _dispatch(self) -> ServerSentEvent | None:
        # The id counts from the blank line on, with or without data to dispatch.
        self.last_event_id = self._next_id
        event = None
        if self._data:
            data = _text(self._data[:-1])  # without the LF of the last line
            event = ServerSentEvent(data, self._event or "message", self.last_event_id, self._retry)
        self._begin_block()
        return event


def encode_event(data: str, *, event: str = "", id: str | None = None, retry: int | None = None) -> bytes:
    """Encode one event. A CR, LF or CRLF in `data` arrives as LF.

    Raises `ValueError` for what a field cannot contain.
    """
    lines: list[str] = []
    if event:
        lines.append(f"event: {_one_line('event', event)}")
    if id is not None:
        if "\0" in id:
            raise ValueError("an event id may not contain U+0000")
        lines.append(f"id: {_one_line('id', id)}")
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry is a number of milliseconds, 0 or more, not {retry}")
        lines.append(f"retry: {retry}")
    lines += [f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join([*lines, "", ""]).encode()


def encode_comment(text: str = "") -> bytes:
    """Encode a comment, which clients ignore: a heartbeat that keeps an idle connection alive."""
    return f": {_one_line('comment', text)}\n\n".encode()


def _text(value: bytes | bytearray) -> str:
    return value.decode("utf-8", "replace")


def _one_line(what: str, text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError(f"{what} may not contain a line end")
    return text
