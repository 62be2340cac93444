"""The command line: in this process, which is quick, or as the installed program."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from hestiaos_cli import main

__all__ = ["PROGRAM", "Ended", "invoke", "shell", "without_waits"]

PROGRAM = Path(sys.executable).with_name("hestiaos")


class Ended(NamedTuple):
    """What a command came to."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON document."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line of standard error of a command that has failed and printed nothing."""
        assert self.status, self
        assert self.stdout == ""
        (line,) = self.stderr.splitlines()
        return line.removeprefix("Error: ")


def without_waits(message: str) -> str:
    """A message without how long the call took, which it says after a second, as on a machine with much to do."""
    return re.sub(r", after \d+\.\d s", "", message)


def invoke(*arguments: str, stdin: bytes | None = None) -> Ended:
    """Run `hestiaos …` in this process, with standard input from a file, or none."""
    stdout, stderr = BytesIO(), BytesIO()
    with ExitStack() as stack:
        file = stack.enter_context(_file_of(stdin))
        out, err = TextIOWrapper(stdout, "utf-8"), TextIOWrapper(stderr, "utf-8", "backslashreplace")
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        before, sys.stdin = sys.stdin, TextIOWrapper(file, "utf-8")  # type: ignore[arg-type]
        try:
            main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            sys.stdin.detach()  # type: ignore[attr-defined]
            sys.stdin = before
        sys.stdout.flush()
        err.flush()
        return Ended(status, stdout.getvalue().decode("utf-8", "surrogateescape"), stderr.getvalue().decode())


@contextmanager
def _file_of(content: bytes | None) -> Iterator[IO[bytes]]:
    if content is None:
        with open(os.devnull, "rb") as null:
            yield null
        return
    with TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def shell(script: str, *arguments: str, name: str = "sh") -> Ended:
    """Run a shell's script, in which `hestiaos` is the installed program and `$1` the first argument."""
    script = f'PATH="{PROGRAM.parent}:$PATH"\n{script}'
    done = subprocess.run([name, "-c", script, name, *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    return Ended(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode())
