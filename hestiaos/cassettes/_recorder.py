"""Records the exchanges of any binding, between the core's requests and its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, reduce
from typing import Any

from attrs import evolve

from hestiaos.cassettes._format import End, Exchange, Piece, RecordedRequest
from hestiaos_proto import CallFlow, HestiaError, Redactor, Response, Send, json

__all__ = ["Recorder", "request_of"]

_NOT_RECORDED = frozenset(
    # A body is recorded decompressed and without its framing; the others hold secrets.
    {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}
    | {"authorization", "cookie", "proxy-authenticate", "proxy-authorization", "set-cookie"}
)


def request_of(send: Send) -> RecordedRequest:
    """Create the record of a request, for storing and comparing, before its secrets are redacted."""
    request = send.request
    return RecordedRequest(request.method, send.operation.path, json.loads(request.body) if request.body else None)


class Recorder:
    """Keeps the exchanges of its clients, in the order of their requests. `clock` counts seconds; threads may share it.

    Nothing is redacted before `exchanges` is called, since a secret may become known by a later request.
    """

    def __init__(self, clock: Callable[[], float], secrets: Iterable[str] = ()) -> None:
        self._clock = clock
        self._redactor = Redactor(*secrets)
        self._recordings: list[_Recording] = []

    def exchange(self, send: Send) -> CallFlow[Response]:
        """Send the request, and record it with its response or the fault instead."""
        recording = _Recording(send, self._clock)
        self._recordings.append(recording)
        try:
            response = yield evolve(send, new_response=partial(_RecordedResponse, recording))
            assert response is not None, "a Send is answered with a Response"
            return response
        except HestiaError as error:
            recording.fail(error)
            raise

    def pause(self, seconds: float) -> float:
        """Return `seconds` unchanged."""
        return seconds

    def exchanges(self) -> list[Exchange]:
        """Return what was recorded so far, without secrets. An exchange in progress ends with `left`."""
        recordings = list(self._recordings)
        redactor = reduce(Redactor.joined, [each.redactor() for each in recordings], self._redactor)
        return [_redacted(each.exchange, redactor) for each in recordings]


class _Recording:
    """One exchange while it is in progress."""

    def __init__(self, send: Send, clock: Callable[[], float]) -> None:
        self.exchange = Exchange(request_of(send))
        self._send = send
        self._clock = clock
        self._last = clock()
        self._ended = False

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Record the head of the response."""
        self.exchange.status, self.exchange.after = status, self._since()
        self.exchange.headers = {name: value for name, value in headers.items() if name not in _NOT_RECORDED}

    def piece(self, data: bytes) -> None:
        """Record a decompressed piece of the body."""
        if data and not self._ended:
            self.exchange.pieces.append(Piece(self._since(), data))

    def complete(self) -> None:
        """Record the end of the response."""
        self._end(End("complete", self._since()))

    def fail(self, error: HestiaError) -> None:
        """Record a fault instead of the response, or of its end."""
        self._end(End.of(error, self._since()))

    def redactor(self) -> Redactor:
        """Return the redactor of the key, and of the secret that was set or fetched."""
        if self._send.operation.name != "get_secret":
            return self._send.redactor
        try:
            body = json.loads(b"".join(piece.data for piece in self.exchange.pieces))
        except ValueError:  # not a secret, but an error's page
            return self._send.redactor
        value = body.get("value") if isinstance(body, dict) else None
        return self._send.redactor.joined(Redactor(value if isinstance(value, str) else None))

    def _end(self, end: End) -> None:
        if not self._ended:
            self._ended = True
            self.exchange.end = end

    def _since(self) -> float:
        last, self._last = self._last, self._clock()
        return self._last - last


class _RecordedResponse(Response):
    """A response that records what it receives."""

    def __init__(self, recording: _Recording, status: int, headers: Iterable[tuple[bytes, bytes]], **rest: Any) -> None:
        super().__init__(status, headers, **rest)
        self._recording = recording
        recording.head(status, self.headers)

    def receive_data(self, data: bytes) -> None:
        super().receive_data(data)
        if self.complete or (self.stream is not None and self.stream.finished):
            self._recording.complete()

    def connection_lost(self, error: HestiaError) -> None:
        self._recording.fail(error)
        super().connection_lost(error)

    def _take(self, piece: bytes) -> None:
        self._recording.piece(piece)
        super()._take(piece)


def _redacted(exchange: Exchange, redactor: Redactor) -> Exchange:
    request, end = exchange.request, exchange.end
    pieces = redactor.pieces([piece.data for piece in exchange.pieces])
    return Exchange(
        RecordedRequest(request.method, redactor.text(request.path), redactor.value(request.body)),
        exchange.status,
        {redactor.text(name): redactor.text(value) for name, value in exchange.headers.items()},
        exchange.after,
        [evolve(piece, data=data) for piece, data in zip(exchange.pieces, pieces, strict=True)],
        evolve(end, message=redactor.text(end.message)),
    )
