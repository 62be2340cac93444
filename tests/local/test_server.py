"""The served platform, over real sockets and byte for byte."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import trio
from trio.testing import MockClock

from hestiaos_local import Platform, ServeError, Store, serve
from hestiaos_proto import ServerRequest, StreamEvent

RUN = json.dumps({"input": "create a report"}).encode()
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Peer:
    """A client that sees every byte."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def response(self) -> tuple[int, Any]:
        status, headers = self.head()
        return status, json.loads(self.file.read(int(headers["content-length"])))

    def chunk(self) -> bytes:
        data = self.file.read(int(self.file.readline(), 16))
        self.file.readline()
        return data

    def stream(self) -> list[bytes]:
        status, headers = self.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        return list(iter(self.chunk, b""))

    def at_end(self) -> bool:
        return self.file.read() == b""


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start(serve_platform: Callable[..., str], backend: str) -> Callable[..., str]:
    return lambda **kwargs: serve_platform(backend=backend, **kwargs)


def test_a_connection_is_kept_alive(start: Callable[..., str]) -> None:
    with Peer(start()) as peer:
        for _ in range(3):
            peer.send(post("/api/v1/run", RUN))
            status, body = peer.response()
            assert (status, body["result"]) == (200, "processed: create a report")
        peer.send(post("/api/v1/run/stream", RUN))
        assert [json.loads(event[6:])["type"] for event in peer.stream()] == [
            "start",
            *["token"] * 4,
            "final",
            "done",
        ]
        peer.send(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status, headers = peer.head()
        assert (status, headers["server"].split("/")[0]) == (200, "hestiaos")
        assert "date" in headers
        assert json.loads(peer.file.read())["status"] == "ok"  # all up to the end of the connection


def test_requests_may_come_ahead_and_in_pieces(start: Callable[..., str]) -> None:
    with Peer(start()) as peer:
        peer.send(HEALTH + post("/api/v1/run/stream", RUN) + post("/api/v1/run", RUN) + HEALTH[:20])
        assert peer.response()[1]["status"] == "ok"
        assert len(peer.stream()) == 7
        assert peer.response()[1]["mode"] == "ALLOW"
        for byte in HEALTH[20:]:
            peer.send(bytes([byte]))
        assert peer.response()[1]["status"] == "ok"


def test_a_request_that_comes_during_a_stream_is_answered_behind_it(start: Callable[..., str]) -> None:
    with Peer(start(token_delay=0.05)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.chunk()
        peer.send(HEALTH)
        assert len(list(iter(peer.chunk, b""))) == 6
        assert peer.response()[1]["status"] == "ok"


def test_a_client_that_sends_no_more_still_gets_its_answers(start: Callable[..., str]) -> None:
    with Peer(start()) as peer:
        peer.send(HEALTH + HEALTH)
        peer.socket.shutdown(socket.SHUT_WR)
        assert [peer.response()[0] for _ in range(2)] == [200, 200]
        assert peer.at_end()


def test_a_client_that_sends_no_more_still_gets_its_stream(start: Callable[..., str]) -> None:
    with Peer(start(token_delay=0.02, heartbeat=0.015)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        peer.socket.shutdown(socket.SHUT_WR)
        assert b'"done"' in peer.stream()[-1]
        assert peer.at_end()


def test_an_old_client_gets_its_stream_up_to_the_end_of_the_connection(start: Callable[..., str]) -> None:
    with Peer(start()) as peer:
        peer.send(post("/api/v1/run/stream", RUN).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert peer.head()[0] == 200
        assert peer.file.read().count(b"data: ") == 7


def test_100_continue(start: Callable[..., str]) -> None:
    with Peer(start()) as peer:
        request = post("/api/v1/run", RUN, "Expect: 100-continue")
        peer.send(request[: -len(RUN)])
        assert peer.head()[0] == 100
        peer.send(RUN)
        assert peer.response()[0] == 200


def test_too_large_a_body_is_refused_and_the_client_hears_it(start: Callable[..., str]) -> None:
    url = start(api_key="k")
    with Peer(url) as peer:  # this one sends all of it before it reads
        peer.send(post("/api/v1/run", b"x" * (20 * 1024**2), "Authorization: Bearer k"))
        status, body = peer.response()
        assert (status, body["code"]) == (413, "HTTP_413")
        assert peer.at_end()
    with Peer(url) as peer:  # this one waits with it
        peer.send(
            b"POST /api/v1/run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
            b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert peer.response()[0] == 413


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"what is this\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000, 431),
    ],
    ids=["TLS", "words", "header", "large"],
)
def test_garbage_is_answered_and_the_connection_ended(start: Callable[..., str], data: bytes, status: int) -> None:
    url = start()
    with Peer(url) as peer:
        peer.send(HEALTH + data)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.response()[0] == 200
        assert peer.response()[0] == status
        assert peer.at_end()
    with Peer(url) as peer:
        peer.send(HEALTH)
        assert peer.response()[0] == 200


def test_the_key_is_asked_for(start: Callable[..., str]) -> None:
    with Peer(start(api_key="right")) as peer:
        for header in [
            "X: y",
            "Authorization: Bearer wrong",
            "Authorization: Basic right",
            "Authorization: Bearer \xe9",
        ]:
            for request in (post("/api/v1/run", RUN, header), post("/nowhere", b"{", header)):
                peer.send(request)
                status, headers = peer.head()
                body = peer.file.read(int(headers["content-length"]))
                assert (status, headers["www-authenticate"]) == (401, "Bearer")
                assert b"right" not in body
        peer.send(post("/api/v1/run", RUN, "Authorization: bearer right"))
        assert peer.response()[0] == 200


def test_heartbeats_go_out_while_a_token_is_waited_for(start: Callable[..., str]) -> None:
    with Peer(start(token_delay=0.05, heartbeat=0.02)) as peer:
        peer.send(post("/api/v1/run/stream", json.dumps({"input": "x"}).encode()))
        events = [event.split(b"\n")[0][:15] for event in peer.stream()]
    token = [b": heartbeat", b": heartbeat", b'data: {"type":"']
    assert events == [token[2], *token, *token, *[token[2]] * 2]


class Watched(Platform):
    """Tells when one of its streams was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.stream_ended = threading.Event()

    def respond(self, call: Any) -> object:
        response = super().respond(call)
        return self._watch(response) if isinstance(response, Iterator) else response

    def _watch(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        try:
            yield from events
        finally:
            self.stream_ended.set()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("delay", [0.0, 3600.0], ids=["at once", "waiting"])
def test_a_client_that_goes_away_ends_its_stream_alone(start: Callable[..., str], reset: bool, delay: float) -> None:
    with Watched() as platform:
        # One that has closed may still read, for all that can be told before something is written to it.
        url = start(platform=platform, token_delay=delay, heartbeat=3600.0 if reset else 0.05)
        with Peer(url) as peer:
            peer.send(post("/api/v1/run/stream", json.dumps({"input": "word " * 200_000}).encode()))
            assert peer.head()[0] == 200
            assert b'"start"' in peer.chunk()
            if reset:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert platform.stream_ended.wait(20)
        with Peer(url) as peer:
            peer.send(HEALTH)
            assert peer.response()[0] == 200


def test_a_server_that_stops_cuts_its_streams(serve_platform: Any, backend: str) -> None:
    url = serve_platform(backend=backend, token_delay=3600.0)
    with Peer(url) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.chunk()
        serve_platform.stop(url)
        assert peer.at_end()  # without the last chunk
    with pytest.raises(ConnectionRefusedError):
        Peer(url)


def test_a_fault_of_the_platform_is_a_500(
    start: Callable[..., str], platform: Platform, server_faults: list[str]
) -> None:
    with Peer(start()) as peer:
        platform.close()
        peer.send(post("/api/v1/run", RUN))
        status, body = peer.response()
        assert (status, body["code"], body["message"]) == (500, "INTERNAL_ERROR", "the server failed")
        assert "is closed" in server_faults.pop()
        peer.send(HEALTH)
        assert peer.response()[0] == 200


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(b"", 75.0), (HEALTH[:10], 60.0), (HEALTH, 75.0), (HEALTH + b"POST /api/v1/run HTTP/1.1\r\n", 75.0)],
    ids=["nothing", "a part", "one request", "one and a part"],
)
def test_a_client_that_lets_the_server_wait_is_left(platform: Platform, sent: bytes, seconds: float) -> None:
    """By trio's own clock for tests, which jumps on as soon as everything waits."""

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(listening)
            async with await trio.open_tcp_stream("127.0.0.1", urlsplit(url).port) as stream:
                began = trio.current_time()
                await stream.send_all(sent)
                answered = b"".join([data async for data in stream])
                assert answered.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
                ended = trio.current_time()
            nursery.cancel_scope.cancel()
        return ended - began

    async def listening(task_status: trio.TaskStatus[str]) -> None:
        await serve(platform, port=0, on_listening=task_status.started)

    assert trio.run(main, clock=MockClock(autojump_threshold=0.05)) == pytest.approx(seconds)


def test_a_client_that_does_not_read_is_left() -> None:
    """By trio's clock for tests too."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(listening)
            async with await trio.open_tcp_stream("127.0.0.1", urlsplit(url).port) as stream:
                await stream.send_all(post("/api/v1/run/stream", json.dumps({"input": "word " * 200_000}).encode()))
                await stream.receive_some(1)  # the clock would jump while a thread works on the request
                await trio.sleep(59)
                assert not platform.stream_ended.is_set()
                await trio.sleep(2)
                assert platform.stream_ended.is_set()
            nursery.cancel_scope.cancel()

    async def listening(task_status: trio.TaskStatus[str]) -> None:
        await serve(platform, port=0, token_delay=0.0, on_listening=task_status.started)

    with Watched() as platform:
        trio.run(main, clock=MockClock(autojump_threshold=0.05))


def test_a_client_that_sends_on_and_on_during_its_stream_is_left(start: Callable[..., str]) -> None:
    with Watched() as platform:
        with Peer(start(platform=platform, token_delay=3600.0)) as peer, contextlib.suppress(ConnectionError):
            peer.send(post("/api/v1/run/stream", RUN))
            for _ in range(32):
                peer.send(b"x" * 1024**2)
        assert platform.stream_ended.wait(20)


def test_a_server_without_a_free_file_descriptor_goes_on_later(backend: str) -> None:
    code = """
import logging, resource, sys, anyio
from hestiaos_local import Platform, serve
logging.basicConfig(stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
anyio.run(lambda: serve(Platform(), port=0, on_listening=lambda url: print(url, flush=True)), backend=sys.argv[1])
"""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with contextlib.ExitStack() as peers:
            for _ in range(50):
                peers.enter_context(Peer(url))
            assert "Too many open files" in server.stdout.readline()
        with Peer(url) as peer:
            peer.send(HEALTH)
            assert peer.response()[0] == 200
        server.kill()


def serve_once(platform: Platform, backend: str, **kwargs: Any) -> None:
    """Serve until the server listens, or refuses to."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            await serve(platform, on_listening=lambda url: scope.cancel(), **kwargs)

    anyio.run(main, backend=backend)


def test_a_port_in_use(platform: Platform, backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError) as caught:
            serve_once(platform, backend, port=port)
    assert str(caught.value) == f"127.0.0.1:{port} is in use: stop what listens there, or choose another port"
    serve_once(platform, backend, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("key", [None, ""])
def test_beyond_loopback_only_with_a_key(platform: Platform, backend: str, host: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(host)} can be reached from other machines: set an API key"):
        serve_once(platform, backend, host=host, port=0, api_key=key)


def test_the_hosts_that_are_served(platform: Platform, backend: str) -> None:
    serve_once(platform, backend, host="0.0.0.0", port=0, api_key="k")
    serve_once(platform, backend, host="localhost", port=0)


def test_the_url_is_told(start: Callable[..., str]) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", start())
    url = start(host="localhost")
    assert re.fullmatch(r"http://localhost:\d+", url)
    with Peer(url) as peer:
        peer.send(HEALTH)
        assert peer.response()[0] == 200


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"host": ""}, ValueError, "the host is empty: give an address of this machine, such as 127.0.0.1"),
        ({"host": "no host"}, ServeError, "the host 'no host' is not known"),
        ({"host": "a" * 70}, ServeError, "is not known: give an address of this machine"),
        ({"host": "192.0.2.1", "api_key": "k"}, ServeError, "192.0.2.1 is no address of this machine"),
        ({"port": 65536}, ValueError, "the port must be from 0 to 65535, not 65536"),
        ({"api_key": "two\nlines"}, ValueError, "the API key contains"),
        ({"token_delay": -1.0}, ValueError, "token_delay must be a number of seconds, 0 or more, not -1.0"),
        ({"token_delay": float("nan")}, ValueError, "token_delay must be"),
        ({"heartbeat": 0.0}, ValueError, "heartbeat must be a number of seconds greater than 0, not 0.0"),
    ],
)
def test_an_argument_that_cannot_be(
    platform: Platform, backend: str, arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as caught:
        serve_once(platform, backend, **({"port": 0} | arguments))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "192.0.2.7:8000"}, 200),  # a port of another machine, forwarded to this one
        ({"Host": "localhost", "Origin": "http://localhost:3000"}, 200),
        ({"Host": "localhost", "Origin": "https://127.0.0.2"}, 200),
        ({"Host": "localhost", "Origin": "http://[::1]:3000"}, 200),
        ({"Host": "localhost", "Origin": "http://203.0.113.5"}, 421),
        ({"Host": "localhost", "Origin": "http://192.168.1.1:80"}, 421),
        ({"Host": "localhost", "Origin": "http://[2001:db8::1]"}, 421),
        ({"Host": "localhost", "Origin": "http://127.0.0.1.5"}, 421),
        ({"Host": "localhost", "Origin": "http://[::1"}, 421),
        ({"Host": "rebound.example"}, 421),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 421),
        ({"Host": "localhost", "Origin": "null"}, 421),
        ({"Host": "[broken"}, 421),
    ],
)
def test_without_a_key_a_web_page_is_not_answered(
    start: Callable[..., str], headers: dict[str, str], status: int
) -> None:
    assert httpx.get(f"{start()}/api/v1/health", headers=headers).status_code == status


