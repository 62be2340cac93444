"""Headless Chromium, driven by its DevTools protocol over a pipe: no driver and no other library is needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "Page", "open_page"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--remote-debugging-pipe",
)
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


@contextmanager
def open_page(folder: Path) -> Iterator[Page]:
    """A new page, in a browser of its own whose profile is in `folder`."""
    assert CHROMIUM is not None, "there is no Chromium"
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    script = f'exec "$@" 3<&{their_in} 4>&{their_out}'  # where it speaks; dash has no descriptors beyond 9
    command = [
        "bash",
        "-c",
        script,
        "bash",
        CHROMIUM,
        *_OPTIONS,
        f"--user-data-dir={folder / 'profile'}",
        "about:blank",
    ]
    environ = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen(
        command, pass_fds=(their_in, their_out), env=environ, stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(their_in)
    os.close(their_out)
    try:
        with open(our_out, "wb", buffering=0) as out, open(our_in, "rb") as received:
            yield Page(out, received)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Page:
    """A page of a browser. `requested` are the URLs that it has asked for, `complaints` what its console says."""

    def __init__(self, out: Any, received: Any) -> None:
        self._out = out
        self._in = received
        self._buffer = bytearray()
        self._number = 0
        self._session: str | None = None
        self.requested: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """The result of a command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self) -> Any:
        while (end := self._buffer.find(b"\0")) < 0:
            data = os.read(self._in.fileno(), 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        message = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        return message

    def _note(self, event: Any) -> None:
        params = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["source"] != "network":
            self.complaints.append(params["entry"]["text"])

    def open(self, url: str, *, width: int = 1400, height: int = 900, dark: bool = False) -> None:
        """Open `url` in a window of this size."""
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.evaluate("window.left = true")  # the page before may be asked while the new one comes
        self.call("Page.navigate", url=url)
        self.wait("!window.left && document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        """Give the window this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def evaluate(self, script: str) -> Any:
        """The value of an expression, which is awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true. Another page may come meanwhile."""
        while True:
            answer = self.call("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
            if answer["result"].get("value") is True:
                return
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """The text that is shown of an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            described = {"key": key, "code": key if key != " " else "Space", "windowsVirtualKeyCode": _KEYS[key]}
            text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
            self.call("Input.dispatchKeyEvent", type="keyDown", **described, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **described)

    def type(self, text: str) -> None:
        """Type `text` where the focus is."""
        self.call("Input.insertText", text=text)

    @property
    def focused(self) -> str:
        """What has the focus: the accessible name as far as its label or text tells it."""
        script = """(() => { const e = document.activeElement;
            return e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ?? e.innerText ?? e.tagName; })()"""
        return " ".join(str(self.evaluate(script)).split())

    def picture(self, file: Path) -> None:
        """Save what the window shows, as a PNG or, where the file is called so, as WebP."""
        kind = {"format": "webp", "quality": 80} if file.suffix == ".webp" else {}
        file.write_bytes(b64decode(self.call("Page.captureScreenshot", **kind)["data"]))
