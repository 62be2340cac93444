"""A loop of our own over the chunks of a body: h11's way takes five times as long, which an event stream feels."""

from __future__ import annotations

from collections.abc import Iterator

import h11

__all__ = ["ChunkDecoder"]

_CRLF = b"\r\n"
_LONGEST_LINE = 16 + len(_CRLF)  # as many digits as a plain chunk's size may have, and its end
_DIGITS = b"0123456789abcdefABCDEF"


class ChunkDecoder:
    """Undoes the chunked coding (RFC 9112, section 7.1) of plain chunks: a size, no extension, not the last one.

    From the first other chunk on everything is `rest`, for h11 to judge.
    """

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self._kept = b""  # the beginning of a chunk's first line, or of the CRLF behind its data
        self._left = 0  # of the chunk that has begun, with the CRLF behind its data

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The body's bytes in `data`, in one piece.

        Raises `h11.RemoteProtocolError` behind them where a chunk is longer than it says.
        """
        data = self._kept + data
        self._kept = b""
        pieces: list[bytes] = []
        place, size = 0, len(data)
        broken = False
        while place < size and not broken:
            if not self._left:
                end = data.find(_CRLF, place, place + _LONGEST_LINE)
                digits = data[place:end]
                if end < 0 and size - place < _LONGEST_LINE:
                    self._kept = data[place:]
                    break
                # int() knows signs, spaces and underscores too, chunk-size is hexadecimal digits only.
                if end <= place or digits.strip(_DIGITS) or not (length := int(digits, 16)):
                    self.rest = data[place:]
                    break
                self._left = length + len(_CRLF)
                place = end + len(_CRLF)
            end = place + self._left - len(_CRLF)
            pieces.append(data[place:end])
            footer = data[end : end + len(_CRLF)]
            if not _CRLF.startswith(footer):
                broken = True
            elif footer != _CRLF:
                self._kept = footer
                self._left -= min(end, size) - place
                break
            self._left = 0
            place = end + len(_CRLF)
        if body := b"".join(pieces):
            yield body
        if broken:
            raise h11.RemoteProtocolError("a chunk does not end where its size says")
