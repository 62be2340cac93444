"""The messages of one HTTP exchange, on the client's side: the whole request, and the response as it arrives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import Factory, field, frozen

from hestiaos_proto._config import MAX_BODY_SIZE, MAX_HEAD_SIZE
from hestiaos_proto._content_codings import ContentDecoder
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import HestiaError, RemoteProtocolError
from hestiaos_proto._http_date import parse_http_date
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._stream import RunStream

__all__ = ["IS_IT_HESTIAOS", "Request", "Response", "ResponseInfo"]

IS_IT_HESTIAOS = "is this a HestiaOS server?"
"""The hint for a response that no HestiaOS server would send."""

_SECONDS = re.compile(r"\d+(\.\d+)?([eE]\+?\d+)?", re.ASCII)


@frozen
class Request:
    """A whole request. Its sender adds the headers for the host, the length and the connection."""

    method: str
    origin: str
    target: str
    headers: Mapping[str, str] = field(repr=False)  # one is the key
    body: bytes = field(default=b"", repr=False)  # may be a secret

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self.origin + self.target

    @property
    def host(self) -> str:
        """The value of the Host header, without the zone of an IPv6 address (RFC 6874, section 4)."""
        host = self.origin.partition("://")[2]
        address, bracket, port = host.partition("]")
        return f"{address.partition('%')[0]}]{port}" if bracket and host.startswith("[") else host


@frozen
class ResponseInfo:
    """A response's status and headers, their names in lower case; the API key and secrets are redacted.

    `request_id` is its `X-Request-Id`, `None` if the server sent none.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None = Factory(lambda self: self.headers.get("x-request-id"), takes_self=True)


class Response:
    """A response whose status and headers have arrived; its body follows through `receive_data`.

    The body is decompressed (gzip, deflate) and collected; that of the event stream that was requested is passed to
    `stream`. What an error quotes of it is redacted by `redactor`.

    The body of a refusal (a status other than 2xx) need not be readable: after a fault it is what arrived before, and
    the response is `complete`.

    Raises `RemoteProtocolError` for headers over 64 KiB.
    """

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        stream: RunStream | None = None,
        max_body_size: int = MAX_BODY_SIZE,
        deadline: Deadline | None = None,
        redactor: Redactor | None = None,
        url: str = "",
    ) -> None:
        self.status = status
        self.url = url
        self.headers: dict[str, str] = {}
        head_size = 0
        for name, value in headers:
            head_size += len(name) + len(value) + len(": \r\n")
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text
        if head_size > MAX_HEAD_SIZE:
            raise RemoteProtocolError(f"the response's headers are larger than {MAX_HEAD_SIZE} bytes")
        self.complete: bool = False
        self._refused = not 200 <= status < 300
        self.stream: RunStream | None = stream if status == 200 and self.content_type == "text/event-stream" else None
        self._max_size = max_body_size
        self.deadline: Deadline = deadline or Deadline.never()
        self.redactor: Redactor = redactor or Redactor()
        self._body = bytearray()
        coding = self.headers.get("content-encoding", "")
        self._content = ContentDecoder(self.redactor.text(coding) if coding else "")  # an error quotes it

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; `""` if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """The body so far, decompressed; empty for a `stream`."""
        return bytes(self._body)

    @property
    def info(self) -> ResponseInfo:
        """The status and headers, redacted, for hooks and errors."""
        redact = self.redactor.text
        return ResponseInfo(self.status, {redact(name): redact(value) for name, value in self.headers.items()})

    def describe(self, *, quoted: bool | None = None) -> str:
        """Describe the response for an error's message: its URL, status and body.

        The body's beginning is `quoted`; by default that of JSON is not, since it may hold a secret.
        """
        if quoted is None:
            quoted = not self.content_type.endswith("json")
        text = f"{self.redactor.text(self.url) or 'the server'} answered with status {self.status}"
        if not self._body:
            return f"{text} and no body"
        kind = self.redactor.text(self.headers.get("content-type", "")).partition(";")[0].strip()  # as it was sent
        text += f" and {kind or 'no content type'}"
        return f"{text} ({self.redactor.quote(self._body)})" if quoted else text

    def retry_after(self, now: float | None = None) -> float | None:
        """Return the wait that the server requests, in seconds (RFC 9110, section 10.2.3), or `None` if there is none.

        A date counts from `now`, in seconds since 1970, or without it from the date of the response. The standard has
        whole seconds only; some servers send fractions and exponents, which are accepted.
        """
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        if _SECONDS.fullmatch(value):
            return float(value)
        if now is None:
            now = parse_http_date(self.headers.get("date", ""), now=parse_http_date(value, now=None))
        date = parse_http_date(value, now=now)
        return None if date is None or now is None else max(0.0, date - now)

    def receive_data(self, data: bytes) -> None:
        """Receive a piece of the body; `b""` is its end.

        Raises `TimedOut` after the deadline, `RemoteProtocolError` for damaged data and for a body over the limit. The
        `events` of a stream raise those, after the events that arrived whole; a refusal does not raise them.
        """
        if self.complete:
            return
        try:
            self.deadline.check()
            for piece in self._content.decode(data):
                self._take(piece)
            self.complete = not data
        except HestiaError as error:
            self.connection_lost(error)

    def connection_lost(self, error: HestiaError) -> None:
        """Receive the fault that ended the body, and raise it, or let the `events` of the stream raise it."""
        if self.stream is not None:
            self.stream.connection_lost(error)
        elif self._refused:
            self.complete = True  # the status matters more than an unreadable body
        elif not self.complete:
            error.response = self.info
            raise error

    def _take(self, piece: bytes) -> None:
        if self.stream is not None:
            self.stream.receive_data(piece)
            return
        if len(self._body) + len(piece) > self._max_size:
            if self._refused:
                self._body += piece[: self._max_size - len(self._body)]
            raise RemoteProtocolError(f"the response's body is larger than {self._max_size} bytes")
        self._body += piece
