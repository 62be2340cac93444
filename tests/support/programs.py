"""The command line with standard streams of any kind: as it is installed, or at a tenth of what a start costs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import termios
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.command_line import PROGRAM, Ended

__all__ = ["CLOSED", "FULL", "UNREAD", "ForkServer", "InstalledProgram", "Program"]

FULL, CLOSED, UNREAD = "/dev/full", "closed", "unread"
"""What a standard stream may be instead of a file: a full disk, a closed descriptor, a pipe without a reader."""


class Program(ABC):
    """Runs commands, with files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        stdout: str = "",
        stderr: str = "",
        encoding: str = "utf-8",
        environ: Mapping[str, str] | None = None,
    ) -> Ended:
        """What a command comes to. What goes into `stdout` or `stderr` is not in the result, where one is given."""
        files = {name: self._folder / name for name in ("stdin", "stdout", "stderr")}
        for path in files.values():
            path.write_bytes(b"")
        files["stdin"].write_bytes(stdin)
        streams = (str(files["stdin"]), stdout or str(files["stdout"]), stderr or str(files["stderr"]))
        status = self._ask(arguments, streams, encoding, environ or {})
        out, err = (files[name].read_bytes().decode("utf-8", "surrogateescape") for name in ("stdout", "stderr"))
        return Ended(status, out, err)

    def run_in_terminal(self, *arguments: str, columns: int, environ: Mapping[str, str]) -> Ended:
        """What a command comes to whose streams are all a terminal, which shows `stdout`."""
        master, slave = os.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        shown = bytearray()

        def read() -> None:
            with suppress(OSError):  # Linux says so where nobody has the other end open
                while data := os.read(master, 65536):
                    shown.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        status = self._ask(arguments, (os.ttyname(slave),) * 3, "utf-8", environ)
        os.close(slave)
        reader.join()
        os.close(master)
        return Ended(status, shown.decode().replace("\r\n", "\n"), "")

    @abstractmethod
    def _ask(self, arguments: Sequence[str], streams: Sequence[str], encoding: str, environ: Mapping[str, str]) -> int:
        """Run a command to its end. Returns the exit status, negative where a signal ended it."""


class ForkServer(Program):
    """Runs commands in forks of one process, from `with` to its end."""

    def __enter__(self) -> Self:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(50)
        self._process.stdout.close()

    def _ask(self, arguments: Sequence[str], streams: Sequence[str], encoding: str, environ: Mapping[str, str]) -> int:
        names = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
        request = {"argv": arguments, "environ": {**os.environ, **environ}, "encoding": encoding, **names}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class InstalledProgram(Program):
    """Runs the program that is installed, as bash does: sh may take descriptors of one digit alone."""

    def _ask(self, arguments: Sequence[str], streams: Sequence[str], encoding: str, environ: Mapping[str, str]) -> int:
        read, unread = os.pipe()
        os.close(read)
        redirections = []
        for number, target in enumerate(streams):
            to = {CLOSED: "&-", UNREAD: f"&{unread}"}.get(
                target, f"> {shlex.quote(target)}" if number else shlex.quote(target)
            )
            redirections.append(f"{number}{'>' if number else '<'}{to}")
        own = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"} if encoding == "ascii" else {}
        done = subprocess.run(
            ["bash", "-c", f'exec "$0" "$@" {" ".join(redirections)}', PROGRAM, *arguments],
            env={**os.environ, **own, **environ},
            pass_fds=[unread],
            start_new_session=True,
            timeout=50,
        )
        os.close(unread)
        return done.returncode
