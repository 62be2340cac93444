"""Servers that give the answers that a test makes up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["serve_each", "serve_once"]


def serve_once(status: bytes, content_type: bytes, body: bytes, *, headers: bytes = b"") -> str:
    """Answer one request, whatever it is. Returns the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n"

    def answer() -> None:
        with listener:
            peer = listener.accept()[0]
        with peer, peer.makefile("rwb") as file:
            length = 0
            while (line := file.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            file.read(length)
            file.write(head % (status, content_type, len(body), headers) + body)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serve_each(answers: Mapping[bytes, tuple[bytes, bytes]], otherwise: tuple[bytes, bytes]) -> Iterator[str]:
    """Answer each request by its path, with a content type and a body. Gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = answers.get(self.path.encode(), otherwise)
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(200)
            self.send_header("Content-Type", kind.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the standard library's name

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
