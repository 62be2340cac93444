"""A run stream's lines, cut into payloads: what a `data` line holds, and the objects that go over several of them.

A payload leaves its line as the 1.0 contract froze it, `line.split("data:", 1)[1].strip()`, and is yielded at the
end of the line that completes its JSON object, with or without a blank line after it. An object over several data
lines is joined with LF, as the WHATWG standard says. Both hold at once because no complete JSON object is the
beginning of a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hestiaos_proto import json
from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._event_ids import EventIds
from hestiaos_proto._lines import LineDecoder
from hestiaos_proto._redaction import Redactor

__all__ = ["PayloadDecoder"]

_LF, _CR = b"\n\r"  # as numbers, which are found faster
_ID_LINE = re.compile(rb"^id:[^\r\n]*\n", re.MULTILINE)
_BATCH = 64  # how many payloads are yielded together: enough for speed, and few enough to wait for
_MAX_LINES = 64  # how many lines of an object are not looked at
_ASCII_SPACE = b" \t\n\r\v\f\x1c\x1d\x1e\x1f"  # the ASCII that `str.strip` strips; `bytes.strip` strips less


class PayloadDecoder:
    """Decodes lines to payloads, each the text of one data line, or of several that are one JSON object.

    Nearly every data line is a whole object. The caller decodes it as JSON, and passes a line that is not whole to
    `complete`, so that no text is read twice.
    """

    def __init__(self, max_size: int, redactor: Redactor) -> None:
        self._max_size = max_size
        self._redactor = redactor
        self._object = bytearray()  # the data lines of an object that is not complete yet,
        self._unclosed = 0  # how many of its brackets are open,
        self._further: list[bytes] = []  # and the lines that follow, as received
        self._size = 0  # of both, in bytes, with white space that will go
        self._in_event = False  # a blank line would end the event that was read last
        self._after_done = False
        self._at_last_line = False  # which has no line end
        self._trailing_data = False

    @property
    def incomplete(self) -> bytes:
        """The part of an incomplete object that has arrived."""
        self._join()
        return bytes(self._object)

    @property
    def trailing_data(self) -> bool:
        """Whether a line has arrived after `done` that is not part of an event."""
        return self._trailing_data

    def expect_end(self) -> None:
        """Record that the last payload is that of `done`."""
        self._after_done = True

    def payloads(self, lines: LineDecoder, ids: EventIds | None = None) -> Iterator[bytes | list[bytes] | None]:
        """Yield payloads, lists of those of plain events that arrived together, and `None` if more data is needed.

        With `ids` there are no lists: each payload is yielded before the `id` line of the next one is read.

        Raises `RemoteProtocolError` for a line or an object over the limit, and for an object that is incomplete at its
        blank line.
        """
        for block in lines.blocks() if ids is None else ids.blocks(lines):
            if block is None:
                yield None
                continue
            # `partition` and `removeprefix` take half the time of `find` and `startswith`.
            if ids is None and not self._after_done and block.startswith(b"id:"):
                block = _ID_LINE.sub(b"", block)  # ids are not used
            line, _, rest = block.partition(b"\n")
            payload = line.removeprefix(b"data: ")
            if rest == b"\n" and len(payload) < len(line) and _CR not in payload and not self._object:
                del block, line, rest  # an event may be large, and is not kept here while the caller uses it
                self._in_event = False
                yield payload
                del payload
            else:
                del line, rest, payload
                yield from self._of_block(block)
        self._at_last_line = True  # a last line without a line end counts as a line
        yield from self._of_block(lines.rest)

    def _of_block(self, block: bytes) -> Iterator[bytes | list[bytes]]:
        if not self._object and (payloads := _plain_payloads(block)):
            self._in_event = False
            if len(payloads) == 1:
                yield payloads[0]
                return
            for place in range(0, len(payloads), _BATCH):
                yield payloads[place : place + _BATCH]
            return
        for line in block.splitlines():
            payload = line.removeprefix(b"data:")
            if len(payload) == len(line):
                if not line:
                    if self._object or self._after_done:
                        self._end_event()
                    continue
                name, _, payload = line.partition(b":")
                if name.lstrip() != b"data":  # the frozen contract finds the field after white space too
                    self._trailing_data = self._after_done
                    continue
            self._in_event = True
            if not self._object:
                yield payload
            elif (whole := self.complete(payload)) is not None:
                yield whole

    def complete(self, payload: bytes) -> bytes | None:
        """Return the text that this data line completes, or `None` for an empty line, or if more lines are needed.

        A text is complete if it is a whole object, and if no later line could make it one.
        """
        if not payload:
            self._trailing_data = self._after_done
            return None
        self._further.append(payload)
        self._size += len(payload) + 1
        if self._object and self._continues(payload):
            return None
        self._join()
        if not self._object:
            self._trailing_data = self._after_done
            return None
        # An object can continue after a line end, a string cannot.
        is_cut = self._at_last_line if json.ends_in_string(payload) else 0 < self._unclosed <= json.MAX_DEPTH
        if is_cut and self._object.startswith(b"{"):
            if not self._in_event:  # its blank line was read with it
                self._end_event()
            return None
        whole = bytes(self._object)
        self._object.clear()
        self._unclosed = 0
        return whole

    def _continues(self, payload: bytes) -> bool:
        """Return whether the object cannot be complete, and its last lines need not be joined to it yet.

        Only a line that ends with `}` completes it, with white space after it, some of which is not ASCII.
        """
        return 32 < payload[-1] < 125 and len(self._further) < _MAX_LINES and self._size <= self._max_size

    def _join(self) -> None:
        """Join the lines of an object that have arrived."""
        text = b"\n".join(filter(None, map(_stripped, self._further)))
        self._further.clear()
        if text:
            if self._object:
                self._object += b"\n"
            self._object += text
            self._unclosed += json.unclosed(text)
        self._size = len(self._object)
        if self._size > self._max_size:
            raise RemoteProtocolError(f"an event of the stream is larger than {self._max_size} bytes")

    def _end_event(self) -> None:
        """Process a blank line."""
        if self._object:
            raise RemoteProtocolError(
                f"the payload ends before its JSON object does: {self._redactor.quote(self.incomplete)}"
            )
        self._trailing_data = self._trailing_data or not self._in_event
        self._in_event = False


def _plain_payloads(block: bytes) -> list[bytes]:
    """Return the payloads of a block of whole events with one `data: ` line each, or an empty list for any other."""
    end = b"\r\n\r\n" if block.endswith(b"\r\n") else b"\n\n"
    if not (block.startswith(b"data: ") and block.endswith(end)):
        return []
    payloads = block[6 : -len(end)].rsplit(end + b"data: ")  # which takes half the time of `split`
    text = b"".join(payloads)
    return [] if _LF in text or _CR in text else payloads


def _stripped(payload: bytes) -> bytes:
    """Strip white space from a payload, and replace invalid UTF-8 by U+FFFD."""
    if payload.isascii():
        return payload.strip(_ASCII_SPACE)
    return payload.decode("utf-8", "replace").strip().encode()
