"""A stream in a tkinter window: Tk itself says when the socket can be read. No thread, no other event loop.

Usage: python tkinter_window.py http://localhost:8000 [--close]
"""

import socket
import sys
import tkinter
from urllib.parse import urlsplit

from hestiaos_proto import ClientConnection, HestiaError, operations


class Window:
    """Shows the text of one stream as it comes."""

    def __init__(self, root: tkinter.Tk, base_url: str) -> None:
        url = urlsplit(base_url)
        self.root = root
        self.text = tkinter.Text(root, wrap="word")
        self.text.pack()
        self.state = tkinter.Label(root, text="listening")
        self.state.pack()
        self.connection = ClientConnection(base_url)
        self.sock = socket.create_connection((url.hostname, url.port or 80))
        self.sock.sendall(self.connection.send(operations.run_stream("create a report")))
        self.sock.setblocking(False)
        # On Windows tkinter has no createfilehandler: use a thread there, as in blocking_thread.py.
        root.tk.createfilehandler(self.sock, tkinter.READABLE, self.on_readable)

    def on_readable(self, sock: socket.socket, mask: int) -> None:
        try:
            self.connection.receive_data(sock.recv(65536))
            for event in self.connection.events():
                self.text.insert("end", event.data.get("text", "") if event.type == "token" else "")
                self.state["text"] = event.type
            over = self.connection.finished
        except (HestiaError, OSError) as error:
            self.state["text"] = str(error)
            over = True
        if over:
            self.root.tk.deletefilehandler(sock)
            sock.close()
            self.root.event_generate("<<Finished>>")


def main(base_url: str, *, close: bool) -> None:
    root = tkinter.Tk()
    root.title("HestiaOS")
    window = Window(root, base_url)
    if close:
        root.bind("<<Finished>>", lambda _: root.quit())
    root.mainloop()
    if close:
        print(window.state["text"], window.text.get("1.0", "end-1c"))


main(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__), close="--close" in sys.argv)
