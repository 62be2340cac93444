"""Content codings (RFC 9110, section 8.4.1).

gzip and deflate are decoded piece by piece, so that the caller can stop at a decompression bomb. The cost of each
received byte is bounded, also for many small members, for empty ones, and for one that grows without end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["ACCEPT_ENCODING", "ContentDecoder"]

ACCEPT_ENCODING = "gzip, deflate"

_MAX_OUTPUT = 64 * 1024  # how much is returned at a time, in bytes
_MAX_INPUT = 16 * 1024  # how much is passed to zlib at a time, which copies what it does not consume
_FIRST_IN = 256  # the same at the beginning of a member, which may be short
_MAX_SILENT = 128 * 1024  # how much may decode to nothing: twice the longest extra field of a gzip header
_CHECKPOINT = 4 * 1024  # after how many bytes the decompressor is copied, which takes as long as an event
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_FORMATS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class ContentDecoder:
    """Decodes one coding. `decode` raises `RemoteProtocolError` for damaged data, and for a coding not accepted."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._plain = self._coding in ("", "identity")
        self._format = _FORMATS.get(self._coding)
        self._inflater: _Inflater | None = None
        self._head = b""

    def decode(self, data: bytes) -> Iterable[bytes]:
        """Return the decoded data, at most 64 KiB at a time; `b""` is the end, and is passed on."""
        if self._plain:
            return (data,)
        return self._decode(data) if self._inflater is None or not data else self._inflater.inflate(data)

    def _decode(self, data: bytes) -> Iterator[bytes]:
        if self._format is None:
            raise RemoteProtocolError(f"the response has the content coding {self._coding!r}, which was not requested")
        if not data:
            if self._head or (self._inflater is not None and not self._inflater.complete):
                raise RemoteProtocolError("the response's body ends inside its compressed data")
            yield data
            return
        data = self._head + data
        # RFC 1950, section 2.2: two bytes distinguish the zlib format from bare deflate data, which some servers send.
        self._head = data if self._format == _ZLIB and len(data) < 2 else b""
        if not self._head:
            is_raw = self._format == _ZLIB and (data[0] & 0x0F != 8 or int.from_bytes(data[:2]) % 31)
            self._inflater = _Inflater(_RAW if is_raw else self._format)
            yield from self._inflater.inflate(data)


class _Inflater:
    """Decodes deflate, one member after another (RFC 1952, section 2.2)."""

    def __init__(self, form: int) -> None:
        self._format = form
        self._silent = 0  # how many of the last bytes have decoded to nothing
        self._zlib = zlib.decompressobj(form)
        self._step = _FIRST_IN
        self._checkpoint: zlib._Decompress | None = None  # a copy of it; `None` at the beginning of a member
        self._since = bytearray()  # received since then,
        self._given = 0  # and how much has been decoded of it

    @property
    def complete(self) -> bool:
        """Whether a member has ended, and no other has begun."""
        return self._zlib.eof

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded data in pieces. Raises `RemoteProtocolError` after the data that precedes the damage."""
        place = 0
        while place < len(data):
            if self._zlib.eof:
                self._zlib = zlib.decompressobj(self._format)
                self._step = _FIRST_IN
                self._note(None)
            elif len(self._since) >= _CHECKPOINT:
                self._note(self._zlib.copy())
            chunk = rest = data[place : place + self._step]
            self._since += chunk
            before = self._given
            more = True
            while more:
                try:
                    piece = self._zlib.decompress(rest, _MAX_OUTPUT)
                except zlib.error as error:
                    yield from self._bytewise()
                    raise RemoteProtocolError(f"the response's compressed body is damaged: {error}") from None
                if piece:
                    self._given += len(piece)
                    yield piece
                rest = self._zlib.unconsumed_tail
                more = bool(rest) or len(piece) == _MAX_OUTPUT  # a full piece is mostly not the last
            used = len(chunk) - len(self._zlib.unused_data)
            place += used
            self._step = min(2 * self._step, _MAX_INPUT)
            self._silent = 0 if self._given > before else self._silent + used
            if self._silent > _MAX_SILENT:
                raise RemoteProtocolError(f"more than {_MAX_SILENT} bytes of the response's body decode to nothing")

    def _note(self, checkpoint: zlib._Decompress | None) -> None:
        self._checkpoint = checkpoint
        self._since.clear()
        self._given = 0

    def _bytewise(self) -> Iterator[bytes]:
        """Yield the data that zlib had decoded before the fault, and does not return with it."""
        decompressor = self._checkpoint or zlib.decompressobj(self._format)
        given = self._given
        for place in range(len(self._since)):  # pragma: no branch  # the same bytes end with the same fault
            try:
                piece = decompressor.decompress(self._since[place : place + 1])
            except zlib.error:
                return  # the caller raises it
            if len(piece) > given:
                yield piece[given:]
            given = max(0, given - len(piece))
