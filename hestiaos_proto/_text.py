"""The text of a stream, joined from its events.

JSON lets a string hold one half of a surrogate pair (RFC 8259, section 8.2), and a server that cuts its text anywhere
sends the two halves of a character in two events.
"""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING

from hestiaos_proto._errors import LocalProtocolError

if TYPE_CHECKING:
    from hestiaos_proto._events import StreamEvent

__all__ = ["StreamText", "TextRun", "join_surrogates"]


def join_surrogates(text: str) -> str:
    """Make `text` encodable: replace each surrogate pair by its character, and a lone surrogate by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class StreamText:
    """Joins the parts of a text of up to `max_length` characters, the halves of a surrogate pair counted one by one.

    A text that outgrows the limit is dropped, so that the memory that it takes is bounded.
    """

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._room = max_length  # for how many more characters; negative after the text was dropped
        self._joined = ""
        self._parts: list[str] = []  # not joined yet; the first may be the first half of a pair

    def append(self, part: str) -> None:
        """Add the next part."""
        self._room -= len(part)
        if self._room >= 0:
            self._parts.append(part)
        else:
            self._parts.clear()
            self._joined = ""

    def join(self) -> str:
        """Return the text so far. A character of which only the first half has arrived is U+FFFD.

        Raises `LocalProtocolError` if the text has outgrown the limit.
        """
        if self._room < 0:
            raise LocalProtocolError(
                f"the text has more than {self._max_length} characters and was not kept: join the events' texts"
            )
        text = "".join(self._parts)
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        self._joined += join_surrogates(text.removesuffix(half))
        self._parts = [half]
        return self._joined + join_surrogates(half)


class TextRun:
    """Text events that were decoded together, and are taken one by one from `left`.

    Raises `KeyError` or `TypeError` if one of them has no text.
    """

    def __init__(self, events: list[StreamEvent]) -> None:
        self._events = events
        self._texts: list[str] = [event.data["text"] for event in events]  # before a caller can change the data
        self._joined = "".join(self._texts)
        self._taken = 0
        self.left = iter(events)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def received(self) -> int:
        """The number of parts that have been taken."""
        return len(self._events) - length_hint(self.left)  # exact for the iterator of a list

    @property
    def last(self) -> StreamEvent | None:
        """The last that has been taken."""
        return self._events[self.received - 1] if self.received else None

    def take_text(self) -> str:
        """Return the text of the parts taken since the last call."""
        start, self._taken = self._taken, self.received
        if self._taken - start == len(self._texts):
            return self._joined
        return "".join(self._texts[start : self._taken])
