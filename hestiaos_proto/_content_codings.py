"""Content codings (RFC 9110, section 8.4.1).

gzip and deflate are undone piece by piece, so that whoever takes the pieces can stop a bomb. What a byte costs is
bounded, however the data is made: of many small members, of empty ones, or of one that grows without end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from hestiaos_proto._errors import RemoteProtocolError

__all__ = ["ACCEPT_ENCODING", "ContentDecoder"]

ACCEPT_ENCODING = "gzip, deflate"

_MOST_OUT = 64 * 1024  # how much is handed out at a time, in bytes
_MOST_IN = 16 * 1024  # how much zlib is given at a time: it copies what it does not take, again and again
_FIRST_IN = 256  # the same where a member begins, which may be a short one
_MOST_SILENT = 128 * 1024  # how much may stand for nothing, twice what a gzip header's extra field can hold
_CHECKPOINT = 4 * 1024  # after how many bytes the decompressor is copied, which takes as long as an event
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
        self._inflater: _Inflater | None = None
        self._head = b""

    def decode(self, data: bytes) -> Iterable[bytes]:
        """What `data` stands for, coded data at most 64 KiB at a time; `b""` is the end, and is handed on."""
        if self._plain:
            return (data,)
        return self._decode(data) if self._inflater is None or not data else self._inflater.inflate(data)

    def _decode(self, data: bytes) -> Iterator[bytes]:
        if self._format is None:
            raise RemoteProtocolError(f"the response has the content coding {self._coding!r}, which was not asked for")
        if not data:
            if self._head or (self._inflater is not None and not self._inflater.complete):
                raise RemoteProtocolError("the response's body ends inside its compressed data")
            yield data
            return
        data = self._head + data
        # RFC 1950, section 2.2: two bytes tell the zlib format from the bare deflate data that some servers send.
        self._head = data if self._format == _ZLIB and len(data) < 2 else b""
        if not self._head:
            is_raw = self._format == _ZLIB and (data[0] & 0x0F != 8 or int.from_bytes(data[:2]) % 31)
            self._inflater = _Inflater(_RAW if is_raw else self._format)
            yield from self._inflater.inflate(data)


class _Inflater:
    """Undoes deflate, in members that follow one another (RFC 1952, section 2.2)."""

    def __init__(self, form: int) -> None:
        self._format = form
        self._silent = 0  # how many bytes have stood for nothing, up to here
        self._zlib = zlib.decompressobj(form)
        self._step = _FIRST_IN
        self._checkpoint: zlib._Decompress | None = None  # a copy of it; none is the member's beginning
        self._since = bytearray()  # what came since,
        self._given = 0  # and how much of what it stands for was handed out

    @property
    def complete(self) -> bool:
        """Whether a member has ended, and no other has begun."""
        return self._zlib.eof

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """What `data` stands for, in pieces. Raises `RemoteProtocolError` after what came before the damage."""
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
                    piece = self._zlib.decompress(rest, _MOST_OUT)
                except zlib.error as error:
                    yield from self._up_to_the_fault()
                    raise RemoteProtocolError(f"the response's compressed body is damaged: {error}") from None
                if piece:
                    self._given += len(piece)
                    yield piece
                rest = self._zlib.unconsumed_tail
                more = bool(rest) or len(piece) == _MOST_OUT  # a full piece is mostly not the last
            used = len(chunk) - len(self._zlib.unused_data)
            place += used
            self._step = min(2 * self._step, _MOST_IN)
            self._silent = 0 if self._given > before else self._silent + used
            if self._silent > _MOST_SILENT:
                raise RemoteProtocolError(f"more than {_MOST_SILENT} bytes of the response's body stand for nothing")

    def _note(self, checkpoint: zlib._Decompress | None) -> None:
        self._checkpoint = checkpoint
        self._since.clear()
        self._given = 0

    def _up_to_the_fault(self) -> Iterator[bytes]:
        """What zlib had made of the data before it came to the fault, and does not hand out with it."""
        decompressor = self._checkpoint or zlib.decompressobj(self._format)
        given = self._given
        for place in range(len(self._since)):  # pragma: no branch  # the same bytes come to the same fault again
            try:
                piece = decompressor.decompress(self._since[place : place + 1])
            except zlib.error:
                return  # the caller has it
            if len(piece) > given:
                yield piece[given:]
            given = max(0, given - len(piece))
