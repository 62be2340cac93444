"""The floor of a client: a bare socket, its bytes not looked at."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.recording import run_request
from benchmarks.replay import json_response

_HEAD = "POST {} HTTP/1.1\r\nhost: replay\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


@contextmanager
def stream(url: str, events: int) -> Iterator[Callable[[], int]]:
    """Read a stream's bytes, to the end of its last chunk."""
    wanted = _request("/api/v1/run/stream", f"{events} events", stream=True)
    with _connect(url) as sock:

        def work() -> int:
            sock.sendall(wanted)
            end = b""
            while end != b"0\r\n\r\n":
                end = (end + sock.recv(65536))[-5:]
            return events

        yield work


@contextmanager
def request(url: str, count: int) -> Iterator[Callable[[], int]]:
    """Send a request's bytes, and read as many as its response has."""
    wanted, size = _request("/api/v1/run", "create a report"), len(json_response())
    with _connect(url) as sock:

        def work() -> int:
            for _ in range(count):
                sock.sendall(wanted)
                sock.recv(size, socket.MSG_WAITALL)
            return count

        yield work


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port))


def _request(target: str, text: str, *, stream: bool = False) -> bytes:
    body = json.dumps(run_request(text, stream=stream), separators=(",", ":"))
    return _HEAD.format(target, len(body), body).encode()
