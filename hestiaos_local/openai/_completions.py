"""Decode a model server's completion, an event stream or a JSON body, into outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hestiaos_local.execution import Output
from hestiaos_local.openai._answers import AnswerReader
from hestiaos_local.openai._upstream_errors import model_protocol_error
from hestiaos_proto import Redactor, RemoteProtocolError, SSEDecoder, StatusError, json

__all__ = ["MAX_CHUNK_SIZE", "CompletionStream", "completion_outputs"]

MAX_CHUNK_SIZE = 4 * 1024 * 1024
"""The maximum size of one chunk of a stream, in bytes."""

_DONE = "[DONE]"


class CompletionStream:
    """A decoder of streamed chat completions: bytes in, `Text`, `ToolCall`, `Usage` and `Finish` out.

    The format is an event stream (WHATWG HTML, "Server-sent events") whose `data` are JSON chunks, and `[DONE]` at the
    end. If `[DONE]` is missing, a stream with a `finish_reason` counts as complete. Texts are returned as they arrive;
    tool calls, the usage if the server reports it, and `Finish` at the end of the stream.

    `events` raises a `StatusError` for a stream that was cut off, is malformed, or contains an error, after all outputs
    before it. Later calls raise it again. `redactor` hides the key of the model server in messages.
    """

    def __init__(
        self, *, redactor: Redactor | None = None, id_prefix: str = "call_", max_chunk_size: int = MAX_CHUNK_SIZE
    ) -> None:
        self._redactor = redactor or Redactor()
        self._decoder = SSEDecoder(max_chunk_size)
        self._answer = AnswerReader(self._redactor, id_prefix)
        self._ready: deque[Output] = deque()
        self._received_end = False
        self._complete = False
        self._error: StatusError | None = None

    @property
    def finished(self) -> bool:
        """Whether `Finish` was returned. Later data is ignored."""
        return self._complete and not self._ready

    def receive_data(self, data: bytes) -> None:
        """Receive a piece of the stream. `b""` is the end."""
        if not (self._received_end or self._complete or self._error):
            self._decoder.receive_data(data)
            self._received_end = not data

    def events(self) -> Iterator[Output]:
        """Yield the outputs that are complete."""
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._error is not None:
                raise self._error
            if self._complete or not self._advance():
                return

    def _advance(self) -> bool:
        """Decode the next event. Return False if more data is needed."""
        try:
            event = next(self._decoder.events(), None)
            if event is None:
                if not self._received_end:
                    return False
                self._end(marked=False)
            elif (data := event.data.strip()) == _DONE:
                self._end(marked=True)
            elif data:  # some servers send empty events to keep the connection alive
                self._ready.extend(self._answer.read(_parsed(data, self._redactor), "delta", event=event.event))
        except RemoteProtocolError as error:
            self._error = model_protocol_error(error.message)
        except StatusError as error:
            self._error = error
        return True

    def _end(self, *, marked: bool) -> None:
        self._ready.extend(self._answer.end(marked=marked))
        self._complete = True


def completion_outputs(body: bytes, *, redactor: Redactor | None = None, id_prefix: str = "call_") -> Iterator[Output]:
    """Decode the body of a response without streaming, into outputs as for a stream. Raises like `CompletionStream`."""
    redactor = redactor or Redactor()
    answer = AnswerReader(redactor, id_prefix)
    yield from answer.read(_parsed(body, redactor), "message")
    yield from answer.end(marked=True)


def _parsed(data: str | bytes, redactor: Redactor) -> object:
    try:
        return json.loads(data.encode() if isinstance(data, str) else data)
    except ValueError as error:
        raise model_protocol_error(f"it sent invalid JSON ({error}): {redactor.quote(data)}") from None
