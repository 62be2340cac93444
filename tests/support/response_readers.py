"""What three parsers make of one response: ours, h11 alone, and llhttp (`httptools`); and where they may differ."""

from __future__ import annotations

import h11
import httptools
from attrs import define, evolve

from hestiaos_proto import HestiaError, Request
from hestiaos_proto._connection.request_writer import write_by_h11
from hestiaos_proto._connection.response_reader import ResponseReader

__all__ = ["Reading", "by_h11", "by_us", "check"]

REQUEST = Request("POST", "http://h:1", "/api/v1/run", {"Accept": "*/*"}, b"{}")
_OURS = ("the server does not speak HTTP/1.1", "the response's headers are larger than")
"""What is said here of a response of which h11 says nothing, or nothing yet."""


@define
class Reading:
    """What is known of a response after a read."""

    head: tuple[int, list[tuple[bytes, bytes]]] | None = None
    body: bytes = b""
    keep_alive: bool | None = None  # known at the end
    ahead: bytes = b""
    error: str | None = None

    @property
    def over(self) -> bool:
        return self.keep_alive is not None or self.error is not None


def by_us(pieces: list[bytes]) -> tuple[list[Reading], list[int | None]]:
    """Our reading after each piece, and how many bytes it stands on if h11 had no part in it."""
    reader, reading = ResponseReader(REQUEST), Reading()
    readings, plain, received = [], [], 0
    for piece in pieces:
        received += len(piece)
        try:
            for event in reader.read(piece):
                if isinstance(event, bytes):
                    assert reading.head is not None, "the head comes first"
                    assert reading.keep_alive is None, "the end comes last"
                    reading.body += event
                    if not event:
                        reading.keep_alive, reading.ahead = reader.keep_alive, reader.ahead
                else:
                    assert reading.head is None, "there is one head"
                    reading.head = (event.status_code, list(event.headers))
        except (h11.RemoteProtocolError, HestiaError) as error:
            reading.error = _described(error)
        readings.append(evolve(reading))
        undecided = len(reading.ahead) + len(reader._chunks._scanner.line)
        plain.append(received - undecided if reader._h11 is None and reading.error is None else None)
        if reading.over:
            break
    return readings, plain


def by_h11(pieces: list[bytes]) -> list[Reading]:
    """The reading of h11 alone after each piece."""
    _, connection = write_by_h11(REQUEST)
    reading, readings = Reading(), []
    for piece in pieces:
        connection.receive_data(piece)
        try:
            while not isinstance(event := connection.next_event(), (h11.EndOfMessage, type, h11.ConnectionClosed)):
                if isinstance(event, h11.Data):
                    reading.body += event.data
                elif isinstance(event, h11.Response):
                    reading.head = (event.status_code, list(event.headers))
            if isinstance(event, h11.EndOfMessage):
                reading.keep_alive = connection.our_state is h11.DONE and connection.their_state is h11.DONE
                reading.ahead = connection.trailing_data[0]
        except h11.RemoteProtocolError as error:
            reading.error = _described(error)
        readings.append(evolve(reading))
        if reading.over:
            break
    return readings


class _ByLlhttp:
    """llhttp's reading; it raises for what it refuses."""

    def __init__(self) -> None:
        self.reading = Reading()
        self._headers: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.reading.head = (self._parser.get_status_code(), self._headers)
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self.reading.body += data

    def on_message_complete(self) -> None:
        self.reading.keep_alive = self._keep_alive


def check(pieces: list[bytes]) -> None:
    """Check that we read what h11 reads, and that what we read without it llhttp reads too."""
    ours, plain = by_us(pieces)
    if ours[-1].error is not None and ours[-1].error.startswith(_OURS):
        assert plain[-1] is None
        return
    assert ours == by_h11(pieces)
    llhttp, data, fed = _ByLlhttp(), b"".join(pieces), 0
    for reading, end in zip(ours, plain, strict=True):
        if end is None:
            break
        llhttp.feed(data[fed:end])
        fed = end
        assert llhttp.reading == evolve(reading, ahead=b"")


def _described(error: Exception) -> str:
    text = error.message if isinstance(error, HestiaError) else str(error)
    # h11 quotes as much of what is there instead as it has.
    return "a chunk does not have the size that it declares" if text.startswith("malformed chunk footer") else text
