"""The thirteen known faults of the published 1.0.0 client, each with a test that fails on it and passes here.

The peers are real: the embedded platform on a socket, and where it would not misbehave, a socket that answers with
the bytes of a script.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import hestiaos
from hestiaos import (
    AsyncClient,
    Client,
    ConnectFailed,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    RunResponse,
    ServerError,
    StreamEvent,
    StreamInterrupted,
)
from tests.support.ports import refusing_url


class Peer:
    """A server that answers each request with the next of its scripts, closes after each, and keeps the requests."""

    def __init__(self, *scripts: bytes) -> None:
        self.requests: list[bytes] = []
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            connection, _ = self._listener.accept()
            with connection:
                self.requests.append(_read_request(connection))
                connection.sendall(script)

    def close(self) -> None:
        self._listener.close()
        self._thread.join()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def response(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def stream(*payloads: bytes, done: bool = True) -> bytes:
    """A stream's response that ends with the connection."""
    end = (b'data: {"type":"final"}\n\ndata: {"type":"done"}\n\n') if done else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return head + b'data: {"type":"start"}\n\n' + b"".join(payloads) + end


RUN = {"result": "r", "trace_id": "t", "output": None, "mode": "ALLOW", "budget": 1.0, "latency_ms": 1.0}


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def start(*scripts: bytes) -> Peer:
        peers.append(Peer(*scripts))
        return peers[-1]

    yield start
    for each in peers:
        each.close()


def test_1_a_sync_client_serves_more_than_one_call(server_url: str) -> None:
    with Client(server_url) as client:
        assert [client.run("a").result, client.run("b").result] == ["processed: a", "processed: b"]


def test_1_a_sync_call_works_inside_a_running_event_loop(server_url: str) -> None:
    async def main() -> None:
        async with AsyncClient(server_url) as client:
            assert client.run("a").result == "processed: a"
            assert (await client.run_async("b")).result == "processed: b"
            assert client.system.status().status == "OK"

    asyncio.run(main())


def test_1_one_async_client_works_over_several_event_loops(server_url: str) -> None:
    client = AsyncClient(server_url)

    async def main() -> str:
        return (await client.run_async("a")).result

    assert [asyncio.run(main()) for _ in range(3)] == ["processed: a"] * 3
    asyncio.run(client.aclose())


def test_2_retries_are_made(peer: Callable[..., Peer]) -> None:
    busy = response(503, b"").replace(b"\r\n\r\n", b"\r\nRetry-After: 0\r\n\r\n", 1)
    server = peer(busy, busy, response(200, json.dumps(RUN).encode()))
    with Client(server.url, retries=2) as client:
        assert client.run("a").result == "r"
    keys = {
        line for request in server.requests for line in request.split(b"\r\n") if b"idempotency-key" in line.lower()
    }
    assert len(server.requests) == 3
    assert len(keys) == 1


def test_2_no_retry_is_made_where_the_server_may_have_begun(peer: Callable[..., Peer]) -> None:
    server = peer(response(500, b""))
    with Client(server.url, retries=3) as client, pytest.raises(ServerError):
        client.run("a")
    assert len(server.requests) == 1


def test_3_statuses_are_our_exceptions(server_url: str) -> None:
    with Client(server_url) as client:
        with pytest.raises(NotFound):
            client.secrets.get("no such key")
        with pytest.raises(InvalidInput) as invalid:
            client.run("")
        assert invalid.value.details
        with pytest.raises(GovernanceBlock) as blocked:
            next(client.run_stream("rm -rf /"))
        assert client.trace(blocked.value.trace_id or "").decision == "BLOCK"


def test_4_a_cut_stream_does_not_look_complete(peer: Callable[..., Peer]) -> None:
    cut = stream(b'data: {"type":"token","data":{"text":"a"}}\n\n', b'data: {"type":"tok', done=False)
    received: list[StreamEvent] = []
    with Client(peer(cut).url) as client, pytest.raises(StreamInterrupted) as interrupted:
        received.extend(iter_into(received, client.run_stream("x")))
    assert [event.type for event in received] == ["start", "token"]
    assert interrupted.value.events_received == 2
    assert interrupted.value.last_event == received[-1]