def test_with_a_key_any_name_is_answered(start: Callable[..., str]) -> None:
    headers = {"Host": "hestia.example", "Authorization": "Bearer key"}
    assert httpx.get(f"{start(api_key='key')}/api/v1/health", headers=headers).status_code == 200


class Halting(Platform):
    """Makes the second event of a stream only when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def respond(self, call: Any) -> object:
        response = super().respond(call)
        return self._halt(response) if isinstance(response, Iterator) else response

    def _halt(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        yield next(events)
        assert self.go_on.wait(20)
        yield from events


def test_the_first_event_does_not_wait_for_the_next(start: Callable[..., str]) -> None:
    with Halting() as platform, Peer(start(platform=platform, token_delay=0.0)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.chunk()
        platform.go_on.set()
        assert len(list(iter(peer.chunk, b""))) == 6


def test_a_long_stream_comes_whole(start: Callable[..., str]) -> None:
    words = " ".join(["word"] * 5000)
    with Peer(start(token_delay=0.0)) as peer:
        peer.send(post("/api/v1/run/stream", json.dumps({"input": words}).encode()))
        assert peer.head()[0] == 200
        chunks = list(iter(peer.chunk, b""))
        assert sum(b'"token"' in chunk for chunk in chunks) > 5000
        assert b'"done"' in chunks[-1]


class Occupied(Platform):
    """Works on a run only when it is let go on."""

    def __init__(self, store: Store | None = None) -> None:
        super().__init__(store=store)
        self.began = threading.Event()
        self.go_on = threading.Event()

    def respond(self, call: Any) -> object:
        if call.operation == "run":
            self.began.set()
            assert self.go_on.wait(20)
        return super().respond(call)


CHUNKED = b"POST /api/v1/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [post("/api/v1/run", json.dumps({"input": "x" * 10_000}).encode()), CHUNKED % (len(RUN), RUN)],
    ids=["large", "of unknown size"],
)
def test_a_large_request_does_not_stop_the_others(start: Callable[..., str], request_bytes: bytes) -> None:
    with Occupied() as platform:
        url = start(platform=platform)
        with Peer(url) as slow, Peer(url) as quick:
            slow.send(request_bytes)
            assert platform.began.wait(20)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            platform.go_on.set()
            assert slow.response()[0] == 200


def test_a_small_request_does_not_wait_in_the_loop_for_a_large_one(start: Callable[..., str]) -> None:
    with Occupied() as platform:
        url = start(platform=platform)
        with Peer(url) as large, Peer(url) as small, Peer(url) as quick:
            large.send(post("/api/v1/run", json.dumps({"input": "x" * 10_000}).encode()))
            assert platform.began.wait(20)
            platform.began.clear()
            small.send(post("/api/v1/run", RUN))
            assert platform.began.wait(20)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            platform.go_on.set()
            assert (large.response()[0], small.response()[0]) == (200, 200)


def test_a_locked_store_does_not_stop_the_others(start: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with Occupied(Store(file)) as platform, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        platform.go_on.set()
        other.execute("BEGIN IMMEDIATE")
        url = start(platform=platform)
        with Peer(url) as waiting, Peer(url) as quick:
            waiting.send(post("/api/v1/run", RUN))
            assert platform.began.wait(20)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            other.execute("ROLLBACK")
            assert waiting.response()[0] == 200


def test_a_store_that_fails_is_a_503_and_one_line_in_the_log(
    start: Callable[..., str], tmp_path: Path, server_faults: list[str]
) -> None:
    file = tmp_path / "store.db"
    with Platform(store=Store(file, busy_timeout=0.0)) as platform, contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Peer(start(platform=platform)) as peer:
            peer.send(post("/api/v1/run", RUN))
            status, body = peer.response()
            assert (status, body["message"]) == (503, "the server's store cannot be used now")
    (line,) = server_faults.pop().splitlines()
    assert line.startswith(f"run failed: {file} is locked by another program (database is locked): ")


def test_a_server_that_stops_finishes_what_it_executes(serve_platform: Any, backend: str, tmp_path: Path) -> None:
    with Occupied(Store(tmp_path / "store.db")) as platform:
        url = serve_platform(platform=platform, backend=backend)
        with Peer(url) as peer:
            peer.send(post("/api/v1/run", RUN))
            assert platform.began.wait(20)
            stopping = threading.Thread(target=serve_platform.stop, args=(url,))
            stopping.start()
            platform.go_on.set()
            stopping.join(20)
        status = platform.answer(ServerRequest("governance_status", {}, {}))
        assert isinstance(status, dict)
        assert status["decisions"]["ALLOW"] == 1
