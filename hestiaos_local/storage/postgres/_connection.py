"""A connection to PostgreSQL as the store uses it: our statements and values in its form, and its answers in ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from time import monotonic
from typing import Any, cast

import psycopg
from psycopg import adapters
from psycopg.abc import RV, Buffer, PQGen
from psycopg.adapt import AdaptersMap
from psycopg.types.string import StrDumper, TextLoader

from hestiaos_local.storage._database import Parameters, Rows

__all__ = ["ADAPTERS", "BoundedConnection", "PostgresTransaction"]

_UNANSWERED = 60.0  # seconds; the server gives up a statement after half of them

_PLACEHOLDER = re.compile(r"\?|:(\w+)")


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is closed where its server has not answered for a minute, as one that is stopped."""

    def wait(self, gen: PQGen[RV], *arguments: Any, **named: Any) -> RV:
        try:
            return super().wait(_bounded(gen), *arguments, **named)
        except _UnansweredError:
            self.close()  # what it still waits for is of no use
            raise


class _UnansweredError(psycopg.OperationalError):
    pass


def _bounded(gen: PQGen[RV]) -> PQGen[RV]:
    """The same generator, which raises `_UnansweredError` once it is too late. It is asked ten times a second."""
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


class PostgresTransaction:
    """Executes statements on one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows:
        return self._connection.execute(_translated(statement), parameters)

    def executemany(self, statement: str, parameters: Iterable[Parameters], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), parameters)


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    """With psycopg's placeholders. No statement of ours has another colon, question mark or percent sign."""
    return _PLACEHOLDER.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement).encode()


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
"""How values are written and read."""
ADAPTERS.register_dumper(str, _EscapingDumper)
ADAPTERS.register_loader("text", _UnescapingLoader)