def iter_into(received: list[StreamEvent], events: Iterator[StreamEvent]) -> list[StreamEvent]:
    for event in events:
        received.append(event)
    return []


def test_5_governance_trace_is_none_only_where_there_is_none(server_url: str) -> None:
    with Client(server_url) as client:
        assert client.governance.trace("no such command") is None
    with Client(refusing_url(), retries=0) as client, pytest.raises(ConnectFailed):
        client.governance.trace("x")


@pytest.mark.parametrize("key", ["../system/config", "..", ".", "a/b?c#d%", "%2F", "ключ 🔑"])
def test_6_a_path_parameter_is_one_segment(server_url: str, key: str) -> None:
    with Client(server_url) as client:
        client.secrets.set(key, "value")
        assert client.secrets.get(key) == "value"
        client.secrets.delete(key)
        with pytest.raises(NotFound):
            client.secrets.get(key)


def test_7_an_unknown_field_is_kept(peer: Callable[..., Peer]) -> None:
    server = peer(response(200, json.dumps(RUN | {"new_in_1_2": [1]}).encode()))
    with Client(server.url) as client:
        result = client.run("a")
    assert result.extra == {"new_in_1_2": [1]}
    assert result == RunResponse("r", "t", None, "ALLOW", 1.0, 1.0)


def test_8_the_stream_is_read_by_the_standard(peer: Callable[..., Peer]) -> None:
    several = b'data: {"type": "token",\ndata: "data": {"text": "several lines"}}\n\n'
    separators = 'data: {"type":"token","data":{"text":"\u2028 and \u0085 are text"}}\n\n'.encode()
    comment = b': data: {"type":"token"}\n\n'
    with Client(peer(stream(several, separators, comment)).url) as client:
        events = list(client.run_stream("x"))
    texts = [event.data["text"] for event in events if event.type == "token"]
    assert texts == ["several lines", "\u2028 and \u0085 are text"]


def test_9_a_stream_that_ends_before_done_raises(peer: Callable[..., Peer]) -> None:
    with Client(peer(stream(done=False)).url) as client, pytest.raises(StreamInterrupted):
        list(client.run_stream("x"))

    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            async for _ in client.run_stream("x"):
                pass

    with pytest.raises(StreamInterrupted):
        asyncio.run(main(peer(stream(done=False)).url))


def test_10_json_is_accepted_after_the_command(server_url: str) -> None:
    done = cli("run", "hello", "--json", "--base-url", server_url)
    assert json.loads(done.stdout)["result"] == "processed: hello"


def test_11_a_refused_connection_is_one_line() -> None:
    done = cli("--base-url", url := refusing_url(), "run", "x")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert url in done.stderr


def test_12_clients_load_certificates_only_for_https_and_only_once() -> None:
    program = (
        "import ssl; from hestiaos import Client, AsyncClient\n"
        "load, loaded = ssl.SSLContext.load_verify_locations, []\n"
        "def count(*args, **kwargs):\n"
        "    loaded.append(args)\n"
        "    load(*args, **kwargs)\n"
        "ssl.SSLContext.load_verify_locations = count\n"
        "c = Client('http://127.0.0.1:1', retries=0)\n"
        "try: c.run('x')\n"
        "except ConnectionError: print('refused')\n"
        "Client(), AsyncClient()\n"
        "print(len(loaded))\n"
        "for _ in range(5): Client('https://localhost'), AsyncClient('https://localhost')\n"
        "print(len(loaded))\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SSL_", "HESTIAOS_"))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ)
    assert (done.stdout, done.stderr) == ("refused\n0\n1\n", "")


def test_13_the_user_agent_is_the_documented_one(peer: Callable[..., Peer]) -> None:
    server = peer(response(200, json.dumps(RUN).encode()))
    with Client(server.url) as client:
        client.run("a")
    agents = [line for line in server.requests[0].split(b"\r\n") if line.lower().startswith(b"user-agent:")]
    assert agents == [f"User-Agent: hestiaos-sdk/{hestiaos.__version__}".encode()]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hestiaos_cli", *arguments], capture_output=True, text=True)
