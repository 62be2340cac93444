"""The embedded platform served: requests and streamed events for each second of one core.

The server is what is measured, in a process of its own; a bare socket asks it for one thing after another. The peers
serve the same platform, so what differs is the serving.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

from benchmarks.contestants import BenchmarkFailed, Contestant
from benchmarks.measuring import Costs, Plan, interleave
from benchmarks.recording import run_request
from benchmarks.results import Goal, Result, compare
from benchmarks.serving import Server

_PEER = ("uvicorn", "fastapi", "sse_starlette")
_OURS = Contestant("hestiaos serve", "serve_hestiaos")
_PLAIN = Contestant("uvicorn + FastAPI + sse-starlette", "serve_fastapi", _PEER)
_COMPILED = Contestant("the same with httptools and uvloop", "serve_fastapi_compiled", (*_PEER, "httptools", "uvloop"))
_STARLETTE = Contestant(
    "uvicorn + Starlette with httptools and uvloop",
    "serve_starlette",
    ("uvicorn", "starlette", "httptools", "uvloop"),
)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def run(plan: Plan) -> Result:
    """Requests, then streams."""
    with ExitStack() as stack:
        servers = {
            one.name: stack.enter_context(Server(one.work))
            for one in plan.present([_OURS, _PLAIN, _COMPILED, _STARLETTE])
        }
        requests = _measure(servers, plan, partial(_requests, count=plan.size(500)))
        events = _measure(servers, plan, partial(_stream, words=plan.size(5000)))
    if plan.quick:
        return Result()
    goals = [Goal(_PLAIN.name, speed=1), Goal(_STARLETTE.name, speed=1)]
    return Result(
        [
            *compare("requests to the served platform, for each second of a core", _OURS.name, requests, goals, _rate),
            *compare("events streamed by it, for each second of a core", _OURS.name, events, goals, _rate),
        ]
    )


def _rate(cost: float) -> str:
    return f"{1 / cost:,.0f} /s"


def _measure(servers: dict[str, Server], plan: Plan, load: Callable[[socket.socket], int]) -> Costs:
    def turn(server: Server) -> float:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as sock:
            before = server.cpu()
            units = load(sock)
            return (server.cpu() - before) / units

    return interleave({name: partial(turn, server) for name, server in servers.items()}, plan)


def _requests(sock: socket.socket, *, count: int) -> int:
    wanted = _request("/api/v1/run", "create a report")
    for _ in range(count):
        sock.sendall(wanted)
        received = b""
        while b"\r\n\r\n" not in received:
            received += _receive(sock)
        head, _, body = received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkFailed(f"a request was answered with {received.decode()}")
        while len(body) < int(length[1]):
            body += _receive(sock)
    return count


def _stream(sock: socket.socket, *, words: int) -> int:
    """A token for each word; what the platform says beside the words are a few tokens and events more."""
    sock.sendall(_request("/api/v1/run/stream", "word " * words))
    received = bytearray()
    while not received.endswith(b"0\r\n\r\n"):
        received += _receive(sock)
    events = received.count(b"data: {")
    if events < words:
        raise BenchmarkFailed(f"a stream of {words} words had {events} events: {bytes(received[:500]).decode()}")
    return events


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise BenchmarkFailed("a server closed the connection in the middle of its response")
    return data


def _request(target: str, text: str) -> bytes:
    body = json.dumps(run_request(text, stream=target.endswith("stream")))
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
