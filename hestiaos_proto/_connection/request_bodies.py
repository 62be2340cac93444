"""The body of a request, taken from a buffer that grows."""

from __future__ import annotations

import re

from hestiaos_proto._connection.plain_heads import BLANK_LINE
from hestiaos_proto._connection.request_heads import FIELDS, BadRequest

__all__ = ["ChunkedBody", "PlainBody", "TooLarge"]

_CRLF = b"\r\n"
_MAX_LINE = 4096  # of a chunk's first line, and of the trailers, in bytes
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:[\t ]*;[\t -~\x80-\xff]*+)?\r\n")


class TooLarge(Exception):
    """The body is larger than the server takes."""


class PlainBody:
    """A body whose length is known."""

    def __init__(self, length: int) -> None:
        self._length = length

    def read(self, buffer: bytearray) -> bytes | None:
        """Take the body from the buffer. Return `None` while it is incomplete."""
        if len(buffer) < self._length:
            return None
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        return body

    def skip(self, buffer: bytearray) -> bool:
        """Discard what has arrived of the body from the buffer. Return whether that was all of it."""
        skipped = min(len(buffer), self._length)
        del buffer[:skipped]
        self._length -= skipped
        return not self._length


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1). Their extensions and the trailers are checked and dropped."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._data = bytearray()
        self._left = 0  # of the chunk that has begun, in bytes
        self._in_chunk = False
        self._in_trailers = False

    def read(self, buffer: bytearray) -> bytes | None:
        """Take what has arrived from the buffer. Return the body, or `None` while it is incomplete.

        Raises `BadRequest`, and `TooLarge` as soon as a chunk exceeds the limit.
        """
        place = 0
        while not self._in_trailers and (end := self._step(buffer, place)) != place:
            place = end
        del buffer[:place]
        return bytes(self._data) if self._in_trailers and self._read_trailers(buffer) else None

    def _step(self, buffer: bytearray, place: int) -> int:
        """Read a chunk's first line, or what has arrived of its data. Return the offset of its end."""
        if not self._in_chunk:
            return self._read_line(buffer, place)
        if self._left:
            data = buffer[place : place + self._left]
            self._data += data
            self._left -= len(data)
            place += len(data)
        end = buffer[place : place + len(_CRLF)]
        if not self._left and end == _CRLF:
            self._in_chunk = False
            return place + len(_CRLF)
        if not self._left and not _CRLF.startswith(end):
            raise BadRequest("a chunk does not have the size that it declares")
        return place

    def _read_line(self, buffer: bytearray, place: int) -> int:
        end = buffer.find(b"\n", place, place + _MAX_LINE) + 1
        if not end:
            if len(buffer) - place >= _MAX_LINE:
                raise BadRequest(f"the first line of a chunk is longer than {_MAX_LINE} bytes")
            return place
        line = _CHUNK_LINE.fullmatch(buffer, place, end)
        if line is None:
            raise BadRequest("a chunk must begin with its size in hexadecimal digits, in a line that ends with CR LF")
        self._left = int(line[1], 16)
        if len(self._data) + self._left > self._max_size:
            raise TooLarge
        self._in_chunk = self._left > 0
        self._in_trailers = not self._in_chunk
        return end

    def _read_trailers(self, buffer: bytearray) -> bool:
        if buffer.startswith(_CRLF):
            del buffer[: len(_CRLF)]
            return True
        end = buffer.find(BLANK_LINE, 0, _MAX_LINE) + len(BLANK_LINE)
        if end >= len(BLANK_LINE):
            if FIELDS.fullmatch(buffer, 0, end) is None:
                raise BadRequest("illegal trailer line")
            del buffer[:end]
            return True
        if len(buffer) >= _MAX_LINE:
            raise BadRequest(f"the trailers are larger than {_MAX_LINE} bytes")
        return False
