"""A run whose client has lost the connection: it goes on for the time of grace, and its client may come back."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from hestiaos import AuthenticationFailed, Client, StreamInterrupted
from hestiaos_local import Platform
from hestiaos_local.execution import Work, function_executor
from tests.support.cutting_proxy import Cut, CuttingProxy
from tests.support.expecting import within

WAIT = 30.0  # seconds at most, for what comes at once


class Model:
    """Says a word, and the next as soon as `go` is set; `ended` says how it ended."""

    def __init__(self) -> None:
        self.go, self.over = threading.Event(), threading.Event()
        self.asked, self.ended = 0, ""
        self.executor = function_executor(self._say)

    async def _say(self, work: Work) -> AsyncIterator[str]:
        self.asked += 1
        self.ended = "cancelled"
        try:
            yield "one "
            while not self.go.is_set():  # noqa: ASYNC110  # it is set by another thread
                await anyio.sleep(0.01)
            yield "two"
            self.ended = "well"
        finally:
            self.over.set()


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def platform(model: Model) -> Iterator[Platform]:
    """That is served; it is closed after its server."""
    with Platform(executor=model.executor) as platform:
        yield platform


def begin(url: str, **headers: str) -> bytes:
    """Begin a run over a connection that is lost with its second event. Returns the id of that."""
    target = urlsplit(url)
    assert target.hostname is not None
    body = b'{"input": "go", "context": {}, "options": {"stream": true}}'
    given = {"Host": target.netloc, "Content-Type": "application/json", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    with socket.create_connection((target.hostname, target.port or 80), timeout=WAIT) as sock:
        sock.sendall(f"POST /api/v1/run/stream HTTP/1.1\r\n{head}\r\n".encode() + body)
        received = b""
        while b'"one "' not in received:
            received += (piece := sock.recv(65536))
            assert piece, received
    return received.rpartition(b"id: ")[2].partition(b"\n")[0]


def test_a_run_goes_on_without_its_client_where_that_may_come_back(start: Callable[..., str], model: Model) -> None:
    url = start(grace=60.0)
    begin(url, Idempotency_Key="k", Prefer="resumable-stream")
    assert not model.over.wait(0.3)
    model.go.set()
    assert model.over.wait(WAIT)
    assert model.ended == "well"


@pytest.mark.parametrize(
    "headers", [{"Idempotency_Key": "k"}, {"Prefer": "resumable-stream"}], ids=["no preference", "no key"]
)
def test_a_run_is_cancelled_with_its_client_where_that_does_not_come_back(
    start: Callable[..., str], model: Model, headers: dict[str, str]
) -> None:
    begin(start(grace=60.0), **headers)
    assert model.over.wait(WAIT)
    assert model.ended == "cancelled"


def test_a_run_to_which_nobody_comes_back_is_cancelled_after_the_grace(start: Callable[..., str], model: Model) -> None:
    """Then its stream cannot go on, and its key is free again."""
    url = start(grace=0.1)
    last = begin(url, Idempotency_Key="k", Prefer="resumable-stream")
    assert model.over.wait(WAIT)
    assert model.ended == "cancelled"
    model.go.set()
    with Client(url, retries=0) as client:
        end = time.monotonic() + WAIT
        while True:  # what the run leaves is stored after its end
            response: Any = client.run_stream("go", idempotency_key="k", headers={"Last-Event-ID": last.decode()})
            with pytest.raises(Exception, match=r"the events of this run are not kept|is under way") as caught:
                next(response)
            if getattr(caught.value, "code", "") == "EVENTS_FORGOTTEN":
                break
            assert time.monotonic() < end, "the key is not free"
        assert client.run_stream("go", idempotency_key="k") is not None
    assert model.asked == 1


def test_a_client_that_comes_back_while_the_model_works(
    serve_platform: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a response at once, and each further event when it comes. As long as it reads, the run goes on."""
    monkeypatch.setattr(random.SystemRandom, "random", lambda self: 0.0)  # it comes back at once

    def come_back(grace: float) -> None:
        model = Model()
        with Platform(executor=model.executor) as platform:
            url = serve_platform(platform=platform, backend=backend, grace=grace)
            with CuttingProxy(url, Cut(rb'"one "', 1)) as proxy, Client(proxy.url) as client:
                events = client.run_stream("go", resume=True)
                timer = threading.Timer(2.5 * grace, model.go.set)
                timer.start()
                try:
                    assert [event.type for event in events] == ["start", "token", "token", "final", "done"]
                finally:
                    timer.join()
                assert (events.text, model.asked, model.ended) == ("one two", 1, "well")
                assert len(proxy.requests) == 2
            serve_platform.stop(url)

    within(1.0, come_back)


def test_a_client_with_another_api_key_does_not_get_the_rest(start: Callable[..., str], model: Model) -> None:
    url = start(api_key="right-key")
    last = begin(url, Idempotency_Key="k", Prefer="resumable-stream", Authorization="Bearer right-key").decode()
    with Client(url, api_key="wrong-key", retries=0) as client, pytest.raises(AuthenticationFailed):
        next(client.run_stream("go", idempotency_key="k", headers={"Last-Event-ID": last}))
    model.go.set()


def test_a_server_that_stops_ends_the_runs_without_a_client(serve_platform: Any, model: Model) -> None:
    url = serve_platform(grace=60.0)
    begin(url, Idempotency_Key="k", Prefer="resumable-stream")
    assert not model.over.wait(0.2)
    serve_platform.stop_all()
    assert model.over.wait(WAIT)
    assert model.ended == "cancelled"


def test_a_server_that_stops_while_a_client_waits_for_the_rest(serve_platform: Any, model: Model) -> None:
    """A rest that begins with an `error` would not follow the last event."""
    url = serve_platform()
    with CuttingProxy(url, Cut(rb'"one ".*?\n\n', 1)) as proxy, Client(proxy.url, retries=1) as client:
        events = client.run_stream("go", resume=True)
        assert [next(events).type, next(events).type] == ["start", "token"]
        timer = threading.Timer(1.0, serve_platform.stop_all)
        timer.start()
        with pytest.raises(StreamInterrupted):
            next(events)
        timer.join()
    assert model.ended == "cancelled"


def test_the_server_is_gone_when_the_client_comes_back(serve_platform: Any, model: Model) -> None:
    url = serve_platform()
    with CuttingProxy(url, Cut(rb'"one "', 1)) as proxy, Client(proxy.url, retries=0) as client:
        events = client.run_stream("go", resume=True)
        with pytest.raises(StreamInterrupted):
            list(events)
    serve_platform.stop_all()
    assert model.ended == "cancelled"
