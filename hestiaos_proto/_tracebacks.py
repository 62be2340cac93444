"""Short tracebacks. What a caller can use of one is the line of the call, what was raised, and what caused that."""

from __future__ import annotations

from collections.abc import Iterator

from hestiaos_proto._errors import HestiaError

__all__ = ["shorten"]


def shorten(error: HestiaError) -> HestiaError:
    """Return `error` without its traceback, to be raised again; of each of its causes the last frame is kept."""
    for cause in _causes(error):
        last = cause.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        cause.__traceback__ = last
    return error.with_traceback(None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes of `error`, including those of each exception of a group, which has one for each address."""
    cause = error.__cause__ or error.__context__
    seen = {id(error)}
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            for each in cause.exceptions:
                yield each
                yield from _causes(each)
        cause = cause.__cause__ or cause.__context__
