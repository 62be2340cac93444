"""What the answers of a peer come to: each of several, and the next call afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hestiaos import (
    HestiaError,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
    TransportError,
)
from tests.support.peer import Peer
from tests.support.sessions import Session
from tests.support.steps import Script
from tests.support.wire import (
    GOOD_EVENTS,
)


def within(seconds: float, attempt: Callable[[float], object]) -> None:
    """Pass `attempt` a timeout of so many seconds; longer ones where it fails, as on a machine that stalls for that."""
    for timeout in (seconds, 4 * seconds):
        try:
            attempt(timeout)
        except (AssertionError, HestiaError, ExceptionGroup) as error:
            if not _may_be_late(error):
                raise
        else:
            return
    attempt(16 * seconds)


def _may_be_late(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):  # of a task group
        return all(map(_may_be_late, error.exceptions))
    return isinstance(error, AssertionError | HestiaError)


def expect(
    binding: type[Session],
    scripts: Sequence[Script],
    kind: type[HestiaError],
    message: str | None = None,
    *,
    operation: str = "run",
    args: Sequence[str] = ("x",),
    **options: Any,
) -> None:
    """Each of these answers is that exception, and the same client is served afterwards."""
    with Peer(*scripts) as peer, binding(peer.url, **options) as session:
        for count in range(1, len(scripts) + 1):
            with pytest.raises(HestiaError) as raised:
                session.call(operation, *args)
            error = raised.value
            assert type(error) is kind, f"answer {count}: {error!r}"
            if message is not None:
                assert message in str(error), f"answer {count}"
            if isinstance(error, TransportError):
                assert error.request_sent
                assert not isinstance(error.__cause__, HestiaError)
                assert error.__cause__ is not None or kind is TimedOut
            assert len(peer.requests) == count
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == len(scripts) + 1


def types(received: Sequence[StreamEvent]) -> list[str]:
    return [event.type for event in received]


def check(
    binding: type[Session], cases: Sequence[tuple[Script, Sequence[str], type[HestiaError] | None]], **options: Any
) -> list[HestiaError | None]:
    """Each script gives these events and then that exception; the same client is served afterwards."""
    errors = []
    timeout = options.pop("stream_timeout", None)
    with Peer(*(script for script, _, _ in cases)) as peer, binding(peer.url, **options) as session:
        for count, (_, expected, kind) in enumerate(cases, start=1):
            reading = session.stream("x", timeout=timeout)
            received, error = reading.read()
            assert types(received) == list(expected), f"stream {count}: {error!r}"
            assert error is None if kind is None else type(error) is kind, f"stream {count}: {error!r}"
            if isinstance(error, StreamInterrupted):
                assert error.events_received == len(received)
                assert error.last_event == (received[-1] if received else None)
            if error is not None:
                assert reading.read() == ([], error)
            assert len(peer.requests) == count
            errors.append(error)
        assert session.call("run", "x").result == "r"
        assert types(session.stream("x").read()[0]) == types_of(GOOD_EVENTS)
        assert len(peer.requests) == len(cases) + 2
    return errors


def types_of(values: Sequence[dict[str, Any]]) -> list[str]:
    return [value["type"] for value in values]
