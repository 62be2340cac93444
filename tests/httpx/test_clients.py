"""The clients on a real socket: both kinds of method on both clients, their lifetimes and their arguments."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from hestiaos import (
    AsyncClient,
    Client,
    ConnectFailed,
    LocalProtocolError,
    LocalTransport,
    Platform,
    RemoteProtocolError,
    StatusError,
    TimedOut,
)
from tests.support.broad import LOOPS
from tests.support.http_library import http as httpx
from tests.support.ports import refusing_url

BACKENDS = pytest.mark.parametrize("backend", LOOPS)
CLIENTS = pytest.mark.parametrize("kind", [Client, AsyncClient])

NAMESPACES: list[tuple[str, tuple[Any, ...]]] = [
    ("run", ("a",)),
    ("health", ()),
    ("chat.run", ("hi", "session")),
    ("agents.run", ("agent-1", "task", {"depth": 1})),
    ("system.status", ()),
    ("system.config", ()),
    ("system.metrics", ()),
    ("secrets.set", ("key", "value")),
    ("secrets.get", ("key",)),
    ("governance.explain", ("WRITE", {"path": "x"})),
    ("governance.status", ()),
    ("secrets.delete", ("key",)),
]


def method(client: object, dotted: str) -> Any:
    for name in dotted.split("."):
        client = getattr(client, name)
    return client


@CLIENTS
def test_every_call_works(server_url: str, kind: type[Client | AsyncClient]) -> None:
    client = kind(server_url)
    results = {name: method(client, name)(*arguments) for name, arguments in NAMESPACES}
    assert results["run"].result == "processed: a"
    assert results["secrets.get"] == "value"
    assert client.trace(results["run"].trace_id).decision == "ALLOW"


@BACKENDS
@CLIENTS
def test_every_coroutine_works(server_url: str, kind: type[Client | AsyncClient], backend: str) -> None:
    async def main() -> None:
        client = kind(server_url)
        results = {name: await method(client, f"{name}_async")(*arguments) for name, arguments in NAMESPACES}
        assert results["run"].result == "processed: a"
        assert results["secrets.get"] == "value"
        assert (await client.trace_async(results["run"].trace_id)).decision == "ALLOW"

    anyio.run(main, backend=backend)


def test_one_client_serves_many_threads(server_url: str) -> None:
    with Client(server_url) as client, ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda number: client.run(str(number)).result, range(128)))
    assert results == [f"processed: {number}" for number in range(128)]


@BACKENDS
def test_one_client_serves_many_tasks(server_url: str, backend: str) -> None:
    results: list[str] = []

    async def main() -> None:
        async with AsyncClient(server_url) as client, anyio.create_task_group() as tasks:

            async def one(number: int) -> None:
                results.append((await client.run_async(str(number))).result)

            for number in range(64):
                tasks.start_soon(one, number)

    anyio.run(main, backend=backend)
    assert sorted(results) == sorted(f"processed: {number}" for number in range(64))


@BACKENDS
def test_one_client_serves_several_event_loops(server_url: str, backend: str) -> None:
    client = AsyncClient(server_url)

    async def main() -> str:
        return (await client.run_async("a")).result

    assert [anyio.run(main, backend=backend) for _ in range(3)] == ["processed: a"] * 3


def test_one_client_serves_event_loops_in_several_threads(server_url: str) -> None:
    client = AsyncClient(server_url)

    async def main() -> list[str]:
        return [(await client.run_async("a")).result for _ in range(5)]

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: asyncio.run(main()), range(4)))
    assert results == [["processed: a"] * 5] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the served platform is the thread
def test_a_client_is_usable_after_a_fork(server_url: str) -> None:
    with Client(server_url) as client:
        client.run("before")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if client.run("child").result == "processed: child" else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert client.run("parent").result == "processed: parent"


@CLIENTS
def test_a_client_that_is_dropped_leaves_no_socket(server_url: str, kind: type[Client | AsyncClient]) -> None:
    client = kind(server_url)
    client.run("a")
    del client
    gc.collect()  # an unclosed socket would warn here, and a warning is an error


def test_a_closed_client_raises(server_url: str) -> None:
    client = Client(server_url)
    client.close()
    client.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        client.health()
    with pytest.raises(LocalProtocolError, match="closed"):
        next(client.run_stream("x"))


@BACKENDS
def test_a_closed_asynchronous_client_raises(server_url: str, backend: str) -> None:
    async def main() -> None:
        client = AsyncClient(server_url)
        await client.health_async()
        await client.aclose()
        await client.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.health_async()
        with pytest.raises(LocalProtocolError, match="closed"):
            client.health()

    anyio.run(main, backend=backend)


@BACKENDS
def test_the_embedded_platform_is_a_transport_of_both_kinds(backend: str) -> None:
    async def main() -> None:
        with Platform() as platform:
            client = AsyncClient(transport=LocalTransport(platform))
            assert client.run("a").result == "processed: a"
            assert (await client.run_async("b")).result == "processed: b"
            assert [event.type async for event in client.run_stream("c")][-1] == "done"

    anyio.run(main, backend=backend)


def test_a_transport_of_the_other_kind_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="use the methods without _async"):
        anyio.run(Client(transport=httpx.HTTPTransport()).health_async)
    wrong = r"BaseTransport of httpx or httpx2, such as LocalTransport\(platform\), not httpx"
    with pytest.raises(TypeError, match=wrong):
        Client(transport=httpx.AsyncHTTPTransport())


def test_a_given_http_client_is_used_and_left_open(server_url: str) -> None:
    seen: list[str] = []
    with httpx.Client(event_hooks={"request": [lambda request: seen.append(request.url.path)]}) as http_client:
        with Client(server_url, http_client=http_client) as client:
            client.health()
        assert seen == ["/api/v1/health"]
        assert not http_client.is_closed


def test_a_transport_that_gives_a_response_of_bytes_is_read() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"value": request.headers["X-Tenant"]})

    with Client(transport=httpx.MockTransport(answer), headers={"X-Tenant": "acme"}) as client:
        assert client.secrets.get("key") == "acme"


def test_a_redirect_is_not_followed(server_url: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"Location": f"{server_url}/api/v1/run"})

    http_client = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    with http_client, Client(server_url, http_client=http_client) as client, pytest.raises(StatusError) as refused:
        client.run("x")
    assert refused.value.status_code == 307


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection(scheme: str) -> None:
    with Client(refusing_url(scheme), retries=0) as client, pytest.raises(ConnectFailed) as failed:
        client.health()
    assert isinstance(failed.value.__cause__, httpx.ConnectError)
    assert isinstance(failed.value, ConnectionError)


def test_plain_http_where_tls_is_expected(server_url: str) -> None:
    with Client(server_url.replace("http", "https"), retries=0) as client, pytest.raises(ConnectFailed):
        client.health()


def test_the_deadline_ends_a_call_that_drips() -> None:
    with dripping_server() as url, Client(url, deadline=0.3, retries=0) as client, pytest.raises(TimedOut) as late:
        client.health()
    assert "0.3 s" in str(late.value)


@BACKENDS
def test_the_deadline_ends_a_coroutine_that_waits(backend: str) -> None:
    async def main(url: str) -> None:
        async with AsyncClient(url, deadline=0.3, timeout=20, retries=0) as client:
            with pytest.raises(TimedOut, match=r"0\.3 s"):
                await client.health_async()

    with dripping_server(pause=20.0) as url:
        anyio.run(main, url, backend=backend)


class dripping_server:  # noqa: N801  # used as a function that is a context manager
    """Sends the head of a response, then one byte of its body at each `pause`, in seconds."""

    def __init__(self, pause: float = 0.05) -> None:
        self._pause = pause
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n")
            while not self._over.wait(self._pause):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return


def test_what_is_not_http_is_a_protocol_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url) as client, pytest.raises(RemoteProtocolError):
            client.health()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_url": ""}, "empty"),
        ({"base_url": "localhost:8000"}, "http://"),
        ({"base_url": "ftp://localhost"}, "http://"),
        ({"base_url": "http://user:hunter2@localhost"}, "credentials"),
        ({"base_url": "http://localhost?q=1"}, "query"),
        ({"api_key": "hunter2\n"}, "API key"),
        ({"api_key": "hünter2"}, "API key"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"headers": {"Authorization": "hunter2"}}, "Authorization"),
    ],
)
@CLIENTS
def test_a_wrong_argument_is_refused_by_the_constructor(
    kind: type[Client | AsyncClient], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as wrong:
        kind(**arguments)
    assert "hunter2" not in str(wrong.value)


def test_the_environment_stands_in_for_what_is_not_given(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HESTIAOS_BASE_URL", server_url)
    monkeypatch.setenv("HESTIAOS_API_KEY", "hunter2")
    with Client() as client:
        assert client.health().status == "ok"
        assert repr(client) == f"Client(base_url={server_url!r})"
    assert repr(Client("http://other")) == "Client(base_url='http://other')"


@BACKENDS
def test_calls_that_wait_for_a_connection_raise_when_the_client_is_closed(server_url: str, backend: str) -> None:
    async def main() -> None:
        messages: list[str] = []

        async def wait() -> None:
            with pytest.raises(LocalProtocolError) as caught:
                await client.health_async()
            messages.append(caught.value.message)

        client = AsyncClient(server_url, limits=httpx.Limits(max_connections=1))
        stream = client.run_stream("a")
        await anext(stream)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
        assert messages == ["the client was closed while the call waited for a connection"] * 3

    anyio.run(main, backend=backend)


def test_a_given_clients_own_headers_are_sent_too() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"value": f"{request.headers['X-Own']} {request.headers['User-Agent']}"})

    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport, headers={"X-Own": "a"}) as http, Client(http_client=http) as client:
        assert client.secrets.get("k").startswith("a hestiaos-sdk/")

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=transport, headers={"X-Own": "b"}) as http,
            AsyncClient(http_client=http) as client,
        ):
            assert (await client.secrets.get_async("k")).startswith("b hestiaos-sdk/")

    asyncio.run(main())


def test_waiting_for_a_connection_is_bounded_by_the_timeout(server_url: str) -> None:
    limits = httpx.Limits(max_connections=1)
    busy = "every connection to http://.* stayed in use for too long"
    with Client(server_url, retries=0, limits=limits) as client, client.run_stream("a") as stream:
        next(stream)
        with pytest.raises(TimedOut, match=busy) as caught:
            client.health(timeout=0.1)
        assert not caught.value.request_sent

    async def main() -> None:
        async with AsyncClient(server_url, retries=0, limits=limits) as client:
            async with client.run_stream("a") as stream:
                await anext(stream)
                with pytest.raises(TimedOut, match=busy) as caught:
                    await client.health_async(timeout=0.1)
                assert not caught.value.request_sent
            assert (await client.health_async()).status == "ok"

    asyncio.run(main())
