"""Platforms whose work a test holds up, or hears the end of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from hestiaos_local import Platform, Store
from hestiaos_proto import StreamEvent

__all__ = ["Halting", "Occupied", "Watched"]


class Watched(Platform):
    """Tells when one of its streams was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.stream_ended = threading.Event()

    def respond(self, call: Any, *, key: str | None = None) -> object:
        response = super().respond(call, key=key)
        return self._watch(response) if isinstance(response, Iterator) else response

    def _watch(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        try:
            yield from events
        finally:
            self.stream_ended.set()


class Halting(Platform):
    """Makes the second event of a stream only when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def respond(self, call: Any, *, key: str | None = None) -> object:
        response = super().respond(call, key=key)
        return self._halt(response) if isinstance(response, Iterator) else response

    def _halt(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        yield next(events)
        assert self.go_on.wait(50)
        yield from events


class Occupied(Platform):
    """Works on a run only when it is let go on."""

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store=store)
        self.began = threading.Event()
        self.go_on = threading.Event()

    def respond(self, call: Any, *, key: str | None = None) -> object:
        if call.operation == "run":
            self.began.set()
            assert self.go_on.wait(50)
        return super().respond(call, key=key)
