"""A run's event stream: bytes in, `StreamEvent`s out.

`LineDecoder` and `PayloadDecoder` cut the bytes into payloads, `events` decodes them, `event_order` is the table of the
frozen order, `StreamText` joins the text. `RunStream` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from hestiaos_proto._errors import (
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    StreamInterrupted,
    TransportError,
)
from hestiaos_proto._event_ids import EventIds
from hestiaos_proto._event_order import KNOWN_TYPES, ORDER, StreamState, next_state
from hestiaos_proto._events import TEXT_TYPES, StreamEvent, parse_event, read_event, read_events, read_text_events
from hestiaos_proto._lines import MAX_EVENT_SIZE, LineDecoder
from hestiaos_proto._payloads import PayloadDecoder
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._text import StreamText, TextRun

__all__ = ["KNOWN_TYPES", "ORDER", "RunStream", "StreamState"]

_NO_TYPES: frozenset[str] = frozenset()


class RunStream:
    """Decodes one run's stream.

    `strict=True` enforces the frozen order; `strict=False` passes every event through. Both report a stream that ends
    before `done` as `StreamInterrupted`. A type that this version does not know is passed through, and leaves the
    order as it is. What an error quotes is masked by `redactor`.

    `resumable=True` reads the ids of the events too. A stream whose connection was lost after an event with an id
    `can_resume`: after `reconnect` it takes what another connection has after that event.
    """

    def __init__(
        self,
        *,
        strict: bool = True,
        max_event_size: int = MAX_EVENT_SIZE,
        redactor: Redactor | None = None,
        resumable: bool = False,
    ) -> None:
        self._redactor = redactor or Redactor()
        self._strict = strict
        self._max_size = max_event_size
        self._ids = EventIds(self._redactor) if resumable else None
        self._open()
        # Payloads that arrived together are decoded together. These remain of the last ones:
        self._run: TextRun | None = None  # first, text events, which do not change the state
        self._mixed: Iterator[StreamEvent] | None = None  # then, events of any type
        self._state = StreamState.IDLE
        self._text_types = _NO_TYPES  # the types of text events that do not change the state
        self._text = StreamText(max_event_size)
        self._received = 0  # without those of the run
        self._last_event: StreamEvent | None = None
        self._final: dict[str, Any] | None = None
        self._done = False

    def _open(self) -> None:
        """Begin to read from a connection."""
        self._lines = LineDecoder(self._max_size)
        self._decoder = PayloadDecoder(self._max_size, self._redactor)
        self._source = self._decoder.payloads(self._lines, self._ids)
        self._payloads = self._source  # or what was pushed back, followed by the source
        self._end_read = False
        self._fault: HestiaError | None = None
        self._error: HestiaError | None = None

    @property
    def text(self) -> str:
        """The text of the `token` and `delta` events so far.

        It can be printed: the two halves of a surrogate pair in two events are one character, and a lone
        surrogate is U+FFFD. Raises `LocalProtocolError` if the text is longer than the limit of one event, and was not
        kept.
        """
        if self._run is not None:
            self._text.append(self._run.take_text())
        return self._text.join()

    @property
    def final(self) -> dict[str, Any] | None:
        """The data of the `final` event, `None` before it."""
        return self._final

    @property
    def events_received(self) -> int:
        """The number of events that have been yielded."""
        return self._received + (0 if self._run is None else self._run.received)

    @property
    def last_event(self) -> StreamEvent | None:
        """The last event that has been yielded."""
        return self._last_event if self._run is None else self._run.last or self._last_event

    @property
    def done(self) -> bool:
        """Whether the `done` event has been yielded, after which only the end of the stream can come."""
        return self._done

    @property
    def finished(self) -> bool:
        """Whether nothing more needs to be read.

        That is so after a failure. After `done` it is so at the end of the stream, or as soon as the server sends a
        line that is not part of an event: a comment, another field, a blank line that does not end an event.
        """
        return self._error is not None or (self._done and (self._end_read or self._decoder.trailing_data))

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that was returned, `None` if it had none, or ids are not read."""
        return None if self._ids is None else self._ids.last

    @property
    def error(self) -> HestiaError | None:
        """The error that `events` has raised."""
        return self._error

    @property
    def can_resume(self) -> bool:
        """Whether the connection was lost, and the stream can be resumed after its last event."""
        lost = isinstance(self._error, (StreamInterrupted, TransportError))
        return lost and not self._done and self.last_event_id is not None

    def reconnect(self) -> None:
        """Resume after the last event, over another connection."""
        if self._ids is None or not self.can_resume:
            raise LocalProtocolError("the stream cannot be resumed: no connection was lost after an event with an id")
        self._ids.reconnect()
        self._open()

    def receive_data(self, data: bytes) -> None:
        """Receive data, in any pieces; `b""` is the end of the stream."""
        if self._error is None:
            self._lines.receive_data(data)

    def connection_lost(self, error: HestiaError) -> None:
        """Receive the fault that ended the connection; `events` raises it after the events that arrived whole.

        A lost connection is raised as `StreamInterrupted`; after `done` nothing is missing, and it is not raised.
        """
        if self._fault is None:  # later ones are mostly consequences of the first
            self._fault = error
        if not self._lines.closed:
            self.receive_data(b"")

    def events(self) -> Iterator[StreamEvent]:
        """Yield the events that are complete. Several iterators share them: each event is yielded by one of them.

        Raises `RemoteProtocolError` for a wrong payload or order and `StreamInterrupted` for a stream that ends
        before `done`, and the same error again at every later call.
        """
        try:
            while True:
                if self._error is not None:
                    raise self._error
                if (run := self._run) is not None:
                    yield from run.left
                    if self._run is run:  # another iterator may have advanced while this one was suspended
                        self._end_run(run)
                    continue
                if self._mixed is not None:
                    yield from self._yield_events(self._mixed)
                    continue
                payloads = self._payloads
                for payload in payloads:
                    if type(payload) is not bytes:
                        if payload is None:
                            return
                        assert isinstance(payload, list), "it is neither of the others"
                        self._decode(payload)
                        break
                    event = read_event(payload) or self._read_strictly(payload)
                    if event is None or (self._ids is not None and not self._ids.admit()):
                        continue
                    if event.type in self._text_types and type(text := event.data.get("text")) is str:
                        self._text.append(text)  # nearly every event: the state does not change
                        self._received += 1
                        self._last_event = event
                    else:
                        self._advance(event)
                    yield event
                    if self._payloads is not payloads:
                        break
                else:
                    self._end()
                    return
        except HestiaError as error:
            self._error = error
            self._payloads, self._mixed = iter(()), None
            raise

    def _decode(self, payloads: list[bytes]) -> None:
        """Decode payloads that arrived together; those from the first that needs the strict path on are pushed back."""
        count = 0
        if self._text_types:
            try:
                self._run = TextRun(read_text_events(payloads))
            except (KeyError, TypeError):
                pass  # one has no text: they are decoded as events of any type
            else:
                count = len(self._run)
        if count < len(payloads):
            events = read_events(payloads[count:])
            self._mixed = iter(events)
            count += len(events)
        self._payloads = chain(payloads[count:], self._source)

    def _yield_events(self, mixed: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        for event in mixed:
            self._advance(event)
            yield event
            if self._mixed is not mixed:
                return
        self._mixed = None

    def _end_run(self, run: TextRun) -> None:
        self._run = None
        self._text.append(run.take_text())
        self._received += len(run)
        self._last_event = run.last or self._last_event

    def _read_strictly(self, payload: bytes) -> StreamEvent | None:
        """Return the event of any payload, or `None` if it is empty, or its object continues in the next line."""
        if payload.endswith(b"}"):
            try:
                return parse_event(payload, self._redactor)
            except ValueError:
                pass
        # Rare: several data lines, bytes that are not UTF-8, white space that JSON does not know, or not JSON.
        whole = self._decoder.complete(payload)
        if whole is None:
            return None
        try:
            return parse_event(whole, self._redactor)
        except ValueError as error:
            quoted = self._redactor.quote(whole)
            raise RemoteProtocolError(f"the payload is not a JSON object ({error}): {quoted}") from None

    def _advance(self, event: StreamEvent) -> None:
        """Check an event against the order, and update the state."""
        kind: str = event.type
        state = next_state(self._state, kind)
        if state is not None:
            self._state = state
            self._text_types = TEXT_TYPES if state is StreamState.RUNNING else _NO_TYPES
        elif self._strict:
            raise RemoteProtocolError(
                f"the events are out of order: {self._redactor.quote(kind)} came where {self._state.value} was expected"
            )
        if kind in TEXT_TYPES:
            if type(text := event.data.get("text")) is str:
                self._text.append(text)
        elif kind == "final":
            self._final = event.data
        elif kind == "done":
            self._done = True
            self._decoder.expect_end()
        self._received += 1
        self._last_event = event

    def _end(self) -> None:
        self._end_read = True
        incomplete = self._decoder.incomplete
        if self._done and not incomplete:
            return
        if self._fault is not None and not isinstance(self._fault, ConnectionLost):
            raise self._fault
        if self._done:
            raise RemoteProtocolError(
                f"the stream ends inside a payload after 'done': {self._redactor.quote(incomplete)}"
            )
        where = "inside an event" if incomplete else f"where {self._state.value} was expected"
        message = f"the stream ended before 'done', {where}, after {self.events_received} events"
        if self._ids is not None and self._ids.last is None:
            message += "; there is no event id to resume from"
        raise self.interrupted(message) from self._fault

    def interrupted(self, message: str) -> StreamInterrupted:
        """Return the exception for a stream that has ended here."""
        return StreamInterrupted(message, events_received=self.events_received, last_event=self.last_event)
