"""A model server's completion: the event stream, in whatever pieces, or the one JSON body, as outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hestiaos_local.execution import Output
from hestiaos_local.openai._answers import AnswerReader
from hestiaos_local.openai._upstream_errors import model_protocol_error
from hestiaos_proto import Redactor, RemoteProtocolError, SSEDecoder, StatusError, json

__all__ = ["MAX_CHUNK_SIZE", "CompletionStream", "completion_outputs"]

MAX_CHUNK_SIZE = 4 * 1024 * 1024
"""How large one chunk of a stream may be, in bytes."""

_DONE = "[DONE]"


class CompletionStream:
    """The stream of a chat completion: bytes in, `Text`, `ToolCall`, `Usage` and `Finish` out.

    It is an event stream by the WHATWG standard whose `data` are JSON chunks, the last one `[DONE]`. Where that is
    missing, a stream that has sent its `finish_reason` is complete. Texts are given as they arrive; the tool calls, the
    usage if the server reports it, and `Finish` when the stream has ended.

    `events` raises a `StatusError` for a stream that was cut, is not one, or says that the server failed, after
    everything that came before; then it raises the same again. `redactor` hides the key of the model server.
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
        """Whether `Finish` was given: nothing more is read then, even if the server sends more."""
        return self._complete and not self._ready

    def receive_data(self, data: bytes) -> None:
        """Take what arrived, in whatever pieces; `b""` is the end of the stream."""
        if not (self._received_end or self._complete or self._error):
            self._decoder.receive_data(data)
            self._received_end = not data

    def events(self) -> Iterator[Output]:
        """The outputs that can be had now."""
        while True:
            while self._ready:
                yield self._ready.popleft()
            if self._error is not None:
                raise self._error
            if self._complete or not self._advance():
                return

    def _advance(self) -> bool:
        """Read one more event; false where more data has to be received first."""
        try:
            event = next(self._decoder.events(), None)
            if event is None:
                if not self._received_end:
                    return False
                self._end(marked=False)
            elif (data := event.data.strip()) == _DONE:
                self._end(marked=True)
            elif data:  # some servers keep a connection alive with events that are empty
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
    """The outputs of a plain response's body, in the same order as those of a stream. Raises as `CompletionStream`."""
    redactor = redactor or Redactor()
    answer = AnswerReader(redactor, id_prefix)
    yield from answer.read(_parsed(body, redactor), "message")
    yield from answer.end(marked=True)


def _parsed(data: str | bytes, redactor: Redactor) -> object:
    try:
        return json.loads(data.encode() if isinstance(data, str) else data)
    except ValueError as error:
        raise model_protocol_error(f"what it sent is not JSON ({error}): {redactor.quote(data)}") from None
