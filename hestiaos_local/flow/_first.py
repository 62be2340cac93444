"""Get the first item of a flow, which is the result or the first event of a stream, before returning the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AsyncExitStack, closing
from typing import Any

from hestiaos_proto import StreamEvent

__all__ = ["AsyncEvents", "Events", "first_of", "first_of_sync"]

Events = Generator[StreamEvent, None, None]


class AsyncEvents(AsyncIterator[Any]):
    """The events of a stream on an event loop."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the iterator, which cancels the work."""


def first_of_sync(items: Generator[Any, None, None], *, stream: bool) -> Any:
    """Return the first item or, for a stream, an iterator over all items once the first is available."""
    first = next(items)
    if stream:
        return _with_first(first, items)
    for _ in items:
        raise AssertionError("one result is emitted")
    return first


async def first_of(items: AsyncGenerator[Any, None], *, stream: bool) -> Any:
    """Return the same as `first_of_sync`, on an event loop."""
    async with AsyncExitStack() as opened:
        opened.push_async_callback(items.aclose)
        first = await anext(items)
        if stream:
            opened.pop_all()
            return Resumed(first, items)
        async for _ in items:
            raise AssertionError("one result is emitted")
        return first


class Resumed(AsyncEvents):
    """An iterator with its first item put back."""

    def __init__(self, first: object, items: AsyncGenerator[Any, None]) -> None:
        self._first = [first]
        self._items = items

    async def __anext__(self) -> Any:
        return self._first.pop() if self._first else await anext(self._items)

    async def aclose(self) -> None:
        """Close the iterator, which cancels the work."""
        await self._items.aclose()


def _with_first(first: StreamEvent, events: Events) -> Events:
    with closing(events):
        yield first
        yield from events
