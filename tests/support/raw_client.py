"""A client of the served platform that sees every byte."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

__all__ = ["HEALTH", "RUN", "RawClient", "post"]

RUN = json.dumps({"input": "create a report"}).encode()
HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class RawClient:
    """A client that sees every byte."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=50)
        self.file = self.socket.makefile("rb")
        self._unread = b""  # of a stream

    def __enter__(self) -> RawClient:
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

    def event(self) -> bytes:
        """The next event of a stream, with the empty line after it; `b""` at the end."""
        while b"\n\n" not in self._unread and (data := self.chunk()):
            self._unread += data
        event, line, self._unread = self._unread.partition(b"\n\n")
        return event + line

    def events(self) -> list[bytes]:
        """Those that are left."""
        return list(iter(self.event, b""))

    def stream(self) -> list[bytes]:
        """The events of a response that has not begun."""
        status, headers = self.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        return self.events()

    def at_end(self) -> bool:
        return self.file.read() == b""
