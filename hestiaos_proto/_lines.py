"""Bytes to lines, by the rules of the WHATWG HTML standard, section 9.2 "Server-sent events"."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hestiaos_proto._errors import LocalProtocolError, RemoteProtocolError

__all__ = ["MAX_EVENT_SIZE", "LineDecoder"]

MAX_EVENT_SIZE = 16 * 1024 * 1024
"""The default limit of one event, and so of one line, in bytes."""

_LF, _CR = b"\n\r"  # as numbers: comparing them takes a quarter of the time
_BOM = b"\xef\xbb\xbf"


class LineDecoder:
    """Decodes bytes to lines, which end at CR, LF or CRLF only. One leading byte order mark is dropped.

    A line is yielded as soon as its end has arrived: a CR is not held back to see whether LF follows. What arrives
    after the last line end is the `rest`. A line over `max_size` bytes raises `RemoteProtocolError`.
    """

    def __init__(self, max_size: int = MAX_EVENT_SIZE) -> None:
        self._max_size = max_size
        self._blocks: deque[bytes] = deque()  # lines that arrived together, with their ends
        self._lines: Iterator[bytes] = iter(())  # of the block that is being read
        self._partial = bytearray()  # the line that has begun
        self._at_start = True
        self._after_cr = False
        self._after_lf = False  # the next byte begins a line
        self._closed = False
        self._error: RemoteProtocolError | None = None  # raised after the last of the blocks

    @property
    def rest(self) -> bytes:
        """The beginning of a line that has not ended."""
        return bytes(self._partial).removeprefix(_BOM) if self._at_start else bytes(self._partial)

    @property
    def closed(self) -> bool:
        """Whether the end has been received."""
        return self._closed

    def receive_data(self, data: bytes) -> None:
        """Receive data, in any pieces; `b""` is the end of the stream."""
        if self._closed:
            raise LocalProtocolError("data was received after the end of the stream: use a new decoder for a new one")
        if not data:
            self._closed = True
        elif self._after_lf and data[-1] == _LF and len(data) <= self._max_size:
            self._blocks.append(data)
        elif self._error is None:
            self._cut(data)

    def events(self) -> Iterator[bytes]:
        """Yield the lines that are complete, without their ends."""
        blocks = self.blocks()
        while True:
            yield from self._lines
            if (block := next(blocks, None)) is None:
                return
            self._lines = iter(block.splitlines())

    def blocks(self) -> Iterator[bytes | None]:
        """Complete lines that arrived together, with their ends; `None` if more data has to be received first.

        For callers that can read several lines at once. They are `block.splitlines()`: for bytes that is the standard's
        rule, while `str.splitlines` knows more line ends.
        """
        blocks = self._blocks
        while True:
            while blocks:
                yield blocks.popleft()
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            yield None

    def _cut(self, data: bytes) -> None:
        if self._after_cr and data[0] == _LF:  # the second half of a CRLF
            data = data[1:]
            self._after_cr = False
            if not data:
                return
        self._after_cr = data[-1] == _CR
        self._after_lf = data[-1] == _LF
        whole = self._after_cr or self._after_lf
        end = len(data) if whole else data.rfind(b"\n") + 1
        end = data.rfind(b"\r", end) + 1 or end  # after the last line end, of whichever kind
        if end:
            block = data[:end]
            if self._partial:
                block = b"".join((self._partial, block))
                self._partial.clear()
            self._blocks.append(self._limited(block.removeprefix(_BOM) if self._at_start else block))
            self._at_start = False
        if not whole and self._error is None:
            self._partial += data[end:]
            bom = len(_BOM) if self._at_start and self._partial.startswith(_BOM) else 0
            if len(self._partial) - bom > self._max_size:
                self._fail()

    def _limited(self, block: bytes) -> bytes:
        """Return the lines of a block before the first that is too long."""
        if len(block) > self._max_size:
            end = 0
            for line in block.splitlines(keepends=True):
                if len(line.rstrip(b"\r\n")) > self._max_size:
                    self._fail()
                    return block[:end]
                end += len(line)
        return block

    def _fail(self) -> None:
        self._error = RemoteProtocolError(f"a line of the event stream is longer than {self._max_size} bytes")
        self._partial = bytearray()
        self._after_lf = False
