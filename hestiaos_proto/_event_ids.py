"""The ids of a run stream's events, with which a client resumes the stream after a lost connection.

An id is `{trace_id}/{number}`; the numbers count the events of one run. It is in an `id` line before the
event's `data` (WHATWG HTML standard, section 9.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hestiaos_proto._errors import RemoteProtocolError
from hestiaos_proto._lines import LineDecoder
from hestiaos_proto._redaction import Redactor

__all__ = ["EventIds"]

_ID = re.compile(rb"([!-~]{1,200})/(0|[1-9][0-9]{0,17})")  # what a header can carry


class EventIds:
    """Reads the ids of one run's events, over all the connections on which they arrive, and checks them.

    - The first id may have any number; each further one follows the one before it on the same connection.
    - A resumed stream begins at the latest with the event after the last one. Events before that are repeats.
    - Events without an id are passed on, except as the first of a resumed stream; so are those that have an
      id of another form, before the first of this form.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._run = b""  # the trace id, from the first id on
        self._number = -1  # of the last event on this connection that has an id,
        self._highest = -1  # and on all of them
        self._goes_on = False  # the next event is the first after a lost connection
        self._named = False  # the last event has an id
        self._next: bytes | None = None  # the id of the event whose data are still to come

    @property
    def last(self) -> str | None:
        """The id of the last event, after which the stream can be resumed, or `None` if it had none."""
        return f"{self._run.decode()}/{self._highest}" if self._named else None

    def reconnect(self) -> None:
        """Expect the events after the last one, from another connection."""
        self._goes_on = True
        self._next = None

    def blocks(self, lines: LineDecoder) -> Iterator[bytes | None]:
        """Yield the blocks of `lines.blocks()`, split so that a block has the data of at most one `id` line."""
        for block in lines.blocks():
            if block is None:
                yield None
                continue
            begin = end = 0
            for line in block.splitlines(keepends=True):
                if line.startswith(b"id"):
                    if begin < end:
                        yield block[begin:end]
                    begin = end
                    self._read(line.rstrip(b"\r\n"))
                end += len(line)
                if line in (b"\n", b"\r", b"\r\n"):  # the end of the event: an id after its data is not used
                    yield block[begin:end]
                    begin = end
                    self._next = None
            if begin < end:
                yield block[begin:end]

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"id":
            self._next = value.removeprefix(b" ")

    def admit(self) -> bool:
        """Record the event whose data has arrived. Return False if it was received before the connection was lost.

        Raises `RemoteProtocolError` for an id that does not follow.
        """
        given, self._next = self._next, None
        found = _ID.fullmatch(given) if given else None
        if found is None:
            if self._goes_on or (given and self._run):
                raise self._wrong(given)
            self._named = False
            return True
        run, number = found[1], int(found[2])
        if not self._run:
            self._run, follows = run, True
        elif self._goes_on:
            follows = run == self._run and number <= self._highest + 1
        else:
            follows = run == self._run and number == self._number + 1
        if not follows:
            raise self._wrong(given)
        self._goes_on = False
        self._number = number
        if number <= self._highest:
            return False
        self._highest = number
        self._named = True
        return True

    def _wrong(self, given: bytes | None) -> RemoteProtocolError:
        number = self._highest if self._goes_on else self._number
        expected = self._redactor.text(f"{self._run.decode()}/{number + 1}")
        shown = "no id" if not given else f"the id {self._redactor.quote(given)}"
        return RemoteProtocolError(f"an event of the stream has {shown} where {expected} was expected")
