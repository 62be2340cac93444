"""Parses a response: a plain one itself, any other by h11, from its first byte on."""

from __future__ import annotations

from collections.abc import Iterator

import h11

from hestiaos_proto._client_messages import Request
from hestiaos_proto._connection.chunks import ChunkDecoder, HeadScanner
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE, head_size
from hestiaos_proto._connection.plain_heads import BLANK_LINE, PlainHead, plain_head
from hestiaos_proto._connection.request_writer import write_by_h11
from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["ResponseReader"]

_FIRST = b"HTTP/"
_LAST_CHUNK = b"0\r\n\r\n"  # without trailers, and with nothing after it


class ResponseReader:
    """Reads the response to `request`.

    `connection` is the h11 connection that wrote the request, if one did; it then reads the response too. At the end of
    the response, `keep_alive` is whether another request can follow, and `ahead` what arrived after it.
    """

    def __init__(self, request: Request, connection: h11.Connection | None = None) -> None:
        self.keep_alive = False
        self.ahead = b""
        self._request = request
        self._h11 = connection
        self._heads = HeadScanner()  # of those that h11 reads
        self._first = b""  # of what h11 reads, as far as it shows whether this is HTTP
        self._head: PlainHead | None = None
        self._head_data = b""
        self._received = 0  # of a body with a Content-Length, in bytes
        self._chunks = ChunkDecoder()

    @property
    def begun(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._head_data or self._first)

    def read(self, data: bytes) -> Iterator[PlainHead | h11.Response | bytes]:
        """Yield the head, pieces of the body, and `b""` for the end of the response, as they are in `data`.

        `data` is what arrived, in whatever pieces; `b""` is the end of the connection. Raises `h11.RemoteProtocolError`
        or `RemoteProtocolError` after what arrived whole.
        """
        if self._h11 is None and self._head is None:
            end = data.find(BLANK_LINE) + len(BLANK_LINE)
            head = plain_head(data[:end])
            if head is not None and head.status_code >= 200:
                self._head, self._head_data, data = head, data[:end], data[end:]
                yield head
                if not data and head.length != 0:
                    return
        if self._head is not None and self._head.length is not None:
            yield from self._read_length(self._head, self._head.length, data)
        elif (self._head is not None or self._heads.chunked) and self._chunks.rest is None:
            yield from self._read_chunks(data)
        else:
            yield from self._read_by_h11(data)

    def _read_length(self, head: PlainHead, length: int, data: bytes) -> Iterator[bytes]:
        body = data[: length - self._received]
        self._received += len(body)
        if body:
            yield body
        if self._received == length:
            self.keep_alive, self.ahead = head.keep_alive, data[len(body) :]
            yield b""
        elif not data:
            raise h11.RemoteProtocolError(
                "peer closed connection without sending complete message body "
                f"(received {self._received} bytes, expected {length})"
            )

    def _read_chunks(self, data: bytes) -> Iterator[PlainHead | h11.Response | bytes]:
        yield from self._chunks.decode(data)
        if self._chunks.rest is None:
            return
        if self._chunks.rest == _LAST_CHUNK and self._head is not None:
            self.keep_alive = self._head.keep_alive
            yield b""
            return
        yield from self._receive(self._head_data + self._chunks.rest)
        if not data:
            yield from self._receive(b"")

    def _read_by_h11(self, data: bytes) -> Iterator[PlainHead | h11.Response | bytes]:
        if self._head is None and not self._heads.ended:
            end = self._heads.scan(data)
            if self._heads.chunked:
                yield from self._receive(data[:end])
                if end < len(data):
                    yield from self._read_chunks(data[end:])
                return
        yield from self._receive(data)

    def _receive(self, data: bytes) -> Iterator[h11.Response | bytes]:
        if self._h11 is None:
            _, self._h11 = write_by_h11(self._request)
        self._first += data[: len(_FIRST) - len(self._first)]
        self._h11.receive_data(data)
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.Response):
                if head_size(event) > MAX_HEAD_SIZE:  # h11 measures only a head that comes in pieces
                    raise RemoteProtocolError(f"the response's headers are larger than {MAX_HEAD_SIZE} bytes")
                if self._head is None:  # else it has been given, and h11 reads only the chunks
                    yield event
            elif isinstance(event, h11.EndOfMessage):
                self.keep_alive = self._h11.our_state is self._h11.their_state is h11.DONE
                self.ahead = self._h11.trailing_data[0]
                yield b""
                return
            elif not isinstance(event, h11.InformationalResponse):  # RFC 9110, section 15.2: 1xx may come before
                break
        # RFC 9112, section 4: h11 waits for the end of the headers before it looks at what they begin with.
        if not _FIRST.startswith(self._first):
            raise RemoteProtocolError("the server does not speak HTTP/1.1")
