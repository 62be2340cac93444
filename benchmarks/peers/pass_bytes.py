"""The least that can stand before a model server: it passes bytes on, one connection at a time.

`python -m benchmarks.peers.pass_bytes PORT MODEL_URL`.
"""

from __future__ import annotations

import select
import socket
import sys
from urllib.parse import urlsplit


def main(port: int, model_url: str) -> None:
    """Serve until killed."""
    model = urlsplit(model_url)
    prefix = model.path.removesuffix("/v1").encode()
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            client, _ = listener.accept()
            with client:
                request = client.recv(65536)
                if b"POST " not in request:  # is it there?
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    continue
                with socket.create_connection((model.hostname, model.port)) as server, select.epoll() as poll:
                    server.sendall(request.replace(b" /", b" " + prefix + b"/", 1))
                    poll.register(server, select.EPOLLIN)
                    data = b""
                    while not data.endswith(b"0\r\n\r\n"):
                        poll.poll()
                        data = server.recv(65536)
                        client.sendall(data)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
