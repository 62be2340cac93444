"""A web page in headless Chromium that reads a streamed completion by `fetch`, one piece at a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

__all__ = ["Page", "find_chromium"]

_PATIENCE = 50.0  # seconds

_HTML = """<!doctype html><title>HestiaOS</title><script>
const report = async (what) => {
  const answer = await fetch("/report", {method: "POST", body: JSON.stringify(what)});
  return await answer.text();
};
const read = async (url, init) => {
  const controller = new AbortController();
  const response = await fetch(url, {...init, signal: controller.signal});
  await report({status: response.status, trace: response.headers.get("X-Hestia-Trace-Id")});
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  while (true) {
    const {done, value} = await reader.read();
    if (done) break;
    if (await report({piece: decoder.decode(value, {stream: true})}) === "leave") controller.abort();
  }
};
read(%s, %s).then(() => report({end: true}), (error) => report({error: error.name}));
</script>"""


def find_chromium() -> str | None:
    """The browser's program, where there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


class Page:
    """A page of an origin of its own, on a free port of this machine, for the `with` block.

    `open` has a browser show it: it asks a server for a stream. It reports each piece, and reads on when `answer` is
    called: with `leave=True` it aborts the request.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reports: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._html = b""
        self._browser: subprocess.Popen[bytes] | None = None
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._respond(page._html, "text/html")

            def do_POST(self) -> None:
                page._reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._respond(page._answers.get(timeout=_PATIENCE), "text/plain")

            def _respond(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._browser is not None:
            self._browser.kill()
            self._browser.wait()
        self._answers.put(b"")  # for the one that may wait
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def open(self, url: str, body: bytes, key: str) -> None:
        """Show it; it posts `body` to `url`."""
        chromium = find_chromium()
        assert chromium is not None
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        init = {"method": "POST", "headers": headers, "body": body.decode()}
        self._html = (_HTML % (json.dumps(url), json.dumps(init))).encode()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
        self._browser = subprocess.Popen(
            [chromium, *options, f"--user-data-dir={self._folder}", self.origin],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def report(self) -> dict[str, Any]:
        """What the page reports next; it waits for `answer` then."""
        return self._reports.get(timeout=_PATIENCE)

    def answer(self, *, leave: bool = False) -> None:
        """Have it read on, or abort the request."""
        self._answers.put(b"leave" if leave else b"go on")
