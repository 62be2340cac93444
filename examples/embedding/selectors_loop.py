"""Several connections at once in a bare `selectors` loop, each with a stream and then a call over the same connection.

Usage: python selectors_loop.py http://localhost:8000
"""

import selectors
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from hestiaos_proto import ClientConnection, Operation, operations


class Exchange:
    """One socket, its protocol, what has still to be asked, and what has still to be written."""

    def __init__(self, name: str, base_url: str, *plan: Operation[Any]) -> None:
        url = urlsplit(base_url)
        self.name = name
        self.plan = list(plan)
        self.connection = ClientConnection(base_url)
        self.unsent = self.connection.send(self.plan.pop(0))
        self.sock = socket.create_connection((url.hostname, url.port or 80))
        self.sock.setblocking(False)

    def wants(self) -> int:
        """The events of the socket to wait for; none when all is done."""
        if self.connection.finished:
            return 0
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)

    def ready(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        if mask & selectors.EVENT_READ:
            self.connection.receive_data(self.sock.recv(65536))
            for event in self.connection.events():
                print(self.name, event.type, event.data)
            if self.connection.finished and self.plan:
                self.unsent = self.connection.send(self.plan.pop(0))


def main(base_url: str) -> None:
    with selectors.DefaultSelector() as selector:
        for name in ("first", "second", "third"):
            one = Exchange(name, base_url, operations.run_stream(f"a report for {name}"), operations.health())
            selector.register(one.sock, one.wants(), one)
        while selector.get_map():
            for key, mask in selector.select():
                key.data.ready(mask)
                if wanted := key.data.wants():
                    selector.modify(key.fileobj, wanted, key.data)
                else:
                    selector.unregister(key.fileobj).data.sock.close()
                    print(key.data.name, key.data.connection.result(operations.health()).status)


main(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))
