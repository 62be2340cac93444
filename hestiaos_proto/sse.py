"""Server-sent events, by the WHATWG HTML standard, section 9.2 "Server-sent events".

`LineDecoder` turns bytes into lines, `SSEDecoder` lines into events; `encode_event` and `encode_comment` are the
server's side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from attrs import frozen

from hestiaos_proto.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_EVENT_SIZE", "LineDecoder", "SSEDecoder", "ServerSentEvent", "encode_comment", "encode_event"]

MAX_EVENT_SIZE = 16 * 1024 * 1024
"""How large one event, and so one line, may grow by default, in bytes."""

_LF, _CR = b"\n\r"  # as numbers, in which form a byte is looked at in a quarter of the time
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 4300  # Python's own bound on turning digits into a number in reasonable time


class LineDecoder:
    """Bytes to lines: they end at CR, LF or CRLF and at nothing else, and one leading byte order mark is dropped.

    A line is handed out as soon as its end has come: a CR is not held back to see whether LF follows. What comes
    after the last line end is `rest`. A line over `max_size` bytes raises `RemoteProtocolError`.

    Lines that came together wait in one of the `blocks`, with their ends, for whoever can read more than one at a time;
    `error` is what has to be raised behind them.
    """

    def __init__(self, max_size: int = MAX_EVENT_SIZE) -> None:
        self._max_size = max_size
        self.blocks: deque[bytes] = deque()
        self.error: RemoteProtocolError | None = None
        self._lines: Iterator[bytes] = iter(())  # of the block that is being read
        self._partial = bytearray()
        self._at_start = True
        self._after_cr = False
        self._between = False  # the last line has ended, with LF, and what comes next begins one
        self._closed = False

    @property
    def rest(self) -> bytes:
        """The line that has begun and not ended."""
        return bytes(self._partial).removeprefix(_BOM) if self._at_start else bytes(self._partial)

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of the stream."""
        if self._closed:
            raise LocalProtocolError("data was received after the end of the stream: use a new decoder for a new one")
        if not data:
            self._closed = True
        elif self._between and data[-1] == _LF:
            self.blocks.append(data)
        elif self.error is None:
            self._cut(data)

    def events(self) -> Iterator[bytes]:
        """The lines that are complete, without their ends."""
        while True:
            yield from self._lines
            if not self.blocks:
                break
            self._lines = iter(self.split(self.blocks.popleft()))
        if self.error is not None:
            raise self.error

    def split(self, block: bytes) -> list[bytes]:
        """The lines of a block, without their ends, up to one that is too long, which is the `error` then."""
        # bytes.splitlines knows CR, LF and CRLF only, which is the standard's rule; str.splitlines knows more.
        lines = block.splitlines()
        if len(block) > self._max_size:
            for count, line in enumerate(lines):
                if len(line) > self._max_size:
                    self.blocks.clear()
                    self._fail()
                    return lines[:count]
        return lines

    def _cut(self, data: bytes) -> None:
        if self._after_cr and data[0] == _LF:  # the second half of a CRLF
            data = data[1:]
            self._after_cr = False
            if not data:
                return
        self._after_cr = data[-1] == _CR
        self._between = data[-1] == _LF
        whole = self._after_cr or self._between
        end = len(data) if whole else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end:
            block = data[:end]
            if self._partial:
                block = b"".join((self._partial, block))
                self._partial.clear()
            self.blocks.append(block.removeprefix(_BOM) if self._at_start else block)
            self._at_start = False
        if not whole:
            self._partial += data[end:]
            bom = len(_BOM) if self._at_start and self._partial.startswith(_BOM) else 0
            if len(self._partial) - bom > self._max_size:
                self._fail()

    def _fail(self) -> None:
        self.error = RemoteProtocolError(f"a line of the event stream is longer than {self._max_size} bytes")
        self._partial = bytearray()
        self._between = False


@frozen
class ServerSentEvent:
    """One event as the standard dispatches it.

    `event` is its type (`"message"` where the stream names none), `data` its lines joined with LF, `id` the stream's
    last event id so far, `retry` the reconnection time in milliseconds where this event's block set one.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Any event stream, decoded by the standard to the letter.

    `last_event_id` and `reconnection_time` (milliseconds, `None` until the stream sets it) are what a client that
    reconnects needs. What has not ended with a blank line when the stream ends is discarded, as the standard says.
    An event over `max_event_size` bytes raises `RemoteProtocolError`.
    """

    def __init__(self, max_event_size: int = MAX_EVENT_SIZE) -> None:
        self._lines = LineDecoder(max_event_size)
        self._max_size = max_event_size
        self._error: RemoteProtocolError | None = None
        self.last_event_id = ""
        self.reconnection_time: int | None = None
        self._next_id = ""
        self._begin_block()

    def _begin_block(self) -> None:
        self._data = bytearray()
        self._event = ""
        self._retry: int | None = None

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of the stream."""
        if self._error is None:
            self._lines.receive_data(data)

    def events(self) -> Iterator[ServerSentEvent]:
        """The events that are complete."""
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
            data = _text(self._data[:-1])  # the LF of the last line goes
            event = ServerSentEvent(data, self._event or "message", self.last_event_id, self._retry)
        self._begin_block()
        return event


def encode_event(data: str, *, event: str = "", id: str | None = None, retry: int | None = None) -> bytes:
    """One event for the wire; a CR, LF or CRLF in `data` arrives as LF.

    Raises `ValueError` for what a field cannot say.
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
    """A comment, which every client ignores: a heartbeat that keeps an idle connection alive."""
    return f": {_one_line('comment', text)}\n\n".encode()


def _text(value: bytes | bytearray) -> str:
    return value.decode("utf-8", "replace")


def _one_line(what: str, text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError(f"{what} may not contain a line end")
    return text
