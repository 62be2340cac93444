"""A connection to PostgreSQL: its waits are bounded, and values are converted in both directions."""

from __future__ import annotations

import re
import selectors
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import psycopg
from psycopg import adapters
from psycopg.abc import RV, Buffer, PQGen
from psycopg.adapt import AdaptersMap
from psycopg.types.string import StrDumper, TextLoader
from psycopg_pool import ConnectionPool

__all__ = ["ADAPTERS", "BoundedConnection", "check"]

_UNANSWERED = 60.0  # seconds; the server gives up a statement after half of them


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed if its server has not answered for a minute, for example because it is stopped."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **named: Any) -> RV:
        try:
            return super().wait(_bounded(gen), *arguments, **named)
        except BaseException as error:
            if isinstance(error, _UnansweredError) or not isinstance(error, Exception):  # an interrupt
                self.close()  # what it still waits for is of no use, and would be taken for the next answer
                with suppress(psycopg.Error):  # the end of a pipeline asks for its answers all the same
                    gen.close()
            raise


class _UnansweredError(psycopg.OperationalError):
    pass


def _bounded(gen: PQGen[RV]) -> PQGen[RV]:
    """Wrap a generator, which psycopg resumes ten times a second. Raises `_UnansweredError` after the time limit."""
    until = monotonic() + _UNANSWERED
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and monotonic() > until:
                raise _UnansweredError(f"the server has not answered for {_UNANSWERED:g} seconds")
            wanted = gen.send(ready)
    except StopIteration as over:
        result: RV = over.value
        return result


def check(connection: BoundedConnection) -> None:
    """Raise `psycopg.OperationalError` if the server has ended an idle connection.

    The check costs a round trip, so it is only made if the server has sent something on its own.
    """
    if _can_be_read(connection.fileno()):
        ConnectionPool.check_connection(connection)


def _can_be_read(fileno: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(fileno, selectors.EVENT_READ)
        return bool(selector.select(0))


# PostgreSQL's texts cannot hold NUL, which names that a client gives can. In its place stand two characters, of which
# the first one stands for itself twice, so that texts are in the same order as before.
_ESCAPES = {"\0": "\1\1", "\1": "\1\2"}
_ESCAPED = {escape: character for character, escape in _ESCAPES.items()}


class _EscapingDumper(StrDumper):
    def dump(self, obj: str) -> Buffer | None:
        if "\0" in obj or "\1" in obj:
            obj = re.sub("[\0\1]", lambda found: _ESCAPES[found[0]], obj)
        return super().dump(obj)


class _UnescapingLoader(TextLoader):
    def load(self, data: Buffer) -> Any:
        text = cast(str, super().load(data))
        return re.sub("\1[\1\2]", lambda found: _ESCAPED[found[0]], text) if "\1" in text else text


ADAPTERS = AdaptersMap(adapters)
"""The conversions of values to and from PostgreSQL."""
ADAPTERS.register_dumper(str, _EscapingDumper)
ADAPTERS.register_loader("text", _UnescapingLoader)
