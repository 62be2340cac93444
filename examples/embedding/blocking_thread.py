"""Threads with blocking sockets, which hand their events to the main thread through a queue.

Usage: python blocking_thread.py http://localhost:8000
"""

import queue
import socket
import sys
import threading
from urllib.parse import urlsplit

from hestiaos_proto import ClientConnection, HestiaError, StreamEvent, operations

Item = tuple[str, StreamEvent | Exception | None]


def stream(base_url: str, name: str, arrived: queue.Queue[Item]) -> None:
    """Put every event of one stream, then `None`, or the exception that ended it."""
    url = urlsplit(base_url)
    connection = ClientConnection(base_url)
    try:
        with socket.create_connection((url.hostname, url.port or 80), timeout=30.0) as sock:
            sock.sendall(connection.send(operations.run_stream(f"a report for {name}")))
            while not connection.finished:
                connection.receive_data(sock.recv(65536))
                for event in connection.events():
                    arrived.put((name, event))
        arrived.put((name, None))
    except (HestiaError, OSError) as error:
        arrived.put((name, error))


def main(base_url: str) -> None:
    arrived: queue.Queue[Item] = queue.Queue()
    threads = [threading.Thread(target=stream, args=(base_url, name, arrived)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    running = len(threads)
    while running:
        name, item = arrived.get()
        if isinstance(item, StreamEvent):
            print(name, item.type, item.data)
        else:
            running -= 1
            print(name, item or "is over")
    for thread in threads:
        thread.join()


main(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))
