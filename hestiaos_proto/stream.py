"""A run's event stream: bytes in, `StreamEvent`s out.

A payload leaves its line as the 1.0 contract froze it, `line.split("data:", 1)[1].strip()`, and is handed out at the
end of the line that completes its JSON object, with or without a blank line after it. An object over several data
lines is joined with LF, as the WHATWG standard says. Both hold at once because no complete JSON object is the
beginning of a longer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from hestiaos_proto import json
from hestiaos_proto.errors import (
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    StreamInterrupted,
)
from hestiaos_proto.events import StreamEvent, read_event
from hestiaos_proto.redaction import Redactor
from hestiaos_proto.sse import MAX_EVENT_SIZE, LineDecoder

__all__ = ["KNOWN_TYPES", "ORDER", "RunStream", "StreamState"]


class StreamState(Enum):
    """Where a stream stands in the frozen order; the value says what may come next."""

    IDLE = "start"
    RUNNING = "token, delta, tool_call, final or error"
    CONCLUDED = "done"
    DONE = "the end of the stream"


ORDER: Mapping[StreamState, Mapping[str, StreamState]] = {
    StreamState.IDLE: {
        "start": StreamState.RUNNING,
    },
    StreamState.RUNNING: {
        "token": StreamState.RUNNING,
        "delta": StreamState.RUNNING,
        "tool_call": StreamState.RUNNING,
        "final": StreamState.CONCLUDED,
        "error": StreamState.CONCLUDED,
    },
    StreamState.CONCLUDED: {
        "done": StreamState.DONE,
    },
    StreamState.DONE: {},
}
"""The frozen order: `start → (token | delta | tool_call)* → (final | error) → done`."""

KNOWN_TYPES: frozenset[str] = frozenset().union(*ORDER.values())
"""The types of events that the order knows."""

_CR = ord("\r")
_TEXTS = frozenset({"token", "delta"})


class RunStream:
    """Decodes one run's stream.

    `strict=True` enforces the frozen order; `strict=False` passes every event through. Both report a stream that ends
    before `done` as `StreamInterrupted`. A type that this version does not know is passed through, and leaves the
    order as it is. What an error quotes is masked by `redactor`.
    """

    def __init__(
        self, *, strict: bool = True, max_event_size: int = MAX_EVENT_SIZE, redactor: Redactor | None = None
    ) -> None:
        self._redactor = redactor or Redactor()
        self._strict = strict
        self._max_size = max_event_size
        self._lines = LineDecoder(max_event_size)
        self._unread: Iterator[bytes] = iter(())  # the lines of the block that is being read, or,
        self._alone = False  # where each is an event of its own, their payloads
        self._partial = bytearray()  # the data lines of an object that is not complete yet
        self._unclosed = 0
        self._state = StreamState.IDLE
        self._done = False
        self._closed = False
        self._over = False
        self._last = False  # the line that is read has no line end behind it
        self._fault: HestiaError | None = None
        self._error: HestiaError | None = None
        self._text: list[str] = []
        self._kept = True  # the text, as long as it is within the limit; beyond it, it is dropped now and then
        self._words: frozenset[str] = frozenset()  # the types with a text that leave the state as it is
        self._room = max_event_size  # how many bytes may come before the text can have outgrown the limit
        self.events_received = 0
        self.last_event: StreamEvent | None = None
        self.final: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to be read: after a failure, or after `done` at the end or a heartbeat."""
        return self._error is not None or (self._done and self._over)

    @property
    def done(self) -> bool:
        """Whether the `done` event has been decoded, after which nothing of the run is missing."""
        return self._done

    @property
    def text(self) -> str:
        """The text of the `token` and `delta` events so far.

        Raises `LocalProtocolError` where it has outgrown the limit of one event and was not kept.
        """
        self._measure_text()
        if not self._kept:
            raise LocalProtocolError(
                f"the text is over {self._max_size} characters and was not kept: join that of the events as they come"
            )
        return self._text[0]

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of the stream."""
        if self._error is None:
            self._lines.receive_data(data)
            self._closed = not data

    def connection_lost(self, error: HestiaError) -> None:
        """Take the fault that ended the connection; `events` raises it once it has delivered what arrived whole.

        A lost connection is raised as `StreamInterrupted`, and after `done`, when nothing is missing, not at all.
        """
        if self._fault is None:  # what follows the first is mostly its consequence
            self._fault = error
        if not self._closed:
            self.receive_data(b"")

    def events(self) -> Iterator[StreamEvent]:
        """The events that are complete.

        Raises `RemoteProtocolError` for a wrong payload or order and `StreamInterrupted` for a stream that ends
        before `done`, and the same error again at every later call.
        """
        if self._error is not None:
            raise self._error
        blocks = self._lines.blocks
        try:
            while True:
                for text in self._unread:
                    event: StreamEvent | None
                    if self._alone:
                        event = read_event(text) or self._read_alone(text)
                    elif text or self._partial:  # an empty line means something behind data only
                        event = self._read_line(text)
                    else:
                        continue
                    if event is None:
                        continue
                    if event.type in self._words and type(word := event.data.get("text")) is str:
                        self._text.append(word)  # nearly every event: it has its text, and leaves the state as it is
                    else:
                        self._judge(event)
                    self.events_received += 1
                    self.last_event = event
                    yield event
                if blocks:
                    self._split(blocks.popleft())
                elif self._lines.error is not None:
                    raise self._lines.error
                elif not self._closed:
                    return
                elif self._last:
                    self._end()
                    return
                else:  # a last line without a line end counts as a line
                    self._last = self._over = True
                    self._alone = False
                    self._unread = iter((self._lines.rest,))
        except HestiaError as error:
            self._error = error
            raise

    def _split(self, block: bytes) -> None:
        """Cut a block into lines, or, what is faster, whole events of one plain data line each into their payloads."""
        self._room -= len(block)
        if self._room < 0:
            self._measure_text()
        payloads = [] if self._partial or len(block) > self._max_size else _payloads(block)
        self._alone = bool(payloads)
        self._unread = iter(payloads or self._lines.split(block))

    def _read_alone(self, payload: bytes) -> StreamEvent | None:
        """The event of one data line that has a blank line behind it."""
        event = self._read_payload(payload)
        self._read_line(b"")
        return event

    def _read_line(self, line: bytes) -> StreamEvent | None:
        """The event that this line completes, if it does."""
        if line.startswith(b"data:"):
            return self._read_payload(line[5:])
        if not line:
            if self._partial and not self._last:
                raise RemoteProtocolError(
                    f"a payload ends before its JSON object does: {self._redactor.quote(self._partial)}"
                )
            return None
        name, _, payload = line.partition(b":")
        if name.lstrip() == b"data":  # the frozen contract finds the field behind white space too
            return self._read_payload(payload)
        if not name and self._done:  # a heartbeat after `done`: the server keeps a stream open that is over
            self._over = True
        return None

    def _read_payload(self, payload: bytes) -> StreamEvent | None:
        if not self._partial:
            if (event := read_event(payload)) is not None:
                return event
            try:
                return self._event(json.loads(payload), payload)
            except ValueError:
                pass
        # Rare: several data lines, bytes that are not UTF-8, white space that JSON does not know, or no JSON.
        payload = payload.decode("utf-8", "replace").strip().encode()
        if not payload:
            return None
        if self._partial:
            self._partial += b"\n"
        self._partial += payload
        if len(self._partial) > self._max_size:
            raise RemoteProtocolError(f"an event of the stream is larger than {self._max_size} bytes")
        self._unclosed += json.unclosed(payload)
        # An object can go on behind a line end, a string cannot.
        cut = self._last if json.ends_in_string(payload) else 0 < self._unclosed <= json.MAX_DEPTH
        if cut and self._partial.startswith(b"{"):
            return None
        whole = bytes(self._partial)
        self._partial.clear()
        self._unclosed = 0
        try:
            return self._event(json.loads(whole), whole)
        except ValueError as error:
            raise RemoteProtocolError(f"a payload is no JSON object ({error}): {self._redactor.quote(whole)}") from None

    def _event(self, body: object, payload: bytes) -> StreamEvent:
        if type(body) is not dict:
            raise RemoteProtocolError(f"a payload is no JSON object: {self._redactor.quote(payload)}")
        try:
            return StreamEvent.from_wire(body)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{error.message}: {self._redactor.quote(payload)}") from None

    def _judge(self, event: StreamEvent) -> None:
        """Hold an event against the order, and keep what has to be known of it."""
        kind: str = event.type
        if (after := ORDER[self._state].get(kind)) is not None:
            self._state = after
            self._words = _TEXTS if after is StreamState.RUNNING else frozenset()
        elif self._strict and (kind in KNOWN_TYPES or self._state is StreamState.DONE):
            raise RemoteProtocolError(
                f"the stream's order is broken: {self._redactor.quote(kind)} came where {self._state.value} belongs"
            )
        if kind in _TEXTS and type(word := event.data.get("text")) is str:
            self._text.append(word)
        elif kind == "final":
            self.final = event.data
        elif kind == "done":
            self._done = True

    def _measure_text(self) -> None:
        """Join the text so far, and let go of it where it has outgrown the limit of one event."""
        text = "".join(self._text) if self._kept else ""
        self._kept = self._kept and len(text) <= self._max_size
        self._text = [text] if self._kept else []
        # A text close to the limit is not joined again at every event: it may outgrow it by so much unnoticed.
        self._room = max(self._max_size - len(text), self._max_size // 16)

    def _end(self) -> None:
        if self._done and not self._partial:
            return
        if self._fault is not None and not isinstance(self._fault, ConnectionLost):
            raise self._fault
        if self._done:
            raise RemoteProtocolError(
                f"the stream ends inside a payload after 'done': {self._redactor.quote(self._partial)}"
            )
        where = "inside an event" if self._partial else f"where {self._state.value} belongs"
        raise StreamInterrupted(
            f"the stream ended before 'done', {where}, after {self.events_received} events",
            events_received=self.events_received,
            last_event=self.last_event,
        ) from self._fault


def _payloads(block: bytes) -> list[bytes]:
    """The payloads of a block that is whole events of one plain data line each; none of any other."""
    # `partition` and `removeprefix` take half the time of `find` and `startswith`, and a number is found faster.
    line, _, behind = block.partition(b"\n")
    first = line.removeprefix(b"data: ")
    if len(first) == len(line) or _CR in block:
        return []
    if behind == b"\n":
        return [first]
    payloads = block[6:-2].split(b"\n\ndata: ")
    plain = block.endswith(b"\n\n") and block.count(b"\n") == 2 * len(payloads)
    return payloads if plain else []
