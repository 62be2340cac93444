"""Clients and transports of httpx's that are given to ours: what ends with whom, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anyio
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from hestiaos import AsyncClient, Client, LocalProtocolError, LocalTransport, ServerError
from hestiaos_local import Platform
from tests.support.broad import LOOPS
from tests.support.http_library import http
from tests.support.peer import Peer
from tests.support.steps import Script, send, silence
from tests.support.wire import DONE, FINAL, START, STREAM_HEAD, TOKEN, chunk, event, response

SOON = 20.0  # seconds; far below the timeouts here
PATIENCE = 30.0
BEGUN = send(STREAM_HEAD + chunk(event(START)))
BACKENDS = pytest.mark.parametrize("backend", LOOPS)


class Http2Server:
    """Serves event streams over one HTTP/2 connection; each begins, and goes on when `go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.reset: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self.go_on.set()
        with socket.create_connection(self._listener.getsockname()):
            self._thread.join()
        self._listener.close()

    _stopped = False

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with sock:
                if self._stopped:
                    return
                self.connections += 1
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        sock.sendall(connection.data_to_send())
        sock.settimeout(0.01)
        streams: list[int] = []
        while True:
            if self.go_on.is_set():
                for each in streams:
                    if each not in self.reset:
                        connection.send_data(each, event(TOKEN) + event(FINAL) + event(DONE), end_stream=True)
                streams.clear()
            sock.sendall(connection.data_to_send())
            try:
                data = sock.recv(65536)
            except TimeoutError:
                continue
            if not data:
                return
            for each in connection.receive_data(data):
                if isinstance(each, h2.events.StreamEnded):
                    head = [(":status", "200"), ("content-type", "text/event-stream")]
                    connection.send_headers(each.stream_id, head)
                    connection.send_data(each.stream_id, event(START))
                    streams.append(each.stream_id)
                elif isinstance(each, h2.events.StreamReset):
                    self.reset.add(each.stream_id)


@pytest.fixture
def http2_server() -> Iterator[Http2Server]:
    server = Http2Server()
    yield server
    server.stop()


def types(stream: Any) -> list[str]:
    return [each.type for each in stream]


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_stream_that_ends_does_not_end_its_neighbours(http2_server: Http2Server, how: str) -> None:
    """They share a connection of HTTP/2, which is read by whichever thread comes first."""
    with (
        http.Client(http1=False, http2=True, timeout=PATIENCE) as given,
        Client(http2_server.url, http_client=given, retries=0) as client,
        ThreadPoolExecutor(2) as readers,
    ):
        neighbour, ended = client.run_stream("a"), client.run_stream("b")
        assert [next(neighbour).type, next(ended).type] == ["start", "start"]
        reading = readers.submit(types, neighbour), readers.submit(types, ended)
        time.sleep(0.1)  # so that both read
        getattr(ended, how)()
        time.sleep(0.1)
        http2_server.go_on.set()
        assert reading[0].result(PATIENCE) == ["token", "final", "done"]
        assert reading[1].result(PATIENCE) == []
        assert http2_server.connections == 1


# httpx's generators cannot be ended where their connection is not (encode/httpcore#1019); trio tells of them.
@pytest.mark.filterwarnings("ignore:.*garbage collected before it had been exhausted")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@BACKENDS
def test_a_stream_of_a_task_does_not_end_its_neighbours(http2_server: Http2Server, backend: str) -> None:
    async def main() -> None:
        async with (
            http.AsyncClient(http1=False, http2=True, timeout=PATIENCE) as given,
            AsyncClient(http2_server.url, http_client=given, retries=0) as client,
        ):
            neighbour, ended = client.run_stream("a"), client.run_stream("b")
            assert [(await anext(neighbour)).type, (await anext(ended)).type] == ["start", "start"]
            await ended.aclose()
            http2_server.go_on.set()
            assert [each.type async for each in neighbour] == ["token", "final", "done"]
            assert http2_server.connections == 1

    anyio.run(main, backend=backend)


@contextmanager
def given_sync(kind: str) -> Iterator[dict[str, Any]]:
    """A client or a transport that is given, which is closed at the end."""
    if kind == "http_client":
        with http.Client(timeout=PATIENCE) as client:
            yield {"http_client": client}
    else:
        with http.HTTPTransport() as transport:
            yield {"transport": transport}


KINDS = pytest.mark.parametrize("kind", ["http_client", "transport"])


@KINDS
@pytest.mark.parametrize("how", ["cancel", "close the client"])
def test_closing_ends_a_reader_at_once(kind: str, how: str) -> None:
    with (
        Peer([BEGUN, silence]) as peer,
        given_sync(kind) as given,
        ThreadPoolExecutor(1) as readers,
        Client(peer.url, retries=0, **given) as client,
    ):
        stream = client.run_stream("x")
        assert next(stream).type == "start"
        reading = readers.submit(types, stream)
        time.sleep(0.1)
        begun = time.monotonic()
        if how == "cancel":
            stream.cancel()
            assert reading.result(PATIENCE) == []
        else:
            client.close()
            with pytest.raises(LocalProtocolError, match="the client was closed during the call"):
                reading.result(PATIENCE)
        assert time.monotonic() - begun < SOON
        peer.wait_until_left(1)


@KINDS
@BACKENDS
@pytest.mark.parametrize("script", [[silence], [BEGUN, silence]], ids=["before the head", "after the head"])
def test_a_task_raises_at_once_when_its_client_is_closed(kind: str, backend: str, script: list[Any]) -> None:
    async def main(peer: Peer) -> None:
        given: Any = (
            {"http_client": http.AsyncClient(timeout=PATIENCE)}
            if kind == "http_client"
            else {"transport": http.AsyncHTTPTransport()}
        )
        client = AsyncClient(peer.url, retries=0, **given)
        messages: list[str] = []

        async def read() -> None:
            with pytest.raises(LocalProtocolError) as caught:
                async for _ in client.run_stream("x"):
                    pass
            messages.append(caught.value.message)

        with anyio.fail_after(SOON):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await anyio.to_thread.run_sync(peer.wait_for_requests, 1)
                await anyio.wait_all_tasks_blocked()
                await client.aclose()
        assert messages == ["the client was closed during the call"]
        await anyio.to_thread.run_sync(peer.wait_until_left, 1)
        if kind == "http_client":
            assert not given[kind].is_closed
            assert (await given[kind].get(f"{peer.url}/api/v1/health")).status_code == 200
            await given[kind].aclose()

    with Peer(script) as peer:
        anyio.run(main, peer, backend=backend)


def test_a_given_client_stays_open_however_the_sdk_client_is_closed() -> None:
    async def main(peer: Peer) -> None:
        async with http.AsyncClient() as given:
            for close in "close", "aclose", "with", "async with":
                client = AsyncClient(peer.url, http_client=given)
                assert (await client.health_async()).status == "ok"
                if close == "close":
                    client.close()
                elif close == "aclose":
                    await client.aclose()
                elif close == "with":
                    with client:
                        pass
                else:
                    async with client:
                        pass
                assert not given.is_closed
                with pytest.raises(LocalProtocolError, match="the client is closed"):
                    await client.health_async()

    with Peer() as peer:
        asyncio.run(main(peer))


def test_a_given_transport_is_closed_with_the_client_and_once() -> None:
    class Counting(http.MockTransport, http.BaseTransport):  # type: ignore[misc, name-defined]
        closed = 0

        def close(self) -> None:
            self.closed += 1

    transport = Counting(lambda request: http.Response(200, json={"value": "v"}))
    client = Client(transport=transport)
    assert client.secrets.get("k") == "v"
    for _ in range(2):
        client.close()
    assert transport.closed == 1


@contextmanager
def one_place(*scripts: Script) -> Iterator[Client]:
    """Our client over a given one whose own pool has one place."""
    with (
        Peer(*scripts) as peer,
        http.Client(limits=http.Limits(max_connections=1)) as given,
        Client(peer.url, http_client=given, retries=0, timeout=SOON) as client,
    ):
        yield client


def test_a_refusal_that_cannot_be_read_gives_the_connection_back() -> None:
    refused = [send(response(503, b"\x1f\x8b\x08garbage", "Content-Encoding: gzip"))]
    with one_place(refused, refused) as client:
        for _ in range(2):
            with pytest.raises(ServerError, match="503"):
                client.run("x")
        assert client.run("x").result == "r"


@pytest.mark.parametrize("left", ["dropped", "closed"])
def test_a_stream_that_is_left_gives_the_connection_back(left: str) -> None:
    with one_place([BEGUN, silence], [BEGUN, silence]) as client:
        for _ in range(2):
            stream = client.run_stream("x")
            assert next(stream).type == "start"
            if left == "closed":
                stream.close()
            del stream
        assert client.run("x").result == "r"


# CPython 3.13 warns of what asyncio schedules for httpx's own generator in a loop that is closed without running it.
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose' of .* was never awaited:RuntimeWarning")
def test_a_loop_that_ends_with_a_dropped_stream_is_forgotten() -> None:
    """Once the client is used again: the task that closes the stream has run, and holds nothing."""
    client = AsyncClient(transport=LocalTransport(Platform()))

    async def drop() -> None:
        await anext(client.run_stream("x"))

    def run_and_close(main: Callable[[], Coroutine[Any, Any, object]]) -> weakref.ref[object]:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()  # without a word to its tasks, as `asyncio.run` has
        return weakref.ref(loop)

    ended = run_and_close(drop)
    run_and_close(client.system.status_async)
    gc.collect()
    assert ended() is None
