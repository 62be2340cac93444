"""A model server's response as it arrives: status, headers, then the body in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hestiaos_local.execution import Output
from hestiaos_local.openai._completions import CompletionStream, completion_outputs
from hestiaos_local.openai._upstream_errors import model_protocol_error, upstream_error
from hestiaos_proto import MAX_BODY_SIZE, HestiaError, Redactor, TimedOut

__all__ = ["CompletionResponse", "ModelResponse"]

_MAX_ERROR_BODY = 64 * 1024  # in bytes; a larger body of an error is not read to its end


class ModelResponse:
    """A response that is collected, `complete` at its end: then `body` is that of status 200.

    `redactor` hides the key of the model server. Raises the `StatusError` of a failure there.
    """

    stream: CompletionStream | None = None

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]], *, redactor: Redactor) -> None:
        self.complete: bool = False
        self._cut = False
        self._status = status
        self._redactor = redactor
        self._body = bytearray()
        self._headers: dict[str, str] = {}
        for name, value in headers:
            self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        coding = self._headers.get("content-encoding", "identity")
        if status == 200 and coding.lower() != "identity":
            raise model_protocol_error(f"it sent the content coding {redactor.quote(coding)}, though not asked to")

    @property
    def body(self) -> bytes:
        """The whole body. Raises a `StatusError` for a status other than 200."""
        if self._status != 200:
            # The end of a truncated body may have a part of a secret, which no redactor finds.
            body = None if self._cut else bytes(self._body)
            raise upstream_error(self._status, self._headers, body, self._redactor)
        return bytes(self._body)

    def receive_data(self, data: bytes) -> None:
        """Receive a piece of the body; `b""` is its end."""
        self.complete = self.complete or not data
        self._body += data
        if self._status != 200 and len(self._body) > _MAX_ERROR_BODY:
            self._cut = self.complete = True
        elif len(self._body) > MAX_BODY_SIZE:
            raise model_protocol_error(f"its answer is larger than {MAX_BODY_SIZE} bytes")

    def connection_lost(self, error: HestiaError) -> None:
        """Receive the fault that ended the body, and raise it. Of an error the status is enough."""
        if self._status == 200:
            raise error
        self._cut = self.complete = True


class CompletionResponse(ModelResponse):
    """The response to a request for a completion: `outputs` are those that can be had now.

    A server that does not stream answers with JSON, whose outputs are there when it is complete.
    """

    def __init__(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], *, redactor: Redactor, id_prefix: str
    ) -> None:
        super().__init__(status, headers, redactor=redactor)
        self._id_prefix = id_prefix
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if status == 200 and kind != "application/json":
            self.stream = CompletionStream(redactor=redactor, id_prefix=id_prefix)

    @property
    def finished(self) -> bool:
        """Whether all outputs were given."""
        return self.complete if self.stream is None else self.stream.finished

    def outputs(self) -> Iterator[Output]:
        """Yield the outputs that are complete."""
        if self.stream is not None:
            return self.stream.events()
        return completion_outputs(self.body, redactor=self._redactor, id_prefix=self._id_prefix)

    def receive_data(self, data: bytes) -> None:
        """Receive a piece of the body; `b""` is its end."""
        if self.stream is None:
            super().receive_data(data)
        else:
            self.stream.receive_data(data)

    def connection_lost(self, error: HestiaError) -> None:
        """Receive the fault that ended the body. What has come of a stream may be a whole answer."""
        if self.stream is None or isinstance(error, TimedOut):
            super().connection_lost(error)
        else:
            self.stream.receive_data(b"")
