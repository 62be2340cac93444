"""Runs the command line in forks of a process that has loaded it: as the installed program, without its start.

Reads a request as a line of JSON: `argv`, `environ`, `encoding`, and for `stdin`, `stdout` and `stderr` a file, or
`"closed"`, or `"unread"`, a pipe without a reader. Answers with the exit status, negative where a signal ended it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from hestiaos_cli import main

_PATIENCE = 50  # seconds; what takes longer waits for what does not come, and dies of SIGALRM


def load() -> None:
    """Load what commands load."""
    from hestiaos_cli._app import COMMANDS

    for name in (
        *(f"hestiaos_cli._commands.{name}" for section in COMMANDS.values() for name in section),
        *(f"hestiaos_cli.{name}" for name in ("_batch", "_chat_session", "_hints", "_local_client", "_local_platform")),
        *("httpcore", "httpx", "hestiaos", "hestiaos_httpx", "hestiaos_local", "hestiaos_local.storage", "sqlite3"),
    ):
        import_module(name)


def serve() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(request: dict[str, Any]) -> None:
    """Be the program, to its end."""
    status = 1
    signal.alarm(_PATIENCE)
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv = ["hestiaos", *request["argv"]]
    try:
        encoding = request["encoding"]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, _stream(number, request[name], encoding))
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        status = 120  # as Python's own end has it
    os._exit(status)


def _stream(number: int, target: str, encoding: str) -> Any:
    """Put `target` in the place of a descriptor. Returns the stream that Python makes of it, `None` if it is closed."""
    if target == "closed":
        os.close(number)
        return None
    if target == "unread":
        read, opened = os.pipe()
        os.close(read)
    else:
        opened = os.open(target, (os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY) | os.O_NOCTTY)
    os.dup2(opened, number)
    os.close(opened)
    if number == 0:  # the one that there is has read ahead
        return open(0, encoding=encoding, errors="surrogateescape", closefd=False)
    if os.isatty(number):
        return open(number, "w", encoding=encoding, errors="backslashreplace", closefd=False)
    stream: Any = (sys.__stdout__, sys.__stderr__)[number - 1]
    stream.reconfigure(encoding=encoding)
    return stream


if __name__ == "__main__":
    load()
    serve()
