"""Pieces of work with a synchronous client, and a look at its places afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from attrs import Factory, frozen

from hestiaos import Client
from tests.support.peer import good_answer
from tests.support.steps import Request, Script, send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event


@frozen
class Work:
    """What is interrupted. `stream`: what is left of it may live as long as the exception does."""

    name: str
    act: Callable[[Client], None]
    options: dict[str, Any] = Factory(dict)
    stream: bool = True


def call(client: Client) -> None:
    assert client.run("x").result == "r"


def read_all(client: Client, **options: Any) -> None:
    with client.run_stream("x", **options) as stream:
        assert [each.type for each in stream][-1] == "done"


def leave(client: Client) -> None:
    with client.run_stream("hold") as stream:
        assert next(stream).type == "start"


def drop(client: Client) -> None:
    assert next(client.run_stream("hold")).type == "start"


def cancel(client: Client) -> None:
    with client.run_stream("hold") as stream:
        assert next(stream).type == "start"
        stream.cancel()
        assert list(stream) == []


WORKS = [
    Work("call", call, stream=False),
    Work("call with a deadline", call, {"deadline": 30.0}, stream=False),
    Work("stream", read_all),
    Work("stream with a timeout", lambda client: read_all(client, timeout=30.0)),
    Work("stream with an event", lambda client: read_all(client, cancel=threading.Event())),
    Work("stream that is left", leave),
    Work("stream that is dropped", drop),
    Work("stream that is cancelled", cancel),
]


def answer(request: Request) -> Script:
    if request.target.endswith("/stream") and b'"hold"' in request.body:
        return [send(STREAM_HEAD + chunk(event(START))), silence]
    return good_answer(request)


def check_places(client: Client, places: int) -> None:
    """As many streams as there are places are under way at once; then a call is served."""
    streams = [client.run_stream("hold") for _ in range(places)]
    for stream in streams:
        assert next(stream).type == "start"
    for stream in streams:
        stream.close()
    call(client)
