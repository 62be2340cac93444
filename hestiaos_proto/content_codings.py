"""Content codings (RFC 9110, section 8.4.1).

gzip and deflate are undone piece by piece, so that whoever takes the pieces can stop a bomb.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from hestiaos_proto.errors import RemoteProtocolError

__all__ = ["ACCEPT_ENCODING", "ContentDecoder"]

ACCEPT_ENCODING = "gzip, deflate"

_PIECE = 64 * 1024  # how much is handed out at a time, in bytes
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_FORMATS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class ContentDecoder:
    """Undoes one coding. `decode` raises `RemoteProtocolError` for damaged data, and for a coding not asked for."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._plain = self._coding in ("", "identity")
        self._format = _FORMATS.get(self._coding)
        self._zlib: zlib._Decompress | None = None
        self._head = b""

    def decode(self, data: bytes) -> Iterable[bytes]:
        """What `data` stands for, coded data at most 64 KiB at a time; `b""` is the end, and is handed on."""
        return (data,) if self._plain else self._decode(data)

    def _decode(self, data: bytes) -> Iterator[bytes]:
        if self._format is None:
            raise RemoteProtocolError(f"the response has the content coding {self._coding!r}, which was not asked for")
        elif data:
            yield from self._inflate(self._format, self._head + data)
        elif self._head or (self._zlib is not None and not self._zlib.eof):
            raise RemoteProtocolError("the response's body ends inside its compressed data")
        else:
            yield data

    def _inflate(self, form: int, data: bytes) -> Iterator[bytes]:
        if self._zlib is None and form == _ZLIB:
            # RFC 1950, section 2.2: two bytes tell the zlib format from the bare deflate data that some servers send.
            self._head = b"" if len(data) > 1 else data
            if self._head:
                return
            if data[0] & 0x0F != 8 or int.from_bytes(data[:2]) % 31:
                form = self._format = _RAW
        piece = b""
        while data or len(piece) == _PIECE:
            if self._zlib is None or (self._zlib.eof and data):  # RFC 1952, section 2.2: members follow one another
                self._zlib = zlib.decompressobj(form)
            before = self._zlib.copy()
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error as error:
                yield from _up_to_the_fault(before, data)
                raise RemoteProtocolError(f"the response's compressed body is damaged: {error}") from None
            if piece:
                yield piece
            data = self._zlib.unconsumed_tail or self._zlib.unused_data


def _up_to_the_fault(decompressor: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What zlib had made of `data` before it came to the fault, and does not hand out with it."""
    for place in range(len(data)):  # pragma: no branch  # the same bytes come to the same fault again
        try:
            piece = decompressor.decompress(data[place : place + 1])
        except zlib.error:
            return  # the caller has it
        if piece:
            yield piece
