"""uvicorn, in a process of its own, with the application of `sse_application`."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["SSEServer"]


class SSEServer:
    """The server at `url`, for the `with` block, or until it is ended before."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--port", "0", "sse_application:app", "--app-dir", Path(__file__).parent],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr is not None
        said: list[str] = []
        for line in self._process.stderr:
            said.append(line)
            if (found := re.search(r"running on (http://\S+)", line)) is not None:
                self.url = found[1]
                break
        else:
            raise AssertionError("uvicorn did not start:\n" + "".join(said))
        self._log = threading.Thread(target=self._process.stderr.read)  # a full pipe would stop it
        self._log.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.end(kill=True)

    def end(self, *, kill: bool) -> None:
        """End it, at once or as an administrator would, and wait until it has ended."""
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(timeout=50)
        self._log.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
